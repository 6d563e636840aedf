import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditHash, verifyChain } from '../../db/audit.ts'
import { auditPending, organizations } from '../../db/schema.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { callApi, newMeeting, openTestApi, signInUser, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle({})
  api = await openTestApi(google)
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

interface Entry {
  seq: number
  at: string
  organizationId: string
  actor: string
  action: string
  subject: string
  detail: Record<string, unknown>
  prevHash: string
  hash: string
}
async function entries(query = ''): Promise<Entry[]> {
  const answer = await api.call('GET', `/v1/audit${query}`)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.items
}
const newest = async (query = '') => (await entries(query))[0]
const exported = async (query = ''): Promise<Entry[]> => {
  const answer = await fetch(`${api.url}/v1/audit/export${query}`, {
    headers: { authorization: `Bearer ${api.key}` },
  })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson/)
  const lines = (await answer.text()).split('\n')
  expect(lines.pop()).toBe('')
  return lines.map(line => JSON.parse(line))
}
const make = async (changes = {}) =>
  (await api.call('POST', '/v1/meetings', { body: newMeeting(changes) })).body

describe('what is done to a meeting', () => {
  test('is there at once: who, what, from where, before and after', async () => {
    const { id } = await make()
    await api.call('PATCH', `/v1/meetings/${id}`, {
      body: { end: '2031-03-04T11:30:00-05:00', timeZone: 'America/Bogota' },
      headers: { 'user-agent': 'XOMA/7', 'x-request-id': 'cambio-1' },
    })
    const subject = `?subject=meeting:${id}`
    expect(await newest(`${subject}&action=meeting.changed`)).toMatchObject({
      actor: `api_key:${api.key.slice(3, 11)}`,
      detail: {
        before: { end: '2031-03-04T16:00:00.000Z' },
        after: { end: '2031-03-04T16:30:00.000Z' },
        from: { ip: expect.stringMatching(/127\.0\.0\.1$/), userAgent: 'XOMA/7', requestId: 'cambio-1' },
      },
    })
    await api.call('DELETE', `/v1/meetings/${id}`)
    expect((await entries(subject)).map(entry => entry.action)).toEqual([
      'meeting.withdrawn',
      'meeting.cancelled',
      'meeting.provisioned',
      'meeting.changed',
      'meeting.provisioned',
      'meeting.created',
    ])
  })

  test('names people by the id of their row, and keeps no address, name or text', async () => {
    const { id } = await make({ topic: 'Paciente Zoila Rosa', description: 'diagnóstico reservado' })
    await api.call('PATCH', `/v1/meetings/${id}`, {
      body: { participants: [{ email: 'nueva@otra.example', name: 'Nueva Persona' }], topic: 'Otro secreto' },
    })
    const about = await entries(`?subject=meeting:${id}`)
    const text = JSON.stringify(about)
    for (const word of ['Zoila', 'reservado', 'ana@', 'luis@', 'nueva@', 'Nueva Persona', 'secreto'])
      expect(text).not.toContain(word)
    const { detail } = about.find(entry => entry.action === 'meeting.changed') as Entry
    const { before, after } = detail as Record<string, { participants: object[]; topic: object }>
    expect([before?.participants.length, after?.participants.length]).toEqual([2, 1])
    expect(after?.topic).toEqual({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/), length: 12 })
  })

  test('that was refused is not there', async () => {
    const before = (await newest())?.seq
    await api.call('POST', '/v1/meetings', { body: newMeeting({ end: 'never' }) })
    expect((await newest())?.seq).toBe(before)
  })
})

describe('webhooks and keys', () => {
  test('leave what was done to them, and none of their secrets', async () => {
    const url = 'https://127.0.0.1:9/hook?token=muysecreto'
    const { id, secret } = (await api.call('POST', '/v1/webhooks', { body: { url } })).body
    await api.call('PATCH', `/v1/webhooks/${id}`, { body: { status: 'disabled' } })
    await api.call('PATCH', `/v1/webhooks/${id}`, { body: { status: 'enabled' } })
    await api.call('POST', `/v1/webhooks/${id}/test`)
    const rotated = await api.call('POST', `/v1/webhooks/${id}/rotate-secret`, { body: {} })
    await api.call('DELETE', `/v1/webhooks/${id}`)
    const { key } = (await api.call('POST', '/v1/keys', { body: { name: 'x', role: 'service' } })).body
    const about = await entries(`?subject=webhook:${id}`)
    expect(about.map(entry => entry.action)).toEqual([
      'webhook.deleted',
      'webhook.secret_rotated',
      'webhook.tested',
      'webhook.changed',
      'webhook.changed',
      'webhook.created',
    ])
    expect(about[4]?.detail).toMatchObject({ before: { status: 'enabled' }, after: { status: 'disabled' } })
    const all = JSON.stringify(await entries('?limit=500'))
    for (const word of [secret, rotated.body.secret, 'muysecreto', key.slice(12)]) {
      expect(word.length).toBeGreaterThan(5)
      expect(all).not.toContain(word)
    }
  })
})

