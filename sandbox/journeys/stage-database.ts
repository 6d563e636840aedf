import { chmod, mkdir } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { migrateDatabase } from '../../db/connect.ts'
import { type DatabaseServer, startEmbeddedPostgres } from '../../db/embedded-postgres.ts'

/** A PostgreSQL that can be stopped and started again at the same address. */
export interface StageDatabase extends AsyncDisposable {
  url: string
  stop(): Promise<void>
  start(): Promise<void>
}

// Below the ports that Linux gives out by itself: nobody takes it while the server is down.
const FIRST_PORT = 15_000
const PORTS = 4_000

/** Starts it with its data in `dir`, tables made. */
export async function startStageDatabase(dir: string): Promise<StageDatabase> {
  await mkdir(dir, { recursive: true })
  await chmod(dir, 0o755)
  const port = await unusedPort()
  const begin = () => startEmbeddedPostgres(dir, { durable: false, port })
  let server: DatabaseServer | undefined = await begin()
  const { url } = server
  await migrateDatabase(url)
  const stop = async () => {
    const running = server
    server = undefined
    await running?.stop()
  }
  return {
    url,
    stop,
    async start() {
      server ??= await begin()
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function unusedPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS)
    if (!(await somebodyListens(port))) return port
  }
}

function somebodyListens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const tell = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => tell(true))
    socket.once('error', () => tell(false))
  })
}
