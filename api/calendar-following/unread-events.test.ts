import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openMeetingLocks } from '../../db/meeting-locks.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { until } from '../test-api.ts'
import {
  type FollowingWorld,
  HOST,
  inDays,
  meetingsWhere,
  nothingLeft,
  openFollowingWorld,
  QUICK_GOOGLE,
} from './following-world.ts'

const BOSS = 'direccion@clinica.example'

let world: FollowingWorld<GoogleSandbox>
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), {
    pushes: false,
    pollSeconds: 1,
    env: {
      TESTIGO_GOOGLE_TIMEOUT_SECONDS: '2',
      TESTIGO_CAPTURE_CALENDARS: BOSS,
      TESTIGO_CAPTURE_ORGANIZATION: 'Clínica Andina',
    },
  })
  await world.ready()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const change = (eventId: string, to: object) =>
  world.google.personDoes({ do: 'change', as: HOST, eventId, ...to })
const rowOf = async () => {
  const [row] = await world.api.db.execute<{ failures: number; unread: boolean; token: string | null }>(
    sql`select failures, whole_at is not null and whole_at < '2000-01-01' as unread, sync_token as token
      from followed_calendars where calendar = ${HOST}`,
  )
  return row
}
async function made() {
  const { id } = await world.make()
  await nothingLeft(world.api)
  return { id: id as string, eventId: await world.eventOf(id) }
}

describe('an event that Google does not find', () => {
  const notFound = (count: number) =>
    world.google.faults.add({ kind: 'error', method: 'events.get', status: 404, reason: 'notFound', count })

  test('is not cancelled by that, however often it is said, and followed once it is found', async () => {
    const { id, eventId } = await made()
    notFound(1000)
    await change(eventId, { title: 'Más tarde' })
    await until('it was looked at in vain', async () => Number((await rowOf())?.failures) > 0)
    expect(await world.read(id)).toMatchObject({ status: 'scheduled' })
    world.google.faults.clear()
    const after = await world.becomes(id, ({ topic }) => topic === 'Más tarde', 30_000)
    expect(after.status).toBe('scheduled')
  }, 60_000)

  test('in a reading of everything keeps its meeting', async () => {
    const { id, eventId } = await made()
    world.google.state.events.delete(`${HOST}/${eventId}`)
    const asked = world.asked('events.get')
    await world.api.db.execute(sql`update followed_calendars set whole_at = null, sync_at = now()`)
    await until('it was asked for', () => world.asked('events.get') >= asked + 3)
    await until('everything was read', async () => {
      const [row] = await world.api.db.execute<{ whole: boolean }>(
        sql`select whole_at is not null as whole from followed_calendars where calendar = ${HOST}`,
      )
      return row?.whole
    })
    expect(await world.read(id)).toMatchObject({ status: 'scheduled' })
  }, 30_000)
})

test('a change that is given up is found by the next reading, which reads everything', async () => {
  const { id, eventId } = await made()
  await using locks = openMeetingLocks(world.api.databaseUrl, error => {
    throw error
  })
  await locks.alone(id, 1000, async () => {
    await change(eventId, { title: 'No se pudo' })
    const lookAgain = async () => {
      // As if it had been tried in vain for long.
      await world.api.db.execute(
        sql`update followed_calendars set failures = 5 where failures between 1 and 4`,
      )
      return (await rowOf())?.unread
    }
    await until('it was given up', lookAgain, 30_000)
  })
  await world.becomes(id, ({ topic }) => topic === 'No se pudo', 30_000)
  await until('nothing is left', async () => (await rowOf())?.unread === false, 30_000)
}, 90_000)

test('an event to which Google has no answer does not hold up the ones behind it', async () => {
  const { faults } = world.google
  const create = (title: string) =>
    world.google.personDoes({ do: 'create', as: BOSS, ...inDays(2), title, attendees: [] })
  const captured = async (eventId: string) => {
    const [row] = await meetingsWhere(world.api, sql`event_id = ${eventId} and organizer = ${BOSS}`)
    return row
  }
  const bad = await create('Sin respuesta')
  await until('it is a meeting', () => captured(bad.eventId))
  faults.add({ kind: 'error', method: 'events.list', status: 403, reason: 'forbidden', count: 1000 })
  await world.google.personDoes({ do: 'change', as: BOSS, eventId: bad.eventId, title: 'Otra' })
  const good = await create('La de detrás')
  faults.clear()
  faults.add({ kind: 'error', method: 'events.get', status: 503, count: 1000 })
  await world.api.db.execute(sql`update followed_calendars set failures = 0, sync_at = now()`)
  await until('the one behind is a meeting', () => captured(good.eventId), 30_000)
  expect(await captured(bad.eventId)).toMatchObject({ topic: 'Sin respuesta' })
  faults.clear()
  await until(
    'the other one is followed',
    async () => (await captured(bad.eventId))?.topic === 'Otra',
    60_000,
  )
}, 120_000)
