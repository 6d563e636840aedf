// The one wrapper for outside programs: every child has an owner, a limit and a last word.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

const STDERR_LINES_KEPT = 40
const STDERR_LINE_MAX_CHARS = 2_000

/** Why a child ended. `exited` covers every exit code; `stopped` means that our `stop()` came first. */
export type ChildEndReason = 'exited' | 'killed' | 'stopped' | 'timeout' | 'aborted' | 'not-started'

export interface ChildExit {
  reason: ChildEndReason
  code: number | null
  signal: NodeJS.Signals | null
  /** The last lines of standard error, newest last. */
  stderrTail: string
}

export interface ChildOptions {
  /** What the program is called in error sentences. */
  name: string
  /** How long `stop()`, a timeout or an abort waits after SIGTERM before SIGKILL goes to the whole process group. */
  killAfterMs?: number
  /** The longest the program may run. */
  timeoutMs?: number
  /** `pipe` gives a writable standard input, otherwise there is none. */
  stdin?: 'pipe' | 'none'
  signal?: AbortSignal
  env?: Record<string, string | undefined>
}

/** A running outside program. `exit` never rejects: how it ended is a value. */
export interface Child extends AsyncDisposable {
  pid: number | undefined
  stdin: Writable | null
  stdout: Readable
  exit: Promise<ChildExit>
  /** SIGTERM, then SIGKILL to the process group after `killAfterMs`; resolves when the program is gone. May be called twice. */
  stop(): Promise<ChildExit>
  /** SIGKILL to the process group as if it came from outside: the exit says `killed`. */
  kill(): void
}

/** An outside program that did not do its work; `reason` says how it ended and `stderrTail` its last words. */
export class ChildProcessFailed extends Error {
  readonly program: string
  readonly reason: ChildEndReason
  readonly exit: ChildExit

  constructor(program: string, exit: ChildExit) {
    super(describeExit(program, exit))
    this.name = 'ChildProcessFailed'
    this.program = program
    this.reason = exit.reason
    this.exit = exit
  }
}

/** One sentence about how a program ended, with its last words. */
export function describeExit(program: string, exit: ChildExit): string {
  const how = {
    exited: `ended with exit code ${exit.code}`,
    killed: `was killed by ${exit.signal}`,
    stopped: 'was stopped',
    timeout: 'took too long and was stopped',
    aborted: 'was cancelled',
    'not-started': 'could not be started (is it installed?)',
  }[exit.reason]
  const lastWords = exit.stderrTail.trim()
  return `${program} ${how}${lastWords === '' ? '' : `: ${lastWords}`}`
}

/**
 * Starts an outside program in a process group of its own. Standard output must be read by the caller
 * (`child.stdout`), standard error is kept as the last 40 lines.
 */
export function startChild(command: string, args: readonly string[], options: ChildOptions): Child {
  const killAfterMs = options.killAfterMs ?? 5_000
  const child = spawn(command, args, {
    detached: true,
    stdio: [options.stdin === 'pipe' ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env as NodeJS.ProcessEnv }),
  })
  const { stdin, stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error(`${options.name}: no pipes to read from`)
  const tail = keepTail(stderr)

  let endedBecause: ChildEndReason | undefined
  let killTimer: NodeJS.Timeout | undefined
  const endBecause = (reason: ChildEndReason) => {
    if (endedBecause !== undefined || child.exitCode !== null || child.signalCode !== null) return
    endedBecause = reason
    signalGroup(child, 'SIGTERM')
    killTimer = setTimeout(() => signalGroup(child, 'SIGKILL'), killAfterMs)
  }

  const timeout =
    options.timeoutMs === undefined ? undefined : setTimeout(() => endBecause('timeout'), options.timeoutMs)
  const onAbort = () => endBecause('aborted')
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })

  const exit = new Promise<ChildExit>(resolve => {
    const settle = (end: Omit<ChildExit, 'stderrTail'>, lastLine?: string) => {
      clearTimeout(timeout)
      clearTimeout(killTimer)
      options.signal?.removeEventListener('abort', onAbort)
      if (lastLine !== undefined) tail.push(lastLine)
      resolve({ ...end, stderrTail: tail.text() })
    }
    child.once('error', error => {
      if (child.pid === undefined) settle({ reason: 'not-started', code: null, signal: null }, error.message)
      else tail.push(error.message)
    })
    child.once('exit', () => {
      // Anything the program itself started and left behind goes with it.
      signalGroup(child, 'SIGKILL')
    })
    child.once('close', (code, signal) => {
      if (child.pid === undefined) return
      settle({ reason: endedBecause ?? (signal === null ? 'exited' : 'killed'), code, signal })
    })
  })
  // A program that dies while it is being written to answers EPIPE here; how it ended is told by `exit`.
  stdin?.on('error', error => tail.push(`standard input: ${error.message}`))

  const stop = () => {
    endBecause('stopped')
    return exit
  }
  return {
    pid: child.pid,
    stdin,
    stdout,
    exit,
    stop,
    kill: () => {
      // After its end its number may belong to another process.
      if (child.exitCode === null && child.signalCode === null) signalGroup(child, 'SIGKILL')
    },
    [Symbol.asyncDispose]: async () => {
      await stop()
    },
  }
}

/**
 * Runs a program to its end and gives what it printed. Throws `ChildProcessFailed` unless it exits with 0.
 * `maxStdoutBytes` (default 16 MiB) bounds the memory; a program that prints more is stopped.
 */
export async function runChild(
  command: string,
  args: readonly string[],
  options: ChildOptions & { timeoutMs: number; maxStdoutBytes?: number },
): Promise<{ stdout: string; stderrTail: string }> {
  await using child = startChild(command, args, options)
  const maxStdoutBytes = options.maxStdoutBytes ?? 16 * 1024 * 1024
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of child.stdout) {
    sizeBytes += (piece as Buffer).length
    if (sizeBytes > maxStdoutBytes) break
    pieces.push(piece as Buffer)
  }
  if (sizeBytes > maxStdoutBytes) throw new ChildProcessFailed(options.name, await child.stop())
  const exit = await child.exit
  if (exit.reason !== 'exited' || exit.code !== 0) throw new ChildProcessFailed(options.name, exit)
  return { stdout: Buffer.concat(pieces).toString('utf8'), stderrTail: exit.stderrTail }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // Gone between our look and our signal: that is what we wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function keepTail(stream: Readable) {
  const lines: string[] = []
  let rest = ''
  const push = (line: string) => {
    lines.push(line.slice(0, STDERR_LINE_MAX_CHARS))
    if (lines.length > STDERR_LINES_KEPT) lines.shift()
  }
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const parts = (rest + text).split(/[\r\n]+/)
    rest = (parts.pop() ?? '').slice(-STDERR_LINE_MAX_CHARS)
    for (const line of parts) push(line)
  })
  return { push, text: () => [...lines, rest].filter(line => line !== '').join('\n') }
}
