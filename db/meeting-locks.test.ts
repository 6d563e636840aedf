import { afterAll, beforeAll, expect, test } from 'vitest'
import { openMeetingLocks } from './meeting-locks.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  server = await openTestDatabase()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Work that goes on until it is let go. */
function heldWork() {
  const begun = Promise.withResolvers<void>()
  const end = Promise.withResolvers<void>()
  const work = async () => {
    begun.resolve()
    await end.promise
    return 'done' as const
  }
  return { work, begun: begun.promise, end: end.resolve }
}

test('one meeting is worked on by one at a time, within a process and across processes', async () => {
  await using here = openMeetingLocks(server.url)
  await using there = openMeetingLocks(server.url)
  const first = heldWork()
  const working = here.alone('m1', 0, first.work)
  await first.begun
  expect(await here.alone('m1', 0, async () => 'too early')).toBe('busy')
  expect(await there.alone('m1', 0, async () => 'too early')).toBe('busy')
  expect(await there.alone('m2', 0, async () => 'another meeting')).toBe('another meeting')
  const waiting = there.alone('m1', 10_000, async () => 'my turn')
  first.end()
  expect(await working).toBe('done')
  expect(await waiting).toBe('my turn')
})

test('work that fails gives its meeting back', async () => {
  await using locks = openMeetingLocks(server.url)
  await expect(
    locks.alone('m1', 0, async () => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(await locks.alone('m1', 0, async () => 'again')).toBe('again')
})

test('a process that goes away in the middle gives its meetings back', async () => {
  const gone = openMeetingLocks(server.url)
  await using staying = openMeetingLocks(server.url)
  const work = heldWork()
  const cutOff = gone.alone('m1', 0, work.work)
  await work.begun
  await gone.close()
  expect(await staying.alone('m1', 5000, async () => 'taken over')).toBe('taken over')
  work.end()
  await expect(cutOff).rejects.toThrow()
})
