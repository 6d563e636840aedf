// npm run restore -- --from <file>: puts a backup into a database.
import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { restore } from './backup/restore.ts'

const USAGE = `Use: npm run restore -- --from testigo-2031-03-04.backup [--force]
  Stop every API and every recorder first. --force replaces all that the database holds.`

class BadUsage extends Error {}

function readOptions(args: string[]): { from: string; force: boolean } {
  let values: { from?: string; force?: boolean }
  try {
    values = parseArgs({ args, options: { from: { type: 'string' }, force: { type: 'boolean' } } }).values
  } catch (error) {
    throw new BadUsage((error as Error).message, { cause: error })
  }
  if (!values.from) throw new BadUsage('--from is missing.')
  return { from: values.from, force: values.force ?? false }
}

try {
  const { from, force } = readOptions(process.argv.slice(2))
  const config = readConfig(process.env)
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const chains = await restore(config.databaseUrl ?? server?.url ?? '', from, { force })
  for (const { organization, ok, message } of chains)
    process.stdout.write(`${ok ? 'ok' : 'BROKEN'}\t${organization}\t${message}\n`)
  if (chains.some(chain => !chain.ok)) {
    process.stderr.write('The rows are restored, but an audit log is not what it was: see above.\n')
    process.exitCode = 2
  } else process.stderr.write(`Restored: ${chains.length} organisations, their audit logs unbroken.\n`)
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(error instanceof BadUsage ? `${message}\n${USAGE}\n` : `${message}\n`)
  process.exitCode = 1
}
