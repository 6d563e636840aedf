import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clearOldWork } from './clear-work.ts'

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
