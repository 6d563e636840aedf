import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface ServiceProcess extends AsyncDisposable {
  pid: number
  /** What the ready line matched. */
  match: RegExpMatchArray
  /** Rejects when the service ends without being told to. Never resolves. */
  died: Promise<never>
  stop(): Promise<void>
}

const READY_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 60_000

export interface ServiceOptions {
  ready: RegExp
  signal?: AbortSignal
  /** Takes its output; standard error when absent. */
  onOutput?: (text: string) => void
  /** A command that starts the service by `exec`, such as `unshare`: its words, before the service's own. */
  startedBy?: readonly string[]
}

/**
 * Starts one of our services as a process of its own and waits until one of its lines says that it is ready.
 * Its output goes to standard error, so that a command's own answer stays clean.
 */
export async function startService(
  entry: string,
  env: Record<string, string | undefined>,
  { ready, signal, onOutput = text => process.stderr.write(text), startedBy = [] }: ServiceOptions,
): Promise<ServiceProcess> {
  const words = [...startedBy, process.execPath, join(import.meta.dirname, '..', entry)]
  const child = spawn(words[0] ?? '', words.slice(1), {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  if (child.pid !== undefined) endWith(process.pid, child.pid)
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  let stopping: Promise<void> | undefined
  const died = exited.then(([code, killedBy]) => {
    if (stopping) return new Promise<never>(() => undefined)
    throw new Error(`${entry} ended by itself (${killedBy ?? `exit code ${code}`})`)
  })
  // Who started the service decides what its death means; until somebody waits for it, it must not end this process.
  died.catch(() => undefined)
  const stop = () => {
    stopping ??= (async () => {
      if (child.exitCode === null && child.signalCode === null) {
        // As a person's Ctrl-C: a recorder that gets SIGTERM would wait for another one to take its calls over.
        child.kill('SIGINT')
        const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
        await exited
        clearTimeout(limit)
      }
    })()
    return stopping
  }
  const match = new Promise<RegExpMatchArray>((resolve, reject) => {
    let seen = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        onOutput(text)
        seen = (seen + text).slice(-20_000)
        const found = seen.match(ready)
        if (found) resolve(found)
      })
    }
    setTimeout(
      () => reject(new Error(`${entry} was not ready within ${READY_LIMIT_MS / 1000} s`)),
      READY_LIMIT_MS,
    ).unref()
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  try {
    const found = await Promise.race([match, died])
    return { pid: child.pid ?? 0, match: found, died, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

// A service whose starter was killed would run for ever, with browsers in calls that nobody ends.
const GUARD = `
while kill -0 "$1" 2>/dev/null && kill -0 "$2" 2>/dev/null; do sleep 2; done
kill -INT "$2" 2>/dev/null
`

/** Ends a process in order once another one is gone, whatever became of that. */
function endWith(starterPid: number, servicePid: number): void {
  const guard = spawn('sh', ['-c', GUARD, 'guard', String(starterPid), String(servicePid)], {
    stdio: 'ignore',
    detached: true,
  })
  // Without it a service may outlive its starter, no more.
  guard.on('error', error => process.stderr.write(`no guard for process ${servicePid}: ${error.message}\n`))
  guard.unref()
}
