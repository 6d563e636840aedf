import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import {
  type FollowingWorld,
  nothingLeft,
  openFollowingWorld,
  PUSHER,
  QUICK_GOOGLE,
  TOPIC,
} from '../calendar-following/following-world.ts'
import { callApi, openJobsOf, until } from '../test-api.ts'

const HOOK = '/v1/hooks/google/workspace-events'

let world: FollowingWorld<GoogleSandbox>
beforeAll(async () => {
  world = await openFollowingWorld(await openGoogle(QUICK_GOOGLE), {
    env: { TESTIGO_PUBSUB_TOPIC: TOPIC, TESTIGO_PUBSUB_EMAIL: PUSHER },
  })
  world.google.subscribeTopic({
    topic: TOPIC,
    endpoint: `${world.publicUrl}${HOOK}`,
    serviceAccountEmail: PUSHER,
  })
  await world.ready()
  await world.make()
  await until('what happens in calls is subscribed', async () => {
    const [row] = await world.api.db.execute<{ subscription: string | null }>(
      sql`select subscription from followed_calendars`,
    )
    return row?.subscription
  })
})
afterAll(() => world?.[Symbol.asyncDispose]())

const subscriptions = () =>
  [...world.google.state.subscriptions.values()].filter(({ targetResource }) => /users/.test(targetResource))
const soon = (minutes: number) => {
  const start = Date.now() + minutes * 60_000
  return { start: new Date(start).toISOString(), end: new Date(start + 1_800_000).toISOString() }
}
const ana = { id: 'ana-1', displayName: 'Ana Ruiz' }
const bot = { id: 'bot-1', displayName: 'Testigo', email: 'testigo@clinica.example' }
const jobOf = async (id: string) =>
  (await openJobsOf(world.api.db, id)).find(({ name }) => name === 'record-meeting')
const eventsOf = async (id: string) => {
  const rows = await world.api.db.execute<{ type: string }>(
    sql`select type from webhook_events where meeting_id = ${id} order by sequence`,
  )
  return rows.map(({ type }) => type)
}

describe('a subscription', () => {
  test('is made for all calls of the organizer, and renewed before it ends', async () => {
    const [one] = subscriptions()
    expect(world.google.state.subscriptions.size).toBe(1)
    expect(one).toMatchObject({ topic: TOPIC, state: 'ACTIVE' })
    if (!one) throw new Error('none')
    one.expiresAtMs = Date.now() + 3_600_000
    await world.api.db.execute(
      sql`update followed_calendars set subscription_expires_at = now() + interval '1 hour', upkeep_at = now()`,
    )
    await until('it lasts longer', () => (subscriptions()[0]?.expiresAtMs ?? 0) > Date.now() + 86_400_000)
    expect(subscriptions()[0]?.name).toBe(one.name)
  })

  test('that was suspended is woken, and one that expired is made anew', async () => {
    world.google.passLifecycle('suspended')
    await until('it is active', () => subscriptions()[0]?.state === 'ACTIVE')
    const before = subscriptions()[0]?.name
    world.google.passLifecycle('expired')
    await until('there is another one', () => subscriptions().some(({ name }) => name !== before))
  })
})

