import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { postgresAt } from '../../db/postgres-at.ts'
import { PATIENT } from './tables.ts'

/** A program of PostgreSQL failed; the message ends with what it said last. */
export class ToolFailed extends Error {
  readonly code = 'tool_failed'
}

/** The settings of a connection as the environment that pg_dump and pg_restore read: nothing of it stands in their arguments. */
export function connectionEnvironment(databaseUrl: string): Record<string, string> {
  const { hostname, port, username, password, pathname, searchParams } = new URL(databaseUrl)
  const sslMode = searchParams.get('sslmode')
  return {
    PGHOST: searchParams.get('host') ?? decodeURIComponent(hostname).replace(/^\[|\]$/g, ''),
    PGPORT: port || '5432',
    PGUSER: decodeURIComponent(username),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    ...(password !== '' && { PGPASSWORD: decodeURIComponent(password) }),
    ...(sslMode !== null && { PGSSLMODE: sslMode }),
  }
}

/** Major version of a tool on this machine; undefined where there is none. */
async function toolVersion(tool: 'pg_dump' | 'pg_restore'): Promise<number | undefined> {
  try {
    const [, major] = /\) (\d+)/.exec(await run(tool, ['--version'], {})) ?? []
    return major === undefined ? undefined : Number(major)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Major version of the server. */
async function serverVersion(databaseUrl: string): Promise<number> {
  const sql = postgresAt(databaseUrl, PATIENT)
  try {
    const [row] = await sql<{ number: number }[]>`select current_setting('server_version_num')::int as number`
    return Math.floor((row?.number ?? 0) / 10_000)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** Whether this machine has a tool that fits the server, and why not: it must not be older than the server. */
export async function findTool(
  tool: 'pg_dump' | 'pg_restore',
  databaseUrl: string,
): Promise<{ usable: true } | { usable: false; because: string }> {
  const [own, server] = [await toolVersion(tool), await serverVersion(databaseUrl)]
  if (own === undefined) return { usable: false, because: `there is no ${tool} here` }
  if (own < server)
    return { usable: false, because: `${tool} is of version ${own}, the server of version ${server}` }
  return { usable: true }
}

/** Dumps the database in the custom format of pg_dump. */
export async function dump(databaseUrl: string, path: string): Promise<void> {
  const options = ['--format=custom', '--no-owner', '--no-privileges', '--lock-wait-timeout=30000']
  await run('pg_dump', [...options, `--file=${path}`], connectionEnvironment(databaseUrl))
}

/** Puts such a dump into an empty database, whole or not at all. */
export async function restoreDump(databaseUrl: string, path: string): Promise<void> {
  const environment = connectionEnvironment(databaseUrl)
  const options = ['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction']
  await run('pg_restore', [...options, `--dbname=${environment.PGDATABASE}`, path], environment)
}

const KEPT_CHARACTERS = 2000

async function run(tool: string, args: string[], environment: Record<string, string>): Promise<string> {
  const { PATH = '' } = process.env
  const child = spawn(tool, args, { env: { PATH, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained = (complained + text).slice(-KEPT_CHARACTERS)
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new ToolFailed(`${tool} failed: ${complained.trim() || `exit code ${code}`}`)
  return said
}
