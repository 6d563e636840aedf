import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { hold, holderOf, isHolderGone, tryHold } from './folder-holder.ts'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-holder-'))
  path = join(dir, 'owner.json')
})
afterEach(async () => {
  await rm(dir, { recursive: true })
})

/** What a process in another container, or before the machine started anew, has written. */
async function holdElsewhere(): Promise<void> {
  hold(path).release()
  const here = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...here, place: 'elsewhere', released: false }))
}

test('a living process holds what it holds until it gives it up', async () => {
  const held = hold(path)
  expect(await isHolderGone(path)).toBe(false)
  expect(await holderOf(path)).toEqual({ pid: process.pid, here: true })
  expect(await tryHold(path)).toBeUndefined()
  held.release()
  expect(await isHolderGone(path)).toBe(true)
  const next = await tryHold(path)
  expect(next).toBeDefined()
  expect(await isHolderGone(path)).toBe(false)
  next?.release()
  expect(await readdir(dir)).toEqual(['owner.json'])
})

test('what nobody holds, or a power cut emptied, is free', async () => {
  expect(await isHolderGone(path)).toBe(true)
  await writeFile(path, '')
  expect(await isHolderGone(path)).toBe(true)
  expect(await holderOf(path)).toBeUndefined()
})

test('of many that want it at the same time one gets it', async () => {
  await writeFile(path, '')
  const held = (await Promise.all(Array.from({ length: 20 }, () => tryHold(path)))).filter(one => one)
  expect(held).toHaveLength(1)
  held[0]?.release()
  expect(await readdir(dir)).toEqual(['owner.json'])
})

test('a holder whose pid cannot be looked up from here lives as long as it gives signs of life', async () => {
  await holdElsewhere()
  expect(await holderOf(path)).toEqual({ pid: process.pid, here: false })
  const SILENT_MS = 300
  for (let sign = 1; sign <= 5; sign++) {
    const at = new Date(Date.now() - sign * 60_000)
    await utimes(path, at, at)
    // Its clock may be wrong, and ours: what counts is that the time changes.
    expect(await isHolderGone(path, SILENT_MS)).toBe(false)
  }
  const began = performance.now()
  await vi.waitFor(async () => expect(await isHolderGone(path, SILENT_MS)).toBe(true), {
    timeout: 5000,
    interval: 20,
  })
  expect(performance.now() - began).toBeGreaterThan(SILENT_MS - 50)
})
