import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES, type Role } from '../db/roles.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { openApiDocument } from './openapi.ts'
import { type OperationId, PERMISSIONS, permissionOf, reachOf, scopesOf } from './permissions.ts'
import { type Answer, callApi, newMeeting, openTestApi, signInUser, type TestApi } from './test-api.ts'

type Thing = 'meeting' | 'series' | 'webhook' | 'delivery' | 'key' | 'user'

/** A request that works, for whoever may send it. */
interface Ask {
  /** What its address names. */
  of?: Thing
  body?: () => unknown
  status: number
}

let made = 0
const someEmail = () => {
  made += 1
  return `persona${made}@clinica.example`
}
const WEEKLY = ['RRULE:FREQ=WEEKLY;COUNT=2']
// Meetings of a series are made for the next 400 days.
const soon = () => {
  const start = Date.now() + 3 * 86_400_000
  return {
    start: new Date(start - (start % 1000)).toISOString(),
    end: new Date(start + 3_600_000).toISOString(),
  }
}
const newWebhook = () => ({ url: 'https://127.0.0.1:9/hook' })

// For each line of the permission table. What is for everybody is tried without signing in.
const ASKS: Record<OperationId, Ask | 'everybody'> = {
  createMeeting: { body: newMeeting, status: 201 },
  listMeetings: { status: 200 },
  getMeeting: { of: 'meeting', status: 200 },
  changeMeeting: { of: 'meeting', body: () => ({ topic: 'Otro' }), status: 200 },
  cancelMeeting: { of: 'meeting', status: 204 },
  getParticipants: { of: 'meeting', status: 200 },
  getRecording: { of: 'meeting', status: 200 },
  getSeries: { of: 'series', status: 200 },
  getCustomFields: { status: 200 },
  setCustomFields: { body: () => ({ schema: null }), status: 200 },
  createWebhook: { body: newWebhook, status: 201 },
  listWebhooks: { status: 200 },
  getWebhook: { of: 'webhook', status: 200 },
  changeWebhook: { of: 'webhook', body: () => ({ description: 'x' }), status: 200 },
  deleteWebhook: { of: 'webhook', status: 204 },
  rotateWebhookSecret: { of: 'webhook', body: () => ({}), status: 200 },
  testWebhook: { of: 'webhook', status: 202 },
  listWebhookDeliveries: { of: 'webhook', status: 200 },
  redeliverWebhook: { of: 'delivery', status: 202 },
  createKey: { body: () => ({ name: 'x', role: 'service' }), status: 201 },
  listKeys: { status: 200 },
  getKey: { of: 'key', status: 200 },
  revokeKey: { of: 'key', status: 204 },
  rotateKey: { of: 'key', body: () => ({}), status: 200 },
  createUser: { body: () => ({ email: someEmail(), role: 'auditor' }), status: 201 },
  listUsers: { status: 200 },
  getUser: { of: 'user', status: 200 },
  changeUser: { of: 'user', body: () => ({ role: 'service' }), status: 200 },
  createPasswordLink: { of: 'user', status: 201 },
  endUserSessions: { of: 'user', status: 204 },
  listAudit: { status: 200 },
  exportAudit: { status: 200 },
  getOrganization: { status: 200 },
  changeOrganization: { body: () => ({ language: 'en' }), status: 200 },
  previewRetention: { status: 200 },
  getMeetingRetention: { of: 'meeting', status: 200 },
  changeMeetingRetention: { of: 'meeting', body: () => ({ legalHold: false }), status: 200 },
  erasePerson: { body: () => ({ email: someEmail() }), status: 201 },
  getMe: { status: 200 },
  changeOwnPassword: { body: () => ({}), status: 422 },
  endOwnSessions: { status: 204 },
  signIn: 'everybody',
  refreshSession: 'everybody',
  signOut: 'everybody',
  setPassword: 'everybody',
  startGoogleSignIn: 'everybody',
  finishGoogleSignIn: 'everybody',
  createToken: 'everybody',
}

const LIST_OF: Partial<Record<OperationId, Thing>> = {
  listMeetings: 'meeting',
  listWebhooks: 'webhook',
  listKeys: 'key',
  listUsers: 'user',
}

/** What everybody with a role may read. */
const OF_NO_MEETING = new Set<string>(['getMe', 'getCustomFields'])

const OPERATIONS = Object.keys(PERMISSIONS) as OperationId[]
const EMAIL = 'externa@clinica.example'

let google: GoogleSandbox
let api: TestApi
/** An administrator of each organisation: the callers' own, and the other one. */
let admins: Record<'own' | 'other', string>
/** Each role by another way in. */
let callers: Record<Role, string>

beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, {
    env: { TESTIGO_RATE_LIMIT: '0', TESTIGO_SIGN_IN_RATE_LIMIT: '0' },
  })
  admins = { own: api.key, other: await api.keyOf('Hospital del Valle') }
  callers = {
    admin: await api.keyOf('Clínica Andina', 'admin'),
    service: await clientToken(await api.keyOf('Clínica Andina', 'service')),
    auditor: (await signInUser(api.url, api.key, { role: 'auditor', email: someEmail() })).accessToken,
    external: (await signInUser(api.url, api.key, { role: 'external', email: EMAIL })).accessToken,
  }
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

async function clientToken(key: string): Promise<string> {
  const { body } = await api.call('GET', '/v1/me', { key })
  const form = {
    grant_type: 'client_credentials',
    client_id: body.id.replace('key:', ''),
    client_secret: key,
  }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const text = new URLSearchParams(form).toString()
  const answer = await api.call('POST', '/v1/oauth/token', { text, headers, key: '' })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.access_token
}

async function makeThing(thing: Thing, key: string, invited?: string): Promise<Record<string, string>> {
  const post = async (path: string, body?: unknown) => {
    const answer = await api.call('POST', path, { key, ...(body === undefined ? {} : { body }) })
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300)
    return answer.body
  }
  switch (thing) {
    case 'meeting':
      return {
        id: (await post('/v1/meetings', newMeeting(invited ? { participants: [{ email: invited }] } : {})))
          .id,
      }
    case 'series': {
      const recurring = { ...(invited && { participants: [{ email: invited }] }), recurrence: WEEKLY }
      return { id: (await post('/v1/meetings', newMeeting({ ...soon(), ...recurring }))).series.id }
    }
    case 'key':
      return { id: (await post('/v1/keys', { name: 'x', role: 'service' })).id }
    case 'user':
      return { id: (await post('/v1/users', { email: someEmail(), role: 'auditor' })).id }
    case 'webhook':
      return { id: await webhookOf(key) }
    case 'delivery': {
      const id = await webhookOf(key)
      return { id, deliveryId: (await post(`/v1/webhooks/${id}/test`)).id }
    }
  }
}

// An organisation has room for few of them.
async function webhookOf(key: string): Promise<string> {
  const there = (await api.call('GET', '/v1/webhooks', { key })).body.items
  for (const { id } of there.slice(0, there.length > 15 ? 10 : 0))
    await api.call('DELETE', `/v1/webhooks/${id}`, { key })
  return (await api.call('POST', '/v1/webhooks', { key, body: newWebhook() })).body.id
}

async function ask(operation: OperationId, key: string, ids: Record<string, string> = {}): Promise<Answer> {
  const [method = '', path = ''] = PERMISSIONS[operation].route.split(' ')
  const { body } = ASKS[operation] as Ask
  const at = path.replace(/\{(\w+)\}/g, (_all, name) => ids[name] ?? '')
  return callApi(api.url, method, at, { key, ...(body && { body: body() }) })
}

describe.each(ROLES)('the role %s', role => {
  describe.each(OPERATIONS.filter(operation => ASKS[operation] !== 'everybody'))('with %s', operation => {
    const { of, status } = ASKS[operation] as Ask
    const reach = reachOf(operation, role)
    const key = () => callers[role]
    const isChange = !permissionOf(operation).route.startsWith('GET')

    if (!reach) {
      test.each(of ? (['own', 'other'] as const) : (['own'] as const))(
        'may not, in its %s organisation',
        async whose => {
          const ids = of ? await makeThing(of, admins[whose]) : {}
          const answer = await ask(operation, key(), ids)
          expect(answer.body.code).toBe('forbidden')
          expect(answer.status).toBe(403)
        },
      )
      return
    }
    if (!of) {
      test('may, and has to do with its own organisation alone', async () => {
        const listed = LIST_OF[operation]
        // What an external caller is invited to is its own too.
        const mine = listed && (await makeThing(listed, admins.own, EMAIL))
        const theirs = listed && (await makeThing(listed, admins.other, EMAIL))
        const answer = await ask(operation, key())
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
        if (listed) {
          const ids = await allIds(operation, key())
          expect(ids).toContain(mine?.id)
          expect(ids).not.toContain(theirs?.id)
        }
      })
      return
    }
    if (reach === 'all')
      test(`may, in its own organisation: ${status}`, async () => {
        const answer = await ask(operation, key(), await makeThing(of, admins.own))
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
      })
    else {
      test(`may, with what it made: ${status}`, async () => {
        const answer = await ask(operation, key(), await makeThing(of, key()))
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
      })
      test(`${isChange ? 'may not change' : 'may see'} what it is invited to`, async () => {
        const answer = await ask(operation, key(), await makeThing(of, admins.own, EMAIL))
        expect(answer.status).toBe(isChange ? 403 : status)
        if (isChange) expect(answer.body.code).toBe('meeting_not_yours')
      })
      test('does not learn of what is not its own', async () => {
        expect((await ask(operation, key(), await makeThing(of, admins.own))).status).toBe(404)
      })
    }
    test('does not learn of the other organisation’s: 404', async () => {
      const ids = await makeThing(of, admins.other, EMAIL)
      const answer = await ask(operation, key(), ids)
      expect(answer.status).toBe(404)
      const unknown = { id: crypto.randomUUID(), deliveryId: crypto.randomUUID() }
      const nothing = await ask(operation, key(), unknown)
      expect([answer.body.code, answer.body.detail]).toEqual([nothing.body.code, nothing.body.detail])
    })
  })
})