describe('a call', () => {
  test('that begins wakes the bot, and is told with who comes and leaves', async () => {
    const events = ['meeting.started', 'meeting.ended', 'participant.joined', 'participant.left']
    const hook = { url: 'http://127.0.0.1:9/hook', events }
    expect((await world.api.call('POST', '/v1/webhooks', { body: hook })).status).toBe(201)
    const { id, meetingCode } = await world.make(soon(10))
    const planned = await jobOf(id)
    expect(planned?.due.getTime()).toBeGreaterThan(Date.now() + 400_000)
    world.google.peopleAre(meetingCode, [ana])
    const begun = await world.becomes(id, ({ status }) => status === 'in_progress')
    await until('the bot is woken', async () => ((await jobOf(id))?.due.getTime() ?? 0) <= Date.now())
    const started = await world.becomes(id, ({ actualStart }) => actualStart !== null)
    expect(Math.abs(Date.parse(started.actualStart) - Date.now())).toBeLessThan(20_000)
    expect(begun.id).toBe(id)
    world.google.peopleAre(meetingCode, [])
    await until('all of it is told', async () => (await eventsOf(id)).length === 3)
    expect(await eventsOf(id)).toEqual(['meeting.started', 'participant.joined', 'participant.left'])
    await world.becomes(id, ({ actualEnd }) => actualEnd !== null)
    // People may come back before its scheduled end.
    expect(await world.read(id)).toMatchObject({ status: 'in_progress' })
  })

  test('that ends after its scheduled end, where no bot of ours is, ends the meeting', async () => {
    const { id, meetingCode } = await world.make(soon(10))
    world.google.peopleAre(meetingCode, [{ ...ana, id: 'ana-4' }])
    await until('it is told who came', async () => (await eventsOf(id)).length === 2)
    await nothingLeft(world.api)
    await world.api.db.execute(
      sql`update meetings set starts_at = now() - interval '1 hour', ends_at = now() where id = ${id}`,
    )
    world.google.peopleAre(meetingCode, [])
    const { actualStart, actualEnd } = await world.becomes(id, ({ status }) => status === 'ended')
    expect(Date.parse(actualEnd)).toBeGreaterThanOrEqual(Date.parse(actualStart))
    expect(await eventsOf(id)).toEqual([
      'meeting.started',
      'participant.joined',
      'participant.left',
      'meeting.ended',
    ])
  })

  test('tells who left also where only its end is told', async () => {
    const { id, meetingCode } = await world.make(soon(10))
    world.google.peopleAre(meetingCode, [{ ...ana, id: 'ana-0' }])
    await until('it is told who came', async () => (await eventsOf(id)).length === 2)
    world.google.faults.add({ kind: 'losePush', service: 'pubsub', method: 'participant.v2.left' })
    world.google.peopleAre(meetingCode, [])
    await world.becomes(id, ({ actualEnd }) => actualEnd !== null)
    expect(await eventsOf(id)).toEqual(['meeting.started', 'participant.joined', 'participant.left'])
  })

  test('in which only our bot is does not begin the meeting', async () => {
    const { id, meetingCode } = await world.make(soon(5))
    const pushes = world.pushed.length
    world.google.peopleAre(meetingCode, [bot])
    await until('both events were pushed', () => world.pushed.length >= pushes + 2)
    await until('both were followed', async () => {
      const jobs = await world.api.db.execute(
        sql`select from pgboss.job where name = 'follow-call' and state <= 'active'`,
      )
      return jobs.length === 0
    })
    expect(await world.read(id)).toMatchObject({ status: 'scheduled', actualStart: null })
  })

  test('days before the meeting is not its call', async () => {
    const { id, meetingCode } = await world.make()
    const planned = await jobOf(id)
    const pushes = world.pushed.length
    world.google.peopleAre(meetingCode, [{ ...ana, id: 'ana-2' }])
    await until('both events were pushed', () => world.pushed.length >= pushes + 2)
    expect(await world.read(id)).toMatchObject({ status: 'scheduled', actualStart: null })
    expect((await jobOf(id))?.due).toEqual(planned?.due)
  })

  test('whose events come twice is told once', async () => {
    const { id, meetingCode } = await world.make(soon(8))
    world.google.faults.add({ kind: 'duplicatePush', service: 'pubsub', count: 2 })
    const pushes = world.pushed.length
    world.google.peopleAre(meetingCode, [{ ...ana, id: 'ana-3' }])
    await until('all were pushed', () => world.pushed.length >= pushes + 4)
    expect(world.pushed.slice(pushes).every(({ status }) => status === 204)).toBe(true)
    await until('it is told', async () => (await eventsOf(id)).length === 2)
    const rows = await world.api.db.execute(sql`select from presences where meeting_id = ${id}`)
    expect(rows).toHaveLength(1)
    expect(await eventsOf(id)).toEqual(['meeting.started', 'participant.joined'])
  })
})

describe('a push of Pub/Sub', () => {
  const audience = () => `${world.publicUrl}${HOOK}`
  const good = () => ({ aud: audience(), email: PUSHER })
  const body = () => {
    const last = world.pushed.findLast(({ path }) => path === HOOK)
    return JSON.parse(last?.body ?? '{}') as unknown
  }
  const send = (token: string | undefined, text = JSON.stringify(body())) =>
    callApi(world.api.url, 'POST', HOOK, {
      text,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })

  test('without a token, or with one that is forged, over, for others or of others, is not let in', async () => {
    const token = world.google.identityToken(good())
    const [head = '', claims = '', signature = ''] = token.split('.')
    const forged = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object
    const rewritten = Buffer.from(JSON.stringify({ ...forged, email: PUSHER, exp: 9e9 })).toString(
      'base64url',
    )
    const unsigned = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url')
    const now = Math.floor(Date.now() / 1000)
    const wrong = [
      undefined,
      'nada',
      `${head}.${rewritten}.${signature}`,
      `${unsigned}.${claims}.`,
      world.google.identityToken({ ...good(), aud: 'https://otro.example' }),
      world.google.identityToken({ ...good(), email: 'otra@clinica-sandbox.iam.gserviceaccount.com' }),
      world.google.identityToken({ ...good(), iss: 'https://accounts.example' }),
      world.google.identityToken({ ...good(), iat: now - 8000, exp: now - 4000 }),
      world.google.identityToken({ ...good(), email_verified: false }),
    ]
    for (const token of wrong) {
      const answer = await send(token)
      expect([answer.status, answer.body.code]).toEqual([401, 'push_refused'])
    }
    expect((await send(token)).status).toBe(204)
  })

  test('waits for Google’s keys where they cannot be had, and is taken when they can', async () => {
    await world.google.rotateIdentityKeys()
    const token = world.google.identityToken(good())
    world.google.faults.add({ kind: 'error', service: 'certs', status: 500 })
    // Keys that were just read are not read again for some seconds, whoever sends unknown ones: until then it is refused.
    const statuses = new Set<number>()
    await until('the keys are asked for', async () => {
      const { status } = await send(token)
      statuses.add(status)
      return status === 503
    })
    expect(statuses).not.toContain(204)
    await until('it is let in', async () => (await send(token)).status === 204)
  })

  test('that nobody can read is taken, so that it does not come for days', async () => {
    expect((await send(world.google.identityToken(good()), '{"message":{}}')).status).toBe(204)
  })
})
