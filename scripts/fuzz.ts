// npm run fuzz -- --requests 50000 [--seed N [--path P]] [--json]: made-up requests against the API, judged by its document.
import { parseArgs } from 'node:util'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { type FuzzReport, fuzz } from './fuzz/run.ts'

const USAGE = 'npm run fuzz -- [--requests 50000] [--seed 1] [--path 0:1] [--workers 4] [--json]\n'
const SECOND_MS = 1000

const number = (name: string, text: string) => {
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`--${name} is a whole number`)
  return Number(text)
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '50000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      path: { type: 'string' },
      workers: { type: 'string', default: '4' },
      json: { type: 'boolean', default: false },
    },
  })
  const { path, json } = values
  return {
    requests: number('requests', values.requests),
    seed: number('seed', values.seed),
    workers: Math.max(1, number('workers', values.workers)),
    json,
    ...(path !== undefined && { path }),
  }
}

function show({ seed, requests, sequences, answers, defects, foreignUntouched }: FuzzReport): string {
  const lines = [`seed ${seed}: ${requests} requests in ${sequences} sequences`]
  for (const [operation, counts] of Object.entries(answers))
    lines.push(
      `  ${operation.padEnd(24)} ${Object.entries(counts)
        .map(([status, count]) => `${status}×${count}`)
        .join('  ')}`,
    )
  for (const { operationId, name, detail, requests: sent, seed: at, path, count } of defects)
    lines.push(
      `\n${operationId}: ${name} (seen ${count} times; --seed ${at}${path ? ` --path ${path}` : ''})`,
      ...sent,
      `→ ${detail}`,
    )
  if (!foreignUntouched) lines.push('\nSomething of the other organisation was changed.')
  return `${lines.join('\n')}\n`
}

let options: ReturnType<typeof readOptions> | undefined
try {
  options = readOptions()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${USAGE}`)
  process.exitCode = 1
}
if (options) {
  const { json } = options
  process.stderr.write(`seed ${options.seed}\n`)
  await using google = await openGoogle()
  let told = Date.now()
  let known = 0
  const report = await fuzz(google, {
    ...options,
    onProgress({ requests, defects }) {
      for (const { operationId, name, seed } of defects.slice(known))
        process.stderr.write(`${operationId}: ${name} (--seed ${seed})\n`)
      known = defects.length
      if (Date.now() < told + 10 * SECOND_MS) return
      told = Date.now()
      process.stderr.write(`${requests} requests, ${defects.length} defects\n`)
    },
  })
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : show(report))
  process.exitCode = report.defects.length > 0 || !report.foreignUntouched ? 1 : 0
}
