// npm run migrate: brings the tables of the database to the newest version.
import { readConfig, SettingsRefused } from '../config.ts'
import { migrateDatabase } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'

try {
  const config = readConfig(process.env)
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  await migrateDatabase(config.databaseUrl ?? server?.url ?? '')
  process.stdout.write('The tables are up to date.\n')
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(
    error instanceof SettingsRefused
      ? `${message}\n`
      : `The tables could not be brought up to date: ${message}\n`,
  )
  process.exitCode = 1
}
