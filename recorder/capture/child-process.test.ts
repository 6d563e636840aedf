import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { ChildProcessFailed, runChild, startChild } from './child-process.ts'

const node = process.execPath

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function until(condition: () => boolean, limitMs = 5_000): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Starts a Node program and waits until it printed its first line. */
async function startNode(program: string, killAfterMs: number) {
  const child = startChild(node, ['-e', program], { name: 'program', killAfterMs })
  const first = await new Promise<string>(resolve =>
    child.stdout.once('data', data => resolve(String(data).trim())),
  )
  return { child, first }
}

test('a program that ends well gives its code and its last words', async () => {
  const child = startChild('sh', ['-c', 'echo out; echo err >&2'], { name: 'program' })
  expect(await text(child.stdout)).toBe('out\n')
  expect(await child.exit).toEqual({ reason: 'exited', code: 0, signal: null, stderrTail: 'err' })
})

test('a program that is not there ends as not-started instead of throwing later', async () => {
  const child = startChild('/no/such/program', [], { name: 'program' })
  const exit = await child.exit
  expect(exit.reason).toBe('not-started')
  expect(exit.stderrTail).toContain('ENOENT')
  expect((await child.stop()).reason).toBe('not-started')
})

test('stop is polite first, and may be called twice', async () => {
  const { child } = await startNode(
    `process.on('SIGTERM', () => { console.error('tidied up'); process.exit(0) }); setInterval(() => {}, 1000); console.log('ready')`,
    5_000,
  )
  const [first, second] = await Promise.all([child.stop(), child.stop()])
  expect(first).toEqual({ reason: 'stopped', code: 0, signal: null, stderrTail: 'tidied up' })
  expect(second).toBe(first)
})

test('a program deaf to SIGTERM is killed after the deadline', async () => {
  const { child } = await startNode(
    `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')`,
    100,
  )
  expect(await child.stop()).toMatchObject({ reason: 'stopped', signal: 'SIGKILL' })
})

test('what the program started goes with it, even when it is deaf', async () => {
  const grandchild = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`
  const { child, first } = await startNode(
    `const c = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}], { stdio: 'ignore' })
     console.log(c.pid); setInterval(() => {}, 1000)`,
    2_000,
  )
  const grandchildPid = Number(first)
  expect(isAlive(grandchildPid)).toBe(true)
  await child.stop()
  await until(() => !isAlive(grandchildPid))
})

test('a program killed from outside is told from one that was stopped', async () => {
  const { child } = await startNode(`setInterval(() => {}, 1000); console.log('ready')`, 5_000)
  process.kill(child.pid ?? 0, 'SIGKILL')
  expect(await child.exit).toMatchObject({ reason: 'killed', signal: 'SIGKILL' })
})

test('a program over its time limit is stopped and says so', async () => {
  const child = startChild('sleep', ['60'], { name: 'sleeper', timeoutMs: 50 })
  expect(await child.exit).toMatchObject({ reason: 'timeout', signal: 'SIGTERM' })
})

test('an abort signal ends the program, also one that was given too late', async () => {
  const abort = new AbortController()
  const child = startChild('sleep', ['60'], { name: 'sleeper', signal: abort.signal })
  abort.abort()
  expect((await child.exit).reason).toBe('aborted')
  const late = startChild('sleep', ['60'], { name: 'sleeper', signal: abort.signal })
  expect((await late.exit).reason).toBe('aborted')
})

test('only the last lines of an endless complaint are kept', async () => {
  const child = startChild('sh', ['-c', 'seq 1 100000 >&2'], { name: 'program' })
  child.stdout.resume()
  const lines = (await child.exit).stderrTail.split('\n')
  expect(lines.at(-1)).toBe('100000')
  expect(lines.length).toBeLessThanOrEqual(41)
})

test('writing to a program that died does not throw', async () => {
  const child = startChild('sh', ['-c', 'exec 0<&-; exit 3'], { name: 'program', stdin: 'pipe' })
  child.stdin?.write(Buffer.alloc(4 * 1024 * 1024))
  expect(await child.exit).toMatchObject({ reason: 'exited', code: 3 })
})

test('leaving a scope ends the program', async () => {
  let pid = 0
  {
    await using child = startChild('sleep', ['60'], { name: 'sleeper' })
    pid = child.pid ?? 0
    expect(isAlive(pid)).toBe(true)
  }
  expect(isAlive(pid)).toBe(false)
})

test('runChild throws with the reason and the last words when a program fails', async () => {
  const failed = runChild('sh', ['-c', 'echo no such thing >&2; exit 2'], {
    name: 'checker',
    timeoutMs: 5_000,
  })
  await expect(failed).rejects.toThrow(ChildProcessFailed)
  await expect(failed).rejects.toMatchObject({
    reason: 'exited',
    message: 'checker ended with exit code 2: no such thing',
  })
})

test('runChild stops a program that prints more than is wanted', async () => {
  const failed = runChild('yes', [], { name: 'yes', timeoutMs: 10_000, maxStdoutBytes: 100_000 })
  await expect(failed).rejects.toMatchObject({ reason: 'stopped' })
})
