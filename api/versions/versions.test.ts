import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

const STRONG = /^"[\w-]{24}"$/
const made = async (changes: object = {}) => {
  const answer = await api.call('POST', '/v1/meetings', {
    body: newMeeting(changes as Record<string, unknown>),
  })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return { id: answer.body.id as string, path: `/v1/meetings/${answer.body.id}`, tag: tagOf(answer) }
}
const tagOf = ({ headers }: { headers: Headers }) => headers.get('etag') ?? ''
const get = (path: string, headers: Record<string, string> = {}) => api.call('GET', path, { headers })
const change = (path: string, ifMatch: string, body: object = { topic: 'Otro' }) =>
  api.call('PATCH', path, { body, headers: { 'if-match': ifMatch } })
const cancel = (path: string, ifMatch: string) =>
  api.call('DELETE', path, { headers: { 'if-match': ifMatch } })

describe('the version of a meeting', () => {
  test('is the same strong tag in the answers to POST, GET and PATCH as long as nothing changes', async () => {
    const { path, tag } = await made()
    expect(tag).toMatch(STRONG)
    expect([tagOf(await get(path)), tagOf(await get(path))]).toEqual([tag, tag])
    const changed = await api.call('PATCH', path, { body: { topic: 'Otro' } })
    expect(tagOf(changed)).toMatch(STRONG)
    expect(tagOf(changed)).not.toBe(tag)
    expect(tagOf(await get(path))).toBe(tagOf(changed))
  })

  test.each([
    ['people', sql`update participants set name = 'Otra' where meeting_id = `],
    ['its recording', sql`update recordings set status = 'recording' where meeting_id = `],
    ['when it began', sql`update meetings set actual_start = now() where id = `],
  ])('is another one when a job changes %s', async (_what, statement) => {
    const { id, path, tag } = await made()
    await api.db.execute(sql`${statement} ${id}::uuid`)
    expect(tagOf(await get(path))).not.toBe(tag)
    expect((await change(path, tag)).status).toBe(412)
  })

  test('that the caller has already is not sent again', async () => {
    const { path, tag } = await made()
    for (const header of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
      const answer = await get(path, { 'if-none-match': header })
      expect([answer.status, answer.body, tagOf(answer)], header).toEqual([304, '', tag])
    }
    const other = await get(path, { 'if-none-match': '"x"' })
    expect([other.status, other.body.id]).toEqual([200, path.split('/').at(-1)])
  })
})

