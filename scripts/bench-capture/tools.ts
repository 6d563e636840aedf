// Xvfb and PulseAudio: what the usual way of recording a browser needs and ours does not.
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, runChild, startChild } from '../../recorder/capture/child-process.ts'

const START_LIMIT_MS = 15_000
const INSTALL_LIMIT_MS = 300_000
const TOOLS = { Xvfb: 'xvfb', pulseaudio: 'pulseaudio' }

/** The tools are missing and cannot be installed from here. */
export class ToolsMissing extends Error {}

/** Installs Xvfb and PulseAudio by apt where they are missing. Throws `ToolsMissing` with what to type. */
export async function installTools(): Promise<void> {
  const path = (process.env.PATH ?? '').split(':')
  const missing = Object.entries(TOOLS)
    .filter(([program]) => !path.some(folder => existsSync(join(folder, program))))
    .map(([, debianPackage]) => debianPackage)
  if (missing.length === 0) return
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  process.stderr.write(`bench: installing ${missing.join(' and ')}\n`)
  try {
    for (const args of [
      ['update', '-qq'],
      ['install', '-y', '-qq', '--no-install-recommends', ...missing],
    ]) {
      const [command = '', ...rest] = [...asRoot, 'apt-get', ...args]
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
      await runChild(command, rest, { name: 'apt-get', timeoutMs: INSTALL_LIMIT_MS, env })
    }
  } catch (error) {
    throw new ToolsMissing(`Install these first: apt-get install ${missing.join(' ')}`, { cause: error })
  }
}

/** An X display of this size. `displayfd` makes Xvfb choose a free number and say so when it is ready. */
export async function startDisplay(
  width: number,
  height: number,
): Promise<{ child: Child; display: string }> {
  const args = ['-displayfd', '1', '-screen', '0', `${width}x${height}x24`, '-nolisten', 'tcp']
  const child = startChild('Xvfb', args, { name: 'Xvfb' })
  const [number] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(START_LIMIT_MS) })
  child.stdout.resume()
  return { child, display: `:${String(number).trim()}` }
}

/** A sound server with one sink whose output can be recorded; `server` is what PULSE_SERVER must be. */
export async function startSoundServer(dir: string): Promise<{ child: Child; server: string }> {
  const socket = join(dir, 'pulse.sock')
  const child = startChild(
    'pulseaudio',
    [
      ...['-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--disable-shm=yes'],
      '--load=module-null-sink sink_name=meeting',
      `--load=module-native-protocol-unix socket=${socket} auth-anonymous=1`,
    ],
    { name: 'PulseAudio', env: { ...process.env, HOME: dir, PULSE_RUNTIME_PATH: dir } },
  )
  child.stdout.resume()
  const deadline = Date.now() + START_LIMIT_MS
  while (!existsSync(socket)) {
    if (Date.now() > deadline) throw new Error(`PulseAudio did not start: ${(await child.stop()).stderrTail}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return { child, server: `unix:${socket}` }
}
