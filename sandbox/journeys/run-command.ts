import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface CommandResult {
  code: number | null
  stdout: string
  /** The lines of standard output that are JSON. */
  lines: Record<string, unknown>[]
  stderr: string
}

/**
 * Runs one of the scripts as a person's terminal does, on this Node, without settings of the tests' own environment.
 * @param limitMs after that it is killed, which shows as `code: null`
 */
export async function runCommand(
  script: string,
  args: readonly string[],
  { env = {}, limitMs }: { env?: Record<string, string>; limitMs: number },
): Promise<CommandResult> {
  const root = join(import.meta.dirname, '..', '..')
  const ordinary = Object.entries(process.env).filter(
    ([name]) => !/^(TESTIGO_|AWS_|DATABASE_URL$|CHROMIUM_ARGS$)/.test(name),
  )
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    env: { ...Object.fromEntries(ordinary), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const limit = setTimeout(() => child.kill('SIGTERM'), limitMs)
  const hardLimit = setTimeout(() => child.kill('SIGKILL'), limitMs + 20_000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(limit)
  clearTimeout(hardLimit)
  const lines = stdout
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Record<string, unknown>)
  return { code, stdout, lines, stderr }
}