async function allIds(operation: OperationId, key: string): Promise<string[]> {
  const [, path = ''] = PERMISSIONS[operation].route.split(' ')
  const ids: string[] = []
  let cursor: string | null = null
  do {
    const query: string = `?limit=200${cursor ? `&cursor=${cursor}` : ''}`
    const { body } = await callApi(api.url, 'GET', operation === 'listWebhooks' ? path : path + query, {
      key,
    })
    ids.push(...body.items.map((item: { id: string }) => item.id))
    cursor = body.nextCursor ?? null
  } while (cursor)
  return ids
}

describe('without signing in', () => {
  test.each(OPERATIONS)('%s is as the table says', async operation => {
    const [method = '', path = ''] = PERMISSIONS[operation].route.split(' ')
    const isPublic = permissionOf(operation).roles === 'everybody'
    expect(isPublic).toBe(ASKS[operation] === 'everybody')
    const at = path.replace(/\{\w+\}/g, crypto.randomUUID())
    const answer = await callApi(api.url, method, at, method === 'GET' ? {} : { body: {} })
    if (isPublic) expect(['missing_api_key', 'forbidden']).not.toContain(answer.body.code)
    else expect(answer.body.code).toBe('missing_api_key')
  })
})

describe('the table', () => {
  test('and the OpenAPI document name the same operations at the same addresses', () => {
    const paths = openApiDocument().paths ?? {}
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods as Record<string, { operationId: string }>).map(
        ([method, { operationId }]) => [operationId, `${method.toUpperCase()} ${path}`] as const,
      ),
    )
    const named = OPERATIONS.map(operation => [operation, PERMISSIONS[operation].route] as const)
    expect(new Map(documented)).toEqual(new Map(named))
    expect(documented).toHaveLength(named.length)
  })

  test('holds external callers to their own meetings, and nobody else', () => {
    for (const operation of OPERATIONS) {
      const { roles, scope } = permissionOf(operation)
      if (roles === 'everybody') continue
      const ofMeetings =
        scope === 'meetings:read' || scope === 'meetings:write' || scope === 'recordings:read'
      expect(roles.external, operation).toBe(
        OF_NO_MEETING.has(operation) ? 'all' : ofMeetings ? 'own' : undefined,
      )
      for (const role of ['admin', 'service', 'auditor'] as const)
        expect(roles[role], operation).not.toBe('own')
    }
  })

  test.each(ROLES)('a key of the role %s that has one scope may use that one alone', async role => {
    const scopes = [...scopesOf(role)]
    for (const scope of scopes) {
      const body = { name: scope, role, scopes: [scope] }
      const { key } = (await api.call('POST', '/v1/keys', { key: admins.own, body })).body
      for (const operation of OPERATIONS) {
        if (ASKS[operation] === 'everybody' || !reachOf(operation, role)) continue
        const unknown = { id: crypto.randomUUID(), deliveryId: crypto.randomUUID() }
        const needed = permissionOf(operation).scope
        const answer = await ask(operation, key, unknown)
        if (needed === null || needed === scope)
          expect(['forbidden', 'scope_missing'], operation).not.toContain(answer.body?.code)
        else {
          expect(answer.body.code, operation).toBe('scope_missing')
          expect(answer.headers.get('www-authenticate')).toContain(`scope="${needed}"`)
        }
      }
    }
  })
})

test.each(['/v1/meetings/', '/V1/Meetings', '/v1/%6deetings', '/v1//meetings', '/v1/meetings/x/y/z', '/v1'])(
  'no other writing of an address gets past the table: %s',
  async path => {
    const key = callers.auditor
    const answer = await callApi(api.url, 'POST', path, { key, body: newMeeting() })
    expect([403, 404]).toContain(answer.status)
  },
)
