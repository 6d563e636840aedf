import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openMeetingLocks } from './meeting-locks.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  server = await openTestDatabase()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const fail = (error: unknown) => {
  throw error
}

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
  await using here = openMeetingLocks(server.url, fail)
  await using there = openMeetingLocks(server.url, fail)
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
  await using locks = openMeetingLocks(server.url, fail)
  await expect(
    locks.alone('m1', 0, async () => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(await locks.alone('m1', 0, async () => 'again')).toBe('again')
  expect(await locks.alone('m1', 0, async () => 'at once')).toBe('at once')
})

test('a process that goes away in the middle gives its meetings back', async () => {
  const errors: unknown[] = []
  const gone = openMeetingLocks(server.url, error => errors.push(error))
  await using staying = openMeetingLocks(server.url, fail)
  const work = heldWork()
  const cutOff = gone.alone('m1', 0, work.work)
  await work.begun
  await gone.close()
  expect(await staying.alone('m1', 5000, async () => 'taken over')).toBe('taken over')
  work.end()
  expect(await cutOff).toBe('done')
  await vi.waitFor(() => expect(errors).toEqual([expect.objectContaining({ code: 'CONNECTION_ENDED' })]))
})
