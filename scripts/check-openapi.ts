// npm run check:openapi: the OpenAPI document against the rules of redocly.yaml. A warning is a failure too.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
  const linter = fileURLToPath(import.meta.resolve('@redocly/cli/bin/cli.js'))
  const { status, error } = spawnSync(
    process.execPath,
    [linter, 'lint', file, '--config', join(root, 'redocly.yaml'), '--max-problems', '1000'],
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
