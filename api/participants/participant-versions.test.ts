import { randomUUID } from 'node:crypto'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { meetings, presences } from '../../db/schema.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const tagOf = ({ headers }: { headers: Headers }) => headers.get('etag') ?? ''
const get = (path: string) => api.call('GET', path)
const change = (path: string, ifMatch: string, body: object = { role: 'host' }) =>
  api.call('PATCH', path, { body, headers: { 'if-match': ifMatch } })
const remove = (path: string, ifMatch: string) =>
  api.call('DELETE', path, { headers: { 'if-match': ifMatch } })

async function make(changes: Record<string, unknown> = {}) {
  const { status, body } = await api.call('POST', '/v1/meetings', { body: newMeeting(changes) })
  expect(status, JSON.stringify(body)).toBe(201)
  return lookAt(body.id)
}

/** A meeting with one of those invited to it. */
async function lookAt(meetingId: string) {
  const { participants } = (await get(`/v1/meetings/${meetingId}`)).body
  const { id } = participants.find(({ email }: { email: string }) => email === 'luis@otra.example')
  const path = `/v1/meetings/${meetingId}/participants/${id}`
  return { id: id as string, meetingId, path, tag: tagOf(await get(path)) }
}
type Made = Awaited<ReturnType<typeof make>>

describe('the version of a participant', () => {
  test.each<[string, (made: Made) => Promise<unknown>]>([
    [
      'has answered the invitation',
      ({ id }) =>
        api.db.execute(
          sql`update participants set response = 'accepted', responded_at = now() where id = ${id}::uuid`,
        ),
    ],
    [
      'is in the call',
      async ({ meetingId }) => {
        const [row] = await api.db.select().from(meetings).where(eq(meetings.id, meetingId))
        const { organizationId = '' } = row ?? {}
        const stay = { source: 'google' as const, personKey: randomUUID(), joinedAt: new Date() }
        await api.db
          .insert(presences)
          .values({ id: randomUUID(), organizationId, meetingId, name: 'Luis Paz', ...stay })
      },
    ],
    [
      'is changed with the whole list of people',
      async ({ meetingId }) => {
        const participants = [{ email: 'luis@otra.example', name: 'Luis Gómez', role: 'host' }]
        const answer = await api.call('PATCH', `/v1/meetings/${meetingId}`, { body: { participants } })
        expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      },
    ],
  ])('is another one when somebody %s', async (_what, happens) => {
    const made = await make()
    await happens(made)
    expect(tagOf(await get(made.path))).not.toBe(made.tag)
    expect((await change(made.path, made.tag)).body.code).toBe('version_changed')
  })

  test('stays when others are changed', async () => {
    const { path, meetingId, tag } = await make()
    const [ana] = (await get(`/v1/meetings/${meetingId}`)).body.participants
    expect((await change(`/v1/meetings/${meetingId}/participants/${ana.id}`, '*')).status).toBe(200)
    expect((await change(path, tag)).status).toBe(200)
  })
})

describe('a change of a version of a participant', () => {
  test('is refused where it is not the one there is, and nobody is told of anything', async () => {
    const { path, meetingId, tag } = await make()
    const present = tagOf(await change(path, tag))
    const meeting = (await get(`/v1/meetings/${meetingId}`)).body
    const events = JSON.stringify([...google.state.events.values()])
    for (const answer of [await change(path, tag, { name: 'tarde' }), await remove(path, tag)]) {
      expect([answer.status, answer.body.code]).toEqual([412, 'version_changed'])
      expect(tagOf(answer)).toBe(present)
    }
    expect((await get(`/v1/meetings/${meetingId}`)).body).toEqual(meeting)
    expect(JSON.stringify([...google.state.events.values()])).toBe(events)
    expect((await remove(path, `"x", ${present}`)).status).toBe(204)
  })

  test('is made by one of many who come at once with the same', async () => {
    const { path, tag } = await make()
    const names = Array.from({ length: 4 }, (_, at) => `Luis ${at}`)
    const answers = await Promise.all(names.map(name => change(path, tag, { name })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
    const won = answers.find(({ status }) => status === 200)
    expect((await get(path)).body).toEqual(won?.body)
  })

  test('that takes them off is made once by many who come at once', async () => {
    const { path, meetingId, tag } = await make()
    const answers = await Promise.all([1, 2, 3].map(() => remove(path, tag)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404])
    expect((await get(`/v1/meetings/${meetingId}`)).body.participants).toHaveLength(1)
  })

  test('is refused for its version only where nothing else speaks against it', async () => {
    const { path, meetingId } = await make()
    expect((await change(path, '"x"', {})).body.code).toBe('invalid_request')
    expect((await change(path, '"x"', { role: 'boss' })).body.code).toBe('invalid_field')
    expect((await change(`${path}?scope=all`, '"x"')).body.code).toBe('not_in_series')
    const nobody = `/v1/meetings/${meetingId}/participants/${randomUUID()}`
    for (const ifMatch of ['"x"', '*']) {
      expect((await change(nobody, ifMatch)).body.code).toBe('participant_not_found')
      expect((await remove(nobody, ifMatch)).body.code).toBe('participant_not_found')
    }
    await api.call('DELETE', `/v1/meetings/${meetingId}`)
    expect((await change(path, '"x"')).body.code).toBe('meeting_closed')
    expect((await remove(path, '"x"')).body.code).toBe('meeting_closed')
  })

  test.each(['all', 'following'])('with scope %s is of the one in the meeting asked about', async scope => {
    const start = Math.floor(Date.now() / 1000) * 1000 + 86_400_000
    const [from, to] = [start, start + 3_600_000].map(at => new Date(at).toISOString())
    const { meetingId } = await make({ start: from, end: to, recurrence: ['RRULE:FREQ=WEEKLY;COUNT=3'] })
    const { series } = (await get(`/v1/meetings/${meetingId}`)).body
    const { items } = (await get(`/v1/meetings?series=${series.id}`)).body
    const [, second, third] = await Promise.all(items.map(({ id }: { id: string }) => lookAt(id)))
    const other = await change(third.path, third.tag, { name: 'Otro' })
    expect(other.status, JSON.stringify(other.body)).toBe(200)

    // The other one's version counts for nothing, as old as it is.
    for (const ifMatch of [third.tag, tagOf(other)])
      expect((await change(`${second.path}?scope=${scope}`, ifMatch)).body.code).toBe('version_changed')
    expect(tagOf(await get(third.path))).toBe(tagOf(other))

    const changed = await change(`${second.path}?scope=${scope}`, second.tag)
    expect(changed.status, JSON.stringify(changed.body)).toBe(200)
    expect(tagOf(await get(second.path))).toBe(tagOf(changed))
    expect((await get(third.path)).body).toMatchObject({ name: 'Otro', role: 'host' })
    expect((await remove(`${second.path}?scope=${scope}`, second.tag)).body.code).toBe('version_changed')
    expect((await get(third.path)).status).toBe(200)
    expect((await remove(`${second.path}?scope=${scope}`, tagOf(changed))).status).toBe(204)
    expect((await get(third.path)).body.code).toBe('participant_not_found')
  })
})
