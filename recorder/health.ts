// node recorder/health.ts: exits 0 while the recorder of this machine takes jobs. For a container's health check.
import { hostname } from 'node:os'
import { readConfig } from '../config.ts'
import { postgresAt } from '../db/postgres-at.ts'

const CONNECT_SECONDS = 4

/**
 * The job queue writes a sign of life of each process that serves it, named by its host; three missed ones mean that the
 * process hangs or has lost the database.
 */
async function recorderLives(databaseUrl: string): Promise<boolean> {
  const sql = postgresAt(databaseUrl, { max: 1, connect_timeout: CONNECT_SECONDS })
  try {
    const [found] = await sql<{ lives: boolean }[]>`
      select exists (
        select from pgboss.instance
        where host = ${hostname()} and stopped_on is null
          and heartbeat_on > now() - heartbeat_seconds * 3 * interval '1 second'
      ) as lives`
    return found?.lives === true
  } finally {
    await sql.end({ timeout: 1 })
  }
}

try {
  const { databaseUrl } = readConfig(process.env)
  if (databaseUrl === undefined)
    throw new Error('DATABASE_URL is not set; a recorder in a container needs a PostgreSQL of its own')
  const lives = await recorderLives(databaseUrl)
  process.stdout.write(lives ? 'the recorder takes jobs\n' : 'the recorder gives no sign of life\n')
  process.exitCode = lives ? 0 : 1
} catch (error) {
  process.stderr.write(`the health of the recorder is not known: ${(error as Error).message}\n`)
  process.exitCode = 1
}
