import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chromiumSwitches } from './browser.ts'
import { launchTestBrowser } from './browser-for-tests.ts'
import { listProcessTree, stillRunning } from './process-tree.ts'

// A temporary folder of our own: other tests start browsers at the same time. Its name is short, since sockets lie deep in it.
const systems = process.env.TMPDIR
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tb-'))
  process.env.TMPDIR = dir
})
afterAll(async () => {
  if (systems === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = systems
  await rm(dir, { recursive: true, force: true })
})

/** What Chromium and we make in the temporary folder. */
async function temporaryFiles(): Promise<string[]> {
  return (await readdir(tmpdir())).filter(name => /^(testigo-chromium-|\.?org\.chromium\.)/.test(name))
}

test('the page has exactly the size and language that were asked for, and is visible', async () => {
  await using browser = await launchTestBrowser({ width: 1280, height: 720, language: 'es-CO' })
  const seen = await browser.page.evaluate(() => ({
    size: [innerWidth, innerHeight, devicePixelRatio],
    language: navigator.language,
    visible: document.visibilityState,
  }))
  expect(seen).toEqual({ size: [1280, 720, 1], language: 'es-CO', visible: 'visible' })
})

test('stop ends every process and removes its temporary files, also when called twice', async () => {
  const before = await temporaryFiles()
  const browser = await launchTestBrowser()
  const tree = await listProcessTree(browser.pid)
  expect(tree.length).toBeGreaterThan(3)
  await Promise.all([browser.stop(), browser.stop()])
  expect(await stillRunning(tree)).toEqual([])
  expect((await temporaryFiles()).filter(name => !before.includes(name))).toEqual([])
  expect((await browser.closed).reason).toBe('stopped')
})

test('a killed Chromium is noticed, its processes end and nothing of it is left', async () => {
  const before = await temporaryFiles()
  const browser = await launchTestBrowser()
  const tree = await listProcessTree(browser.pid)
  process.kill(browser.pid, 'SIGKILL')
  expect(await browser.closed).toEqual({ reason: 'killed', detail: 'signal SIGKILL' })
  await browser.stop()
  expect(await stillRunning(tree)).toEqual([])
  expect((await temporaryFiles()).filter(name => !before.includes(name))).toEqual([])
})

test('a tab that hangs does not hold up the end', async () => {
  const browser = await launchTestBrowser()
  const tree = await listProcessTree(browser.pid)
  // Never answers: the page is busy from then on.
  browser.page
    .evaluate(() => {
      for (;;);
    })
    .catch(() => undefined)
  await browser.stop()
  expect(await stillRunning(tree)).toEqual([])
})

test('a given profile is kept and used again with one tab', async () => {
  const profileDir = join(dir, 'profile')
  await using first = await launchTestBrowser({ profileDir })
  await first.stop()
  expect(existsSync(join(profileDir, 'Default'))).toBe(true)
  await using second = await launchTestBrowser({ profileDir })
  expect((await second.browser.pages()).length).toBe(2)
})

test('nothing of ours listens on other interfaces than loopback', async () => {
  await using _browser = await launchTestBrowser()
  const own = new Set<string>()
  for (const fd of await readdir('/proc/self/fd')) {
    const target = await import('node:fs/promises').then(({ readlink }) =>
      readlink(`/proc/self/fd/${fd}`).catch(() => ''),
    )
    const inode = /socket:\[(\d+)\]/.exec(target)?.[1]
    if (inode !== undefined) own.add(inode)
  }
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/self/net/${name}`, 'utf8')))
  const listening = tables.flatMap(table =>
    table
      .trim()
      .split('\n')
      .slice(1)
      .map(line => line.trim().split(/\s+/))
      .filter(fields => fields[3] === '0A' && own.has(fields[9] ?? '')),
  )
  expect(listening.map(fields => fields[1])).toEqual([])
})

test('a Chromium that is not there is refused with what to do', async () => {
  const before = await temporaryFiles()
  const launching = launchTestBrowser({ chromiumPath: '/no/such/chromium' })
  await expect(launching).rejects.toMatchObject({
    name: 'BrowserDidNotStart',
    reason: 'not-found',
    message: expect.stringContaining('CHROMIUM_PATH'),
  })
  expect((await temporaryFiles()).filter(name => !before.includes(name))).toEqual([])
})

test('switches given twice are put together with ours and the sandbox stays on unless told', () => {
  const settings = { chromiumPath: 'x', width: 1, height: 1, language: 'en-US' }
  const args = ['--disable-features=A', '--disable-features=B']
  expect(chromiumSwitches({ ...settings, sandbox: true, chromiumArgs: args })).toContain(
    '--disable-features=A,B',
  )
  expect(chromiumSwitches({ ...settings, sandbox: true, chromiumArgs: [] })).not.toContain('--no-sandbox')
  expect(chromiumSwitches({ ...settings, sandbox: false, chromiumArgs: [] })).toContain('--no-sandbox')
})

test('a Chromium whose sandbox is not to be had is refused with what to do', async () => {
  const chromiumArgs = ['--disable-namespace-sandbox', '--disable-setuid-sandbox']
  await expect(launchTestBrowser({ sandbox: true, chromiumArgs })).rejects.toMatchObject({
    reason: 'sandbox-blocked',
    message: expect.stringContaining('TESTIGO_CHROMIUM_SANDBOX=off'),
  })
})

test('a Chromium that only vanishes with its sandbox and runs without it is known for that', async () => {
  const chromium = process.env.CHROMIUM_PATH || '/usr/bin/chromium'
  const chromiumPath = join(dir, 'chromium-in-a-bad-container')
  const lines = [
    '#!/bin/sh',
    'case " $* " in *" --no-sandbox "*) ;; *) exit 1 ;; esac',
    `exec ${chromium} "$@"`,
  ]
  await writeFile(chromiumPath, `${lines.join('\n')}\n`, { mode: 0o755 })
  await expect(launchTestBrowser({ sandbox: true, chromiumPath })).rejects.toMatchObject({
    reason: 'sandbox-blocked',
  })
})

test('an impolite stop ends a browser that hangs at once', async () => {
  const browser = await launchTestBrowser()
  const tree = await listProcessTree(browser.pid)
  process.kill(browser.pid, 'SIGSTOP')
  // Commands that it never reads: its pipes then end with an error.
  for (let count = 0; count < 5; count++) browser.page.evaluate(() => 1).catch(() => undefined)
  const from = performance.now()
  await browser.stop({ politely: false })
  expect(performance.now() - from).toBeLessThan(2_000)
  expect(await stillRunning(tree)).toEqual([])
})

test('why a page crashed is known from Chromium itself', async () => {
  await using browser = await launchTestBrowser()
  const session = await browser.page.createCDPSession()
  session.send('Page.crash').catch(() => 'the page is gone, as asked')
  await expect.poll(() => browser.lastCrash(), { timeout: 5_000 }).toMatch(/^crashed \(code \d+\)$/)
})
