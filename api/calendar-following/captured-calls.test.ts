import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openJobsOf, until } from '../test-api.ts'
import {
  type FollowingWorld,
  inDays,
  type MeetingAt,
  meetingsWhere,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

const BOSS = 'direccion@clinica.example'

let world: FollowingWorld<GoogleSandbox>
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), {
    env: { TESTIGO_CAPTURE_CALENDARS: BOSS, TESTIGO_CAPTURE_ORGANIZATION: 'Clínica Andina' },
  })
  await world.ready()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const create = (more: object = {}) =>
  world.google.personDoes({ do: 'create', as: BOSS, ...inDays(2), title: 'Junta', ...more })
const living = (eventId: string): Promise<MeetingAt | undefined> =>
  meetingsWhere(world.api, sql`event_id = ${eventId} and organizer = ${BOSS} and status = 'scheduled'`).then(
    ([row]) => row,
  )
const eventOf = (eventId: string) => {
  const event = world.google.state.events.get(`${BOSS}/${eventId}`)
  if (!event) throw new Error('no event')
  return event
}

test('a call that was left out because it was known is recorded when the known one is cancelled', async () => {
  const { eventId: known } = await create()
  await until('it is a meeting', () => living(known))
  const { faults } = world.google
  faults.add({ kind: 'error', method: 'events.list', status: 403, reason: 'forbidden', count: 1000 })
  const { eventId: copy } = await create({ title: 'La misma' })
  const { conferenceData, hangoutLink } = eventOf(known).resource
  Object.assign(eventOf(copy).resource, structuredClone({ conferenceData, hangoutLink }))
  await world.google.personDoes({ do: 'cancel', as: BOSS, eventId: known })
  faults.clear()
  await world.api.db.execute(sql`update followed_calendars set sync_at = now()`)
  const row = await until('the other one is a meeting', () => living(copy))
  expect(await living(known)).toBeUndefined()
  const [job] = await openJobsOf(world.api.db, row.id)
  expect(job?.due.getTime()).toBe(new Date(row.starts_at).getTime() - 60_000)
})

test('a call is recorded although Google does not let the bot be invited yet; that is made up for', async () => {
  const { faults } = world.google
  faults.add({ kind: 'error', method: 'events.patch', status: 403, reason: 'quotaExceeded', count: 1000 })
  const { eventId } = await create()
  const row = await until('it is a meeting', () => living(eventId))
  expect((await openJobsOf(world.api.db, row.id)).map(({ name }) => name)).toEqual(['record-meeting'])
  await until('it is noted that all is to be read again', async () => {
    const [calendar] = await world.api.db.execute<{ unread: boolean }>(
      sql`select whole_at < '2000-01-01' as unread from followed_calendars where calendar = ${BOSS}`,
    )
    return calendar?.unread
  })
  faults.clear()
  await world.api.db.execute(sql`update followed_calendars set sync_at = now()`)
  await until('the bot is invited', () =>
    eventOf(eventId).resource.attendees?.some(({ email }) => email === 'testigo@clinica.example'),
  )
  await until('its room is known', async () => {
    const [room] = await world.api.db.execute<{ known: boolean }>(
      sql`select space_name is not null as known from meetings where id = ${row.id}`,
    )
    return room?.known
  })
})
