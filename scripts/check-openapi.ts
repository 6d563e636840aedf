// npm run check:openapi: the OpenAPI document against the rules of redocly.yaml, less what .redocly.lint-ignore.yaml names.
// A warning is a failure too.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openApiDocument } from '../api/openapi.ts'

const LIMIT_MS = 300_000
const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'testigo-openapi-'))
try {
  const file = join(folder, 'openapi.json')
  writeFileSync(file, JSON.stringify(openApiDocument(), null, 2))
  // What is ignored is looked up beside the rules, and names its file by the way from there.
  for (const name of ['redocly.yaml', '.redocly.lint-ignore.yaml'])
    copyFileSync(join(root, name), join(folder, name))
  const linter = fileURLToPath(import.meta.resolve('@redocly/cli/bin/cli.js'))
  const { status, error } = spawnSync(
    process.execPath,
    [linter, 'lint', file, '--config', join(folder, 'redocly.yaml'), '--max-problems', '1000'],
    // It would ask the network for a newer version, and tell its makers of each run.
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: LIMIT_MS,
      env: { ...process.env, REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', REDOCLY_TELEMETRY: 'off' },
    },
  )
  if (error) throw error
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true })
}
