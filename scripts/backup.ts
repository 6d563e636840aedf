// npm run backup -- --out <file>: everything that the database holds, in one file.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { backUpByCopy } from './backup/back-up.ts'
import { dump, findTool } from './backup/postgres-tools.ts'

const USAGE = `Use: npm run backup -- --out testigo-2031-03-04.backup [--method pg_dump | copy]
  Without --method: pg_dump where there is one that fits the server, else our own copy (docs/backup.md).`

class BadUsage extends Error {}

function readOptions(args: string[]): { out: string; method: string | undefined } {
  let values: { out?: string; method?: string }
  try {
    values = parseArgs({ args, options: { out: { type: 'string' }, method: { type: 'string' } } }).values
  } catch (error) {
    throw new BadUsage((error as Error).message, { cause: error })
  }
  if (!values.out) throw new BadUsage('--out is missing.')
  if (values.method !== undefined && !['pg_dump', 'copy'].includes(values.method))
    throw new BadUsage(`"${values.method}" is no method.`)
  return { out: values.out, method: values.method }
}

async function byDump(databaseUrl: string, out: string): Promise<string> {
  const part = `${out}.part`
  try {
    await dump(databaseUrl, part)
    const hash = createHash('sha256')
    for await (const piece of createReadStream(part) as AsyncIterable<Buffer>) hash.update(piece)
    await rename(part, out)
    return hash.digest('hex')
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

try {
  const { out, method } = readOptions(process.argv.slice(2))
  const config = readConfig(process.env)
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const databaseUrl = config.databaseUrl ?? server?.url ?? ''
  // What is dumped is for its owner only.
  process.umask(0o077)
  const tool = method === 'copy' ? undefined : await findTool('pg_dump', databaseUrl)
  if (method === 'pg_dump' && tool?.usable === false)
    throw new BadUsage(`pg_dump cannot be used: ${tool.because}.`)
  let sha256: string
  if (tool?.usable) {
    sha256 = await byDump(databaseUrl, out)
    process.stderr.write('Made by pg_dump.\n')
  } else {
    const made = await backUpByCopy(databaseUrl, out)
    sha256 = made.sha256
    process.stderr.write(
      `${tool ? `Copied, because ${tool.because}` : 'Copied'}: ${made.tables} tables, ${made.rows} rows.\n`,
    )
  }
  const { size } = await stat(out)
  process.stderr.write(
    `${out}: ${size} bytes. Keep it, and TESTIGO_ENCRYPTION_KEY apart from it: without that key webhooks and tokens cannot be signed.\n`,
  )
  process.stdout.write(`${sha256}  ${out}\n`)
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(error instanceof BadUsage ? `${message}\n${USAGE}\n` : `${message}\n`)
  process.exitCode = 1
}