describe('the log', () => {
  test('is filtered, and read page by page without a hole', async () => {
    const user = await signInUser(api.url, api.key, { role: 'admin', email: 'jefe@clinica.example' })
    for (const language of ['en', 'es'])
      await api.call('PATCH', '/v1/organization', { body: { language }, key: user.accessToken })
    const mine = await entries(`?actor=user:${user.id}&action=organization.*`)
    expect(mine.map(entry => entry.action)).toEqual(['organization.changed', 'organization.changed'])
    expect(mine.every(entry => entry.actor === `user:${user.id}`)).toBe(true)
    expect(await entries('?action=organization')).toEqual([])
    expect(await entries('?action=%25.*')).toEqual([])
    const [last] = mine
    expect((await entries(`?from=${last?.at}&actor=user:${user.id}`)).length).toBeGreaterThan(0)
    expect((await entries(`?to=${last?.at}`)).every(entry => entry.at < (last?.at ?? ''))).toBe(true)

    const seen: number[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const answer = await api.call('GET', `/v1/audit?limit=7${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...answer.body.items.map((entry: Entry) => entry.seq))
      cursor = answer.body.nextCursor
    }
    expect(seen).toEqual(Array.from(seen, (_, at) => seen.length - at))
  })

  test.each(['?cursor=abc', `?cursor=${Buffer.from('[-1]').toString('base64url')}`])(
    'refuses the cursor %s',
    async query => {
      expect((await api.call('GET', `/v1/audit${query}`)).body.code).toBe('bad_cursor')
    },
  )

  test.each(['?limit=0', '?from=yesterday', '?who=me', '?action='])('refuses the query %s', async query => {
    expect((await api.call('GET', `/v1/audit${query}`)).body.code).toBe('invalid_query')
  })

  test('of another organisation is not seen', async () => {
    const key = await api.keyOf('Hospital del Valle')
    const theirs = await callApi(api.url, 'GET', '/v1/audit', { key })
    expect(theirs.body.items).toEqual([])
    const foreign = await callApi(api.url, 'GET', '/v1/audit/export', { key })
    expect(foreign.status).toBe(200)
    expect(foreign.body).not.toContain('meeting.created')
  })
})

describe('the export', () => {
  test('is the whole chain, which anybody can check with the documented hash', async () => {
    const lines = await exported()
    let prevHash = '0'.repeat(64)
    for (const [at, line] of lines.entries()) {
      expect(line).toMatchObject({ seq: at + 1, prevHash })
      expect(auditHash({ ...line, at: new Date(line.at) })).toBe(line.hash)
      prevHash = line.hash
    }
    const [{ organizationId = '' } = {}] = lines
    expect(await verifyChain(api.db, organizationId, { known: lines.slice(-1) })).toMatchObject({ ok: true })
    // That it was exported is in the log too.
    expect((await newest())?.action).toBe('audit.exported')
  })

  test('holds what fits the filter, the oldest first', async () => {
    const lines = await exported('?action=meeting.created')
    expect(lines.length).toBeGreaterThan(1)
    expect(new Set(lines.map(line => line.action))).toEqual(new Set(['meeting.created']))
    expect(lines.map(line => line.seq)).toEqual(lines.map(line => line.seq).sort((a, b) => a - b))
  })

  test('of many entries takes no more memory than a few pages, and stops when its reader goes away', async () => {
    const [organization] = await api.db
      .select()
      .from(organizations)
      .where(eq(organizations.name, 'Clínica Andina'))
    const note = (number: number) => ({
      organizationId: organization?.id ?? '',
      actor: 'test',
      action: 'many.made',
      subject: `many:${number}`,
      detail: { text: 'x'.repeat(2000) },
    })
    for (let at = 0; at < 20; at += 1)
      await api.db
        .insert(auditPending)
        .values(Array.from({ length: 1000 }, (_, number) => note(at * 1000 + number)))
    const abort = new AbortController()
    const answer = await fetch(`${api.url}/v1/audit/export?action=many.*`, {
      headers: { authorization: `Bearer ${api.key}` },
      signal: abort.signal,
    })
    const reader = answer.body?.getReader()
    let bytes = 0
    let most = 0
    const before = process.memoryUsage().rss
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
      bytes += chunk.value.length
      most = Math.max(most, process.memoryUsage().rss - before)
    }
    expect(bytes).toBeGreaterThan(40_000_000)
    expect(most).toBeLessThan(200 * 1024 * 1024)

    const cut = await fetch(`${api.url}/v1/audit/export`, {
      headers: { authorization: `Bearer ${api.key}` },
      signal: abort.signal,
    })
    await cut.body?.getReader().read()
    abort.abort()
    expect((await api.call('GET', '/v1/audit?limit=1')).status).toBe(200)
  }, 90_000)
})
