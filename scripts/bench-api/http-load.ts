import { connect, type Socket } from 'node:net'

/** What is sent: a whole HTTP/1.1 request. `expected` is the status of its answer. */
export interface Request {
  text: string
  expected: number
}

/** One request that was answered. */
interface Answered<R> {
  request: R
  /** From when the request was due to the end of its answer. */
  latencyMs: number
  /** Size of the answer's body. */
  bytes: number
}

export interface LoadResult<R> {
  answers: Answered<R>[]
  perSecond: number
}

interface Load<R extends Request> {
  url: string
  /** Connections, and with that requests on their way at once. */
  connections: number
  seconds: number
  next: () => R
  /** Is not counted: caches fill, code is compiled. */
  warmUpSeconds?: number
}

/** Every connection sends its next request as soon as it has the answer to the last: as fast as the server allows. */
export function loadClosed<R extends Request>(load: Load<R>): Promise<LoadResult<R>> {
  return run(load, async (connections, clock, record) => {
    await Promise.all(
      connections.map(async connection => {
        while (!clock.isOver()) {
          const sentAtMs = performance.now()
          const request = load.next()
          record(request, sentAtMs, await connection.ask(request))
        }
      }),
    )
  })
}

/**
 * Requests become due at random moments, so many a second on average, whatever the server does. One that finds all
 * connections taken waits, and its time counts from when it was due.
 */
export function loadOpen<R extends Request>(load: Load<R> & { perSecond: number }): Promise<LoadResult<R>> {
  return run(load, async (connections, clock, record) => {
    const free = [...connections]
    const due: number[] = []
    let running = 0
    let failed: unknown
    let allBack = () => {}
    const start = () => {
      while (due.length > 0 && free.length > 0) {
        const dueAtMs = due.shift() ?? 0
        const connection = free.pop() as Connection
        const request = load.next()
        running++
        connection
          .ask(request)
          .then(
            bytes => {
              record(request, dueAtMs, bytes)
              free.push(connection)
              start()
            },
            (error: unknown) => {
              failed ??= error
            },
          )
          .finally(() => {
            running--
            if (running === 0) allBack()
          })
      }
    }
    let nextAtMs = performance.now()
    while (!clock.isOver() && failed === undefined) {
      for (const nowMs = performance.now(); nextAtMs <= nowMs; ) {
        due.push(nextAtMs)
        nextAtMs += (-Math.log(1 - Math.random()) * 1000) / load.perSecond
      }
      start()
      await sleepUntil(nextAtMs)
    }
    due.length = 0
    if (running > 0) await new Promise<void>(resolve => (allBack = resolve))
    if (failed) throw failed
  })
}

interface RunClock {
  isOver(): boolean
}

async function run<R extends Request>(
  { url, connections: count, seconds, warmUpSeconds = 5 }: Load<R>,
  work: (
    connections: Connection[],
    clock: RunClock,
    record: (request: R, fromMs: number, bytes: number) => void,
  ) => Promise<void>,
): Promise<LoadResult<R>> {
  const { hostname, port } = new URL(url)
  const connections = await Promise.all(
    Array.from({ length: count }, () => openConnection(hostname, Number(port))),
  )
  try {
    const countedFromMs = performance.now() + warmUpSeconds * 1000
    const endMs = countedFromMs + seconds * 1000
    const answers: Answered<R>[] = []
    await work(connections, { isOver: () => performance.now() >= endMs }, (request, fromMs, bytes) => {
      if (fromMs >= countedFromMs) answers.push({ request, latencyMs: performance.now() - fromMs, bytes })
    })
    return { answers, perSecond: answers.length / ((performance.now() - countedFromMs) / 1000) }
  } finally {
    for (const connection of connections) connection.close()
  }
}

interface Connection {
  /** @returns the size of the answer's body @throws {Error} for another status than expected */
  ask(request: Request): Promise<number>
  close(): void
}

const ANSWER_LIMIT_MS = 60_000

function openSocket(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true })
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

// No client library: each request of one costs this machine as much as the answer to it.
async function openConnection(host: string, port: number): Promise<Connection> {
  let socket = await openSocket(host, port)
  let answer:
    | { request: Request; resolve: (bytes: number) => void; reject: (error: Error) => void }
    | undefined
  let parts: Buffer[] = []
  let wantedBytes = Number.POSITIVE_INFINITY
  let haveBytes = 0
  let headBytes = 0
  const fail = (error: Error) => {
    answer?.reject(error)
    answer = undefined
    socket.destroy()
  }
  const listen = () => {
    socket.on('data', chunk => {
      parts.push(chunk)
      haveBytes += chunk.length
      if (wantedBytes === Number.POSITIVE_INFINITY) {
        const all = parts.length === 1 ? chunk : Buffer.concat(parts)
        headBytes = all.indexOf('\r\n\r\n') + 4
        if (headBytes < 4) return
        const head = all.toString('latin1', 0, headBytes)
        const status = Number(head.slice(9, 12))
        const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? []
        if (length === undefined) return fail(new Error(`an answer without a length:\n${head}`))
        wantedBytes = headBytes + Number(length)
        if (status !== answer?.request.expected && haveBytes >= wantedBytes)
          return fail(new Error(`answered with ${all.toString()}\nto ${answer?.request.text}`))
      }
      if (haveBytes < wantedBytes) return
      const { resolve } = answer ?? {}
      const bodyBytes = wantedBytes - headBytes
      answer = undefined
      parts = []
      haveBytes = 0
      wantedBytes = Number.POSITIVE_INFINITY
      resolve?.(bodyBytes)
    })
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the server closed a connection')))
    socket.setTimeout(ANSWER_LIMIT_MS, () => fail(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`)))
  }
  listen()
  return {
    async ask(request) {
      // The server closes what nobody used for some seconds.
      if (socket.destroyed || socket.readyState !== 'open') {
        socket = await openSocket(host, port)
        listen()
      }
      return new Promise((resolve, reject) => {
        answer = { request, resolve, reject }
        socket.write(request.text)
      })
    },
    close: () => closeQuietly(socket),
  }
}

function closeQuietly(socket: Socket): void {
  socket.removeAllListeners('close')
  socket.destroy()
}

// A timer comes up to a millisecond late, and what is due meanwhile is sent together then.
function sleepUntil(atMs: number): Promise<void> {
  const leftMs = atMs - performance.now()
  return new Promise(resolve => (leftMs < 1 ? setImmediate(resolve) : setTimeout(resolve, leftMs)))
}

/** The value that so many percent of the values do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN
}
