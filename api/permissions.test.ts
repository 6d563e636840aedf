import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES, type Role } from '../db/roles.ts'
import type { GoogleSandbox } from '../sandbox/google/server.ts'
import { openGoogle } from '../sandbox/google/test-google.ts'
import { openApiDocument } from './openapi.ts'
import { type OperationId, OUTSIDE_V1, PERMISSIONS, permissionOf, reachOf, scopesOf } from './permissions.ts'
import { type Answer, callApi, newMeeting, openTestApi, signInUser, type TestApi } from './test-api.ts'

type Thing = 'meeting' | 'participant' | 'series' | 'webhook' | 'delivery' | 'key' | 'user'

/** A request that works, for whoever may send it. */
interface Ask {
  /** What its address names. */
  of?: Thing
  body?: () => unknown
  /** In the place of a body in JSON. */
  file?: () => string
  query?: string
  status: number
  /** Keys and clients are told that only people do this. */
  peopleOnly?: true
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
const newFile = () => {
  const lines = [`UID:${crypto.randomUUID()}`, 'SUMMARY:Comité', 'DTSTART:20310304T150000Z', 'DURATION:PT1H']
  return ['BEGIN:VCALENDAR', 'BEGIN:VEVENT', ...lines, 'END:VEVENT', 'END:VCALENDAR', ''].join('\r\n')
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
  addParticipant: { of: 'meeting', body: () => ({ email: someEmail() }), status: 201 },
  getParticipant: { of: 'participant', status: 200 },
  changeParticipant: { of: 'participant', body: () => ({ role: 'host' }), status: 200 },
  removeParticipant: { of: 'participant', status: 204 },
  exportMeeting: { of: 'meeting', status: 200 },
  exportMeetings: { query: '?from=2031-01-01T00:00:00Z&to=2031-01-02T00:00:00Z', status: 200 },
  importMeetings: { file: newFile, status: 200 },
  getRecording: { of: 'meeting', status: 200 },
  findSeries: { query: '?externalId=none', status: 200 },
  exportSeries: { of: 'series', status: 200 },
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
  changeOwnPassword: {
    peopleOnly: true,
    body: () => ({ currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
    status: 204,
  },
  endOwnSessions: { peopleOnly: true, status: 204 },
  signIn: 'everybody',
  refreshSession: 'everybody',
  signOut: 'everybody',
  setPassword: 'everybody',
  startGoogleSignIn: 'everybody',
  finishGoogleSignIn: 'everybody',
  takeCalendarPush: 'everybody',
  takeWorkspaceEvent: 'everybody',
  createToken: 'everybody',
}

const LIST_OF: Partial<Record<OperationId, Thing>> = {
  listMeetings: 'meeting',
  listWebhooks: 'webhook',
  listKeys: 'key',
  listUsers: 'user',
}

/** What is everybody's with a role. */
const OF_NO_MEETING = new Set<string>(['getMe', 'changeOwnPassword', 'endOwnSessions', 'getCustomFields'])

const OPERATIONS = Object.keys(PERMISSIONS) as OperationId[]
/** The names of all that stands in addresses. */
const IDS = [
  ...new Set(
    OPERATIONS.flatMap(operation =>
      [...PERMISSIONS[operation].route.matchAll(/\{(\w+)\}/g)].map(([, id]) => id),
    ),
  ),
] as string[]
const EMAIL = 'externa@clinica.example'

/** The ways in; whatever the way, the role decides. */
const WAYS = ['API key', 'client token', 'person'] as const
type Way = (typeof WAYS)[number]

let google: GoogleSandbox
let api: TestApi
/** An administrator of each organisation: the callers' own, and the other one. */
let admins: Record<'own' | 'other', string>

beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google, undefined, {
    env: { TESTIGO_RATE_LIMIT: '0', TESTIGO_SIGN_IN_RATE_LIMIT: '0' },
  })
  admins = { own: api.key, other: await api.keyOf('Hospital del Valle') }
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const PASSWORD = 'caballo batería grapa'
const NEW_PASSWORD = 'otra contraseña larga'
// Half of an access token's life.
const USED_FOR_MS = 300_000
const callers = new Map<string, { credential: string; at: number }>()

/** A caller of a role by one of the ways in; the external person has the address {@link EMAIL}. */
async function callerOf(role: Role, way: Way): Promise<string> {
  const name = `${role} by ${way}`
  const held = callers.get(name)
  if (held && Date.now() - held.at < USED_FOR_MS) return held.credential
  const credential = await newCaller(role, way, way === 'person' && role === 'external' ? EMAIL : undefined)
  callers.set(name, { credential, at: Date.now() })
  return credential
}

async function newCaller(role: Role, way: Way, email = someEmail()): Promise<string> {
  if (way === 'API key') return api.keyOf('Clínica Andina', role)
  if (way === 'client token') return clientToken(await api.keyOf('Clínica Andina', role))
  const again = await api.call('POST', '/v1/auth/sign-in', { key: '', body: { email, password: PASSWORD } })
  if (again.status === 200) return again.body.accessToken
  return (await signInUser(api.url, api.key, { role, email, password: PASSWORD })).accessToken
}

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

const kept = new Map<string, Promise<Record<string, string>>>()
const spared = new Set<string>()

/** Something that is not changed by what is asked of it: by who only reads, or may not. */
async function someThing(thing: Thing, key: string, invited?: string): Promise<Record<string, string>> {
  const name = [thing, key, invited].join(' ')
  const there = kept.get(name) ?? makeThing(thing, key, invited)
  kept.set(name, there)
  spared.add((await there).id ?? '')
  return there
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
    case 'participant': {
      const people = [{ email: invited ?? someEmail() }]
      const { id, participants } = await post('/v1/meetings', newMeeting({ participants: people }))
      return { id, participantId: participants[0].id }
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
    if (!spared.has(id)) await api.call('DELETE', `/v1/webhooks/${id}`, { key })
  return (await api.call('POST', '/v1/webhooks', { key, body: newWebhook() })).body.id
}

async function ask(operation: OperationId, key: string, ids: Record<string, string> = {}): Promise<Answer> {
  const [method = '', path = ''] = PERMISSIONS[operation].route.split(' ')
  const { body, file, query = '' } = ASKS[operation] as Ask
  const at = path.replace(/\{(\w+)\}/g, (_all, name) => ids[name] ?? '') + query
  return callApi(api.url, method, at, {
    key,
    ...(body && { body: body() }),
    ...(file && { text: file(), headers: { 'content-type': 'text/calendar' } }),
  })
}

test.each(OPERATIONS)('what to ask with %s is known here', operation => {
  expect(ASKS[operation]).toBeDefined()
})

const MATRIX = ROLES.flatMap(role => WAYS.map(way => ({ role, way })))

describe.each(MATRIX)('the role $role by $way', ({ role, way }) => {
  describe.each(OPERATIONS.filter(operation => ASKS[operation] !== 'everybody'))('with %s', operation => {
    const { of, status, peopleOnly } = ASKS[operation] as Ask
    const reach = reachOf(operation, role)
    const isChange = !permissionOf(operation).route.startsWith('GET')
    const caller = () => callerOf(role, way)
    // What is only read, and what may not be changed, serves many.
    const toRead = isChange ? makeThing : someThing

    if (!reach) {
      test.each(of ? (['own', 'other'] as const) : (['own'] as const))(
        'may not, in its %s organisation',
        async whose => {
          const ids = of ? await someThing(of, admins[whose]) : {}
          const answer = await ask(operation, await caller(), ids)
          expect(answer.body.code).toBe('forbidden')
          expect(answer.status).toBe(403)
        },
      )
      return
    }
    if (peopleOnly) {
      test(way === 'person' ? `may, of itself: ${status}` : 'may not, being no person', async () => {
        const answer = await ask(operation, await newCaller(role, way))
        expect(answer.status, JSON.stringify(answer.body)).toBe(way === 'person' ? status : 403)
        if (way !== 'person') expect(answer.body.code).toBe('people_only')
      })
      return
    }
    if (!of) {
      test('may, and has to do with its own organisation alone', async () => {
        const key = await caller()
        const listed = LIST_OF[operation]
        // What an external person is invited to is its own too; a key has no address.
        const maker = reach === 'own' && way !== 'person' ? key : admins.own
        const mine = listed && (await someThing(listed, maker, EMAIL))
        const theirs = listed && (await someThing(listed, admins.other, EMAIL))
        const answer = await ask(operation, key)
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
        if (listed) {
          const ids = await allIds(operation, key)
          expect(ids).toContain(mine?.id)
          expect(ids).not.toContain(theirs?.id)
        }
      })
      return
    }
    if (reach === 'all')
      test(`may, in its own organisation: ${status}`, async () => {
        const answer = await ask(operation, await caller(), await toRead(of, admins.own))
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
      })
    else {
      test(`may, with what it made: ${status}`, async () => {
        const key = await caller()
        const answer = await ask(operation, key, await toRead(of, key))
        expect(answer.status, JSON.stringify(answer.body)).toBe(status)
      })
      if (way === 'person')
        test(`${isChange ? 'may not change' : 'may see'} what it is invited to`, async () => {
          const answer = await ask(operation, await caller(), await someThing(of, admins.own, EMAIL))
          expect(answer.status, JSON.stringify(answer.body)).toBe(isChange ? 403 : status)
          if (isChange) expect(answer.body.code).toBe('meeting_not_yours')
        })
      test('does not learn of what is not its own', async () => {
        expect((await ask(operation, await caller(), await someThing(of, admins.own))).status).toBe(404)
      })
    }
    test('does not learn of the other organisation’s: 404', async () => {
      const key = await caller()
      const answer = await ask(operation, key, await someThing(of, admins.other, EMAIL))
      expect(answer.status).toBe(404)
      const unknown = Object.fromEntries(IDS.map(name => [name, crypto.randomUUID()]))
      const nothing = await ask(operation, key, unknown)
      expect([answer.body.code, answer.body.detail]).toEqual([nothing.body.code, nothing.body.detail])
    })
  })
})

describe('what an administrator changes is in the audit log, with who did it and from where', () => {
  const changing = OPERATIONS.filter(
    operation => ASKS[operation] !== 'everybody' && !permissionOf(operation).route.startsWith('GET'),
  )
  test.each(changing)('%s', async operation => {
    const { of, status } = ASKS[operation] as Ask
    const email = someEmail()
    const person = await signInUser(api.url, api.key, { role: 'admin', email, password: PASSWORD })
    const ids = of ? await makeThing(of, admins.own) : {}
    const answer = await ask(operation, person.accessToken, ids)
    expect(answer.status, JSON.stringify(answer.body)).toBe(status)
    const { items } = (await api.call('GET', `/v1/audit?actor=user:${person.id}`)).body
    // Signing in is there in any case.
    const done = items.filter(({ action }: { action: string }) => !NOT_BY_IT.has(action))
    expect(done, operation).not.toEqual([])
    for (const { detail } of done) expect(detail.from.ip).toMatch(/127\.0\.0\.1$/)
  })
})
const NOT_BY_IT = new Set(['user.signed_in', 'user.password_set'])

test('all that was only read, or could not be changed, is as it was', async () => {
  for (const [name, made] of kept) {
    const [thing, key = ''] = name.split(' ')
    const list = { meeting: '/v1/meetings', webhook: '/v1/webhooks' }[thing as string]
    if (!list) continue
    const { id } = await made
    const answer = await api.call('GET', `${list}/${id}`, { key: key.startsWith('tk_') ? key : admins.own })
    expect(answer.status, name).toBe(200)
    expect(answer.body, name).toMatchObject(
      thing === 'meeting'
        ? { status: 'scheduled', topic: newMeeting().topic }
        : { status: 'enabled', description: null },
    )
  }
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

// Outside /v1, and the whole of it.
const OPEN = [
  ['getSigningKeys', 'GET /.well-known/jwks.json'],
  ['getHealth', 'GET /healthz'],
  ['getReadiness', 'GET /readyz'],
] as const

describe('the table', () => {
  test('and the OpenAPI document name the same operations at the same addresses', () => {
    const paths = openApiDocument().paths ?? {}
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods as Record<string, { operationId: string }>).map(
        ([method, { operationId }]) => [operationId, `${method.toUpperCase()} ${path}`] as const,
      ),
    )
    const named = OPERATIONS.map(operation => [operation, PERMISSIONS[operation].route] as const)
    expect(new Map<string, string>(documented)).toEqual(new Map<string, string>([...named, ...OPEN]))
    expect(documented).toHaveLength(named.length + OPEN.length)
    for (const [, route] of named) expect(route).toMatch(/^[A-Z]+ \/v1\//)
  })

  test.each(OPEN)(
    'leaves out, of the document, what has no caller: %s, %s, which everybody may ask',
    async (operation, route) => {
      expect(OUTSIDE_V1[operation]).toEqual({ route, scope: null, roles: 'everybody' })
      const [method = '', path = ''] = route.split(' ')
      expect((await callApi(api.url, method, path, {})).status).toBe(200)
    },
  )

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
        const unknown = Object.fromEntries(IDS.map(name => [name, crypto.randomUUID()]))
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
    const key = await callerOf('auditor', 'API key')
    const answer = await callApi(api.url, 'POST', path, { key, body: newMeeting() })
    expect([403, 404]).toContain(answer.status)
  },
)