describe('a change of a version', () => {
  test('is made where it is the one there is, or any', async () => {
    const { path, tag } = await made()
    const first = await change(path, tag)
    expect([first.status, first.body.topic]).toEqual([200, 'Otro'])
    const second = await change(path, `"x" , ${tagOf(first)}`, { topic: 'Otro más' })
    expect(second.status).toBe(200)
    expect((await change(path, '*')).status).toBe(200)
    expect((await cancel(path, tagOf(await get(path)))).status).toBe(204)
  })

  test('is refused where it is not, with the one there is, and nothing is changed', async () => {
    const { path, tag } = await made()
    const other = tagOf(await change(path, tag))
    const before = (await get(path)).body
    const events = JSON.stringify([...google.state.events.values()])
    for (const answer of [await change(path, tag, { topic: 'tarde' }), await cancel(path, tag)]) {
      expect([answer.status, answer.body.code]).toEqual([412, 'version_changed'])
      expect(tagOf(answer)).toBe(other)
    }
    expect((await get(path)).body).toEqual(before)
    expect(JSON.stringify([...google.state.events.values()])).toBe(events)
  })

  test('is made by one of many who come at once with the same', async () => {
    const { path, tag } = await made()
    const topics = Array.from({ length: 5 }, (_, at) => `tema ${at}`)
    const answers = await Promise.all(topics.map(topic => change(path, tag, { topic })))
    expect(answers.map(answer => answer.status).sort()).toEqual([200, 412, 412, 412, 412])
    const won = answers.find(answer => answer.status === 200)
    expect((await get(path)).body.topic).toBe(won?.body.topic)
  })

  test('that was cancelled meanwhile is no mistake of who wants to cancel it', async () => {
    const { path, tag } = await made()
    await cancel(path, tag)
    expect((await cancel(path, tag)).status).toBe(204)
    expect((await change(path, tag)).body.code).toBe('meeting_closed')
  })

  test('of a series, with all that follow, is refused for another version of the meeting', async () => {
    const start = Math.floor(Date.now() / 1000) * 1000 + 86_400_000
    const [from, to] = [start, start + 3_600_000].map(at => new Date(at).toISOString())
    const { id, path, tag } = await made({ start: from, end: to, recurrence: ['RRULE:FREQ=WEEKLY;COUNT=3'] })
    const seriesPath = `/v1/series/${(await get(`/v1/meetings/${id}`)).body.series.id}`
    const seriesTag = tagOf(await get(seriesPath))
    expect(seriesTag).toMatch(STRONG)
    expect((await change(`${path}?scope=all`, '"x"')).status).toBe(412)
    expect(tagOf(await get(seriesPath))).toBe(seriesTag)
    expect((await change(`${path}?scope=all`, tag)).status).toBe(200)
    expect(tagOf(await get(seriesPath))).not.toBe(seriesTag)
    expect((await get(seriesPath, { 'if-none-match': tagOf(await get(seriesPath)) })).status).toBe(304)
    expect((await cancel(`${path}?scope=all`, tag)).status).toBe(412)
  })

  test.each(['x', '"open', 'W/"x"', '"a" "b"', '"a", W/"b"', '*, "a"', ''])(
    'that cannot be read is refused: %s',
    async ifMatch => {
      const { path } = await made()
      for (const answer of [await change(path, ifMatch), await cancel(path, ifMatch)])
        expect([answer.status, answer.body.code]).toEqual([400, 'bad_if_match'])
    },
  )

  test('is refused where there are no versions', async () => {
    const headers = { 'if-match': '*' }
    const answers = [
      await api.call('POST', '/v1/meetings', { body: newMeeting(), headers }),
      await api.call('DELETE', '/v1/keys/5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d', { headers }),
    ]
    for (const answer of answers) expect([answer.status, answer.body.code]).toEqual([400, 'bad_if_match'])
  })

  test('is refused with the same words for a meeting that is not there, whatever the version', async () => {
    const path = '/v1/meetings/5f0e7a52-5a52-4c7f-9a51-0c4f1a2b3c4d'
    expect((await change(path, '"x"')).body.code).toBe('meeting_not_found')
    expect((await change(path, '*')).body.code).toBe('meeting_not_found')
  })
})

test.each<[string, () => Promise<string>, string, object, boolean]>([
  ['the organisation', async () => '/v1/organization', 'PATCH', { language: 'en' }, false],
  [
    'custom fields',
    async () => '/v1/organization/custom-fields',
    'PUT',
    { schema: { type: 'object' } },
    false,
  ],
  [
    'a webhook',
    () => madeAt('/v1/webhooks', { url: 'https://127.0.0.1:9/x' }),
    'PATCH',
    { description: 'x' },
    true,
  ],
  [
    'a user',
    () => madeAt('/v1/users', { email: 'a@clinica.example', role: 'auditor' }),
    'PATCH',
    { name: 'A' },
    false,
  ],
  [
    'a participant',
    async () => madeAt(`${(await made()).path}/participants`, { email: 'eva@otra.example' }),
    'PATCH',
    { name: 'Eva' },
    true,
  ],
  ['retention', async () => `${(await made()).path}/retention`, 'PATCH', { retentionDays: 30 }, false],
])('%s has a version too', async (_what, pathOf, method, body, deleted) => {
  const path = await pathOf()
  const tag = tagOf(await get(path))
  expect(tag).toMatch(STRONG)
  const put = (ifMatch: string) => api.call(method, path, { body, headers: { 'if-match': ifMatch } })
  expect((await put('"x"')).body.code).toBe('version_changed')
  expect(tagOf(await get(path))).toBe(tag)
  const changed = await put(tag)
  expect(changed.status, JSON.stringify(changed.body)).toBe(200)
  expect(tagOf(changed)).toBe(tagOf(await get(path)))
  expect(tagOf(changed)).not.toBe(tag)
  expect((await get(path, { 'if-none-match': tagOf(changed) })).status).toBe(304)
  if (!deleted) return
  expect((await cancel(path, tag)).body.code).toBe('version_changed')
  expect((await cancel(path, tagOf(changed))).status).toBe(204)
})

async function madeAt(path: string, body: object): Promise<string> {
  const answer = await api.call('POST', path, { body })
  expect(tagOf(answer)).toBe(tagOf(await get(answer.headers.get('location') ?? '')))
  return answer.headers.get('location') ?? ''
}
