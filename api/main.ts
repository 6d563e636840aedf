// The API process: settings, database, tables, then HTTP, and all of it closed in order.
import { type Config, readConfig, SettingsRefused } from '../config.ts'
import { DatabaseUnusable, migrateDatabase } from '../db/connect.ts'
import { EmbeddedPostgresFailed, startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { createLog } from '../log.ts'
import { CannotListen, startApi } from './start.ts'

async function main(config: Config): Promise<void> {
  const log = createLog(config.logLevel, { process: 'api' })
  const stop = new Promise<string>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const databaseUrl = config.databaseUrl ?? server?.url ?? ''
  await migrateDatabase(databaseUrl)
  await using api = await startApi(config, { databaseUrl, log })
  process.stdout.write(`Testigo's API listens on ${api.url} (see ${api.url}/docs)\n`)
  log.info({ url: api.url }, 'api ready')
  const signal = await stop
  log.info({ signal }, 'api stops')
}

try {
  await main(readConfig(process.env))
} catch (error) {
  const plain = [SettingsRefused, CannotListen, EmbeddedPostgresFailed, DatabaseUnusable].some(
    kind => error instanceof kind,
  )
  const words =
    error instanceof Error ? (plain ? error.message : (error.stack ?? error.message)) : String(error)
  process.stderr.write(plain ? `${words}\n` : `The API cannot run: ${words}\n`)
  process.exitCode = 1
}
