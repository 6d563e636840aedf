// API and recorder on the sandbox for whoever works on Testigo; both start again when a file changes.
import { watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createApiKey } from '../db/api-keys.ts'
import { migrateDatabase, openDatabase } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { startSandbox } from '../sandbox/start.ts'
import { type ServiceProcess, startService } from './service-process.ts'

const root = join(import.meta.dirname, '..')
const WATCHED = ['api', 'db', 'google', 'recorder', 'storage', 'config.ts', 'log.ts', 'clock.ts']
const SERVICES = [
  { entry: 'api/main.ts', ready: /listens on (http:\/\/[^\s"]+)/i },
  { entry: 'recorder/main.ts', ready: /recorder .* is ready/ },
]
const SETTLE_MS = 300

const dataDir = join(root, '.testigo', 'dev')
await mkdir(dataDir, { recursive: true })
await using opened = new AsyncDisposableStack()
const postgres = opened.use(await startEmbeddedPostgres(dataDir))
await migrateDatabase(postgres.url)
const port = process.env.PORT ?? '8080'
const sandbox = opened.use(
  await startSandbox({ dir: join(dataDir, 'sandbox'), publicUrl: `http://127.0.0.1:${port}` }),
)
const database = opened.use(openDatabase(postgres.url))
const { key } = await createApiKey(database.db, {
  organization: 'Development',
  name: `dev-${Date.now()}`,
  role: 'admin',
})
const env = {
  ...process.env,
  ...sandbox.env,
  DATABASE_URL: postgres.url,
  TESTIGO_DATA_DIR: dataDir,
  PORT: port,
}
process.stdout.write(
  `API key: ${key}\nAPI: http://127.0.0.1:${port}/docs\nGoogle sandbox: ${sandbox.google.url}\nMeet sandbox control: ${sandbox.meetWeb.controlUrl}/_sandbox/meetings\n`,
)

let running: ServiceProcess[] = []
let work: Promise<void> = restart()
let timer: NodeJS.Timeout | undefined
for (const place of WATCHED) {
  watch(join(root, place), { recursive: true }, (_event, file) => {
    if (!file?.endsWith('.ts') || file.endsWith('.test.ts')) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      process.stdout.write(`${place}/${file} changed\n`)
      work = work.then(restart)
    }, SETTLE_MS)
  })
}
await new Promise<void>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
})
await work
await stopAll()
await opened.disposeAsync()
process.exit(0)

async function restart(): Promise<void> {
  await stopAll()
  try {
    running = await Promise.all(SERVICES.map(({ entry, ready }) => startService(entry, env, { ready })))
    for (const service of running)
      service.died.catch((error: Error) =>
        process.stderr.write(`${error.message}; save a file to start it again\n`),
      )
  } catch (error) {
    process.stderr.write(`${(error as Error).message}; save a file to try again\n`)
  }
}

async function stopAll(): Promise<void> {
  const old = running
  running = []
  await Promise.all(old.map(service => service.stop()))
}
