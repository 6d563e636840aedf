import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { isFault } from './fault.ts'
import { openTestGoogle, type TestGoogle } from './test-google.ts'

const HOST = 'agenda@clinica.example'
const GUEST = 'archivo@clinica.example'
const of = { subject: HOST }
const from = new Date('2026-12-01T00:00:00Z')
const [start, end] = ['2026-12-07T09:00:00-05:00', '2026-12-07T10:00:00-05:00']

const put = (at: TestGoogle, recurrence?: string[]) =>
  at.google.calendar.putEvent({
    meetingId: randomUUID(),
    topic: 'Junta',
    start: new Date(start),
    end: new Date(end),
    timeZone: 'America/Bogota',
    participants: [{ email: GUEST }],
    recurrence,
  })

test('everything is read once, and then only what changed', async () => {
  const at = await openTestGoogle()
  const { eventId } = await put(at)
  const first = await at.google.changes.readChanges(of, { from })
  expect(first.events.map(one => one.eventId)).toEqual([eventId])
  const second = await at.google.changes.readChanges(of, first)
  expect(second.events).toEqual([])
  await at.sandbox.personDoes({ do: 'respond', as: GUEST, eventId, response: 'accepted' })
  const third = await at.google.changes.readChanges(of, second)
  expect(third.events).toMatchObject([
    { eventId, attendees: [{ email: GUEST, response: 'accepted' }, { response: 'needs_action' }] },
  ])
})

test('what ended before the beginning is left out of a full reading', async () => {
  const at = await openTestGoogle()
  await put(at)
  const later = new Date('2026-12-08T00:00:00Z')
  expect((await at.google.changes.readChanges(of, { from: later })).events).toEqual([])
})

test('moved, renamed, without its link, and cancelled in the calendar: each is told', async () => {
  const at = await openTestGoogle()
  const { eventId } = await put(at)
  let { syncToken } = await at.google.changes.readChanges(of, { from })
  const next = async () => {
    const list = await at.google.changes.readChanges(of, { syncToken })
    syncToken = list.syncToken
    return list.events
  }
  const moved = { start: '2026-12-08T09:00:00-05:00', end: '2026-12-08T10:00:00-05:00' }
  await at.sandbox.personDoes({ do: 'change', as: HOST, eventId, title: 'Otra', ...moved })
  expect(await next()).toMatchObject([{ eventId, topic: 'Otra', sequence: 1, start: new Date(moved.start) }])
  await at.sandbox.personDoes({ do: 'change', as: HOST, eventId, meet: 'remove' })
  expect(await next()).toMatchObject([{ conference: { status: 'absent' } }])
  await at.sandbox.personDoes({ do: 'cancel', as: HOST, eventId })
  expect(await next()).toMatchObject([{ eventId, status: 'cancelled' }])
})

test('changes in a series come as the series and its exceptions, the cancelled ones bare', async () => {
  const at = await openTestGoogle()
  const { eventId } = await put(at, ['RRULE:FREQ=WEEKLY;COUNT=4'])
  const first = await at.google.changes.readChanges(of, { from })
  expect(first.events).toMatchObject([{ eventId, recurrence: ['RRULE:FREQ=WEEKLY;COUNT=4'] }])
  await at.sandbox.personDoes({ do: 'cancel', as: HOST, eventId: `${eventId}_20261214T140000Z` })
  const second = await at.google.changes.readChanges(of, first)
  expect(second.events).toMatchObject([
    {
      seriesId: eventId,
      status: 'cancelled',
      originalStart: new Date('2026-12-14T14:00:00Z'),
      start: null,
      meetingId: null,
    },
  ])
  const asked = { do: 'change', as: HOST, scope: 'following', title: 'Nueva' } as const
  const split = await at.sandbox.personDoes({ ...asked, eventId: `${eventId}_20261221T140000Z` })
  const third = await at.google.changes.readChanges(of, second)
  expect(third.events.map(one => one.eventId).sort()).toEqual([eventId, split.eventId].sort())
  const following = third.events.find(one => one.eventId === split.eventId)
  expect(following).toMatchObject({ topic: 'Nueva', recurrence: ['RRULE:FREQ=WEEKLY;COUNT=2'] })
})

test('a guest who is no longer invited is told that the event is gone', async () => {
  const at = await openTestGoogle()
  const { eventId } = await put(at)
  const first = await at.google.changes.readChanges({ subject: GUEST }, { from })
  expect(first.events).toMatchObject([{ eventId, isOrganizer: false }])
  await at.sandbox.personDoes({ do: 'change', as: HOST, eventId, uninvite: [GUEST] })
  const second = await at.google.changes.readChanges({ subject: GUEST }, first)
  expect(second.events).toMatchObject([{ eventId, status: 'cancelled' }])
})

test('pages are read to the end, empty ones too', async () => {
  const at = await openTestGoogle()
  await put(at)
  at.sandbox.faults.add({ kind: 'emptyPage', count: 2 })
  const list = await at.google.changes.readChanges(of, { from })
  expect(list.events).toHaveLength(1)
  expect(at.asked('events.list')).toBe(3)
})

test('a page that fails for a moment is read again, and nothing is lost', async () => {
  const at = await openTestGoogle()
  await put(at)
  at.sandbox.faults.add({ kind: 'error', method: 'events.list', status: 503 })
  at.sandbox.faults.add({ kind: 'cut', method: 'events.list' })
  expect((await at.google.changes.readChanges(of, { from })).events).toHaveLength(1)
})

test.each([
  [
    'too old',
    (at: TestGoogle) => {
      at.sandbox.expireSyncTokens()
    },
  ],
  [
    'one that Google cannot read',
    (at: TestGoogle) => {
      const message = 'Invalid sync token value.'
      at.sandbox.faults.add({ kind: 'error', method: 'events.list', status: 400, reason: 'invalid', message })
    },
  ],
  [
    'gone for a reason that nobody knows',
    (at: TestGoogle) => {
      at.sandbox.faults.add({ kind: 'error', method: 'events.list', status: 410, reason: 'deleted' })
    },
  ],
])(
  'a sync token that is %s is a fault of its own, and reading everything again works',
  async (_what, spoil) => {
    const at = await openTestGoogle()
    const { eventId } = await put(at)
    const first = await at.google.changes.readChanges(of, { from })
    spoil(at)
    const fault = await at.google.changes.readChanges(of, first).catch((error: unknown) => error)
    expect(isFault(fault, 'sync_token_expired')).toBe(true)
    expect(fault).toMatchObject({ service: 'calendar', retryable: false })
    const again = await at.google.changes.readChanges(of, { from })
    expect(again.events.map(one => one.eventId)).toEqual([eventId])
  },
)

test('the token of one calendar says nothing about another', async () => {
  const at = await openTestGoogle()
  const { syncToken } = await at.google.changes.readChanges(of, { from })
  const other = { subject: HOST, calendarId: GUEST }
  const fault = await at.google.changes.readChanges(other, { syncToken }).catch((error: unknown) => error)
  expect(isFault(fault, 'not_found')).toBe(true)
})
