import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clearOldBrowsers, clearOldWork } from './clear-work.ts'

test('only folders of jobs go, and only old ones; without a work folder there is nothing to do', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'testigo-work-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const root = join(dir, 'work')
  expect(await clearOldWork(root, Date.now())).toEqual([])
  const old = new Date(Date.now() - 25 * 3_600_000)
  for (const [name, at] of [
    ['finish-one', old],
    ['drive-two', new Date()],
    ['4657ae01-6db2-436c-ab47-5631d3a6d904', old],
  ] as const) {
    await mkdir(join(root, name), { recursive: true })
    await utimes(join(root, name), at, at)
  }
  expect(await clearOldWork(root, Date.now())).toEqual(['finish-one'])
  expect((await readdir(root)).sort()).toEqual(['4657ae01-6db2-436c-ab47-5631d3a6d904', 'drive-two'])
})

test('of browsers what is older than a call can be goes, and nothing of others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'testigo-work-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000)
  for (const [name, at] of [
    ['testigo-chromium-old', hoursAgo(31)],
    ['testigo-chromium-in-a-long-call', hoursAgo(27)],
    ['of-somebody-else', hoursAgo(100)],
  ] as const) {
    await mkdir(join(dir, name, 'profile'), { recursive: true })
    await utimes(join(dir, name), at, at)
  }
  expect(await clearOldBrowsers(dir, Date.now())).toEqual(['testigo-chromium-old'])
  expect((await readdir(dir)).sort()).toEqual(['of-somebody-else', 'testigo-chromium-in-a-long-call'])
})
