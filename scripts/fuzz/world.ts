import { randomBytes } from 'node:crypto'
import { newMeeting, openTestApi } from '../../api/test-api.ts'
import type { CallerName, References } from './ask.ts'
import { learn, Pool } from './pool.ts'
import { openClient, type RawAnswer } from './send.ts'
import { PASSWORDS } from './values.ts'

const GOOGLE_LIMIT_SECONDS = 100
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

/** What an answer about somebody else's things must never hold. */
export interface Foreign {
  /** Stands in every free text of the other organisation, and is never sent. */
  marker: string
  /** Every id of it. */
  ids: ReadonlySet<string>
  pool: Pool
  /** All of it, as its administrator sees it. */
  look(): Promise<string>
}

/** An organisation for one sequence of requests. */
export interface Own {
  credentials: Record<CallerName, string | undefined>
  pool: Pool
  /** Keys of the callers themselves. */
  callerKeys: ReadonlySet<string>
  references: References
}

type Google = Parameters<typeof openTestApi>[0]

/**
 * The API on a world of its own, with another organisation that has one of everything, its marker in each text.
 * Limits on how often somebody may ask are on, and high.
 */
export async function openFuzzWorld(google: Google) {
  const api = await openTestApi(google, GOOGLE_LIMIT_SECONDS, {
    env: { TESTIGO_RATE_LIMIT: '100000', TESTIGO_SIGN_IN_RATE_LIMIT: '100000' },
  })
  const client = openClient(api.url)
  const call = async (key: string, method: string, target: string, body?: unknown): Promise<RawAnswer> => {
    const isForm = body instanceof URLSearchParams
    const payload = isForm ? body.toString() : body === undefined ? undefined : JSON.stringify(body)
    const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json'
    const headers = {
      ...(key && { authorization: `Bearer ${key}` }),
      ...(payload !== undefined && { 'content-type': type }),
    }
    return client.send({ method, target, headers, payload })
  }
  const foreign = await plantForeign(await api.keyOf(`Hospital ${MARKER}`), call)
  let organisations = 0
  return {
    url: api.url,
    foreign,
    send: client.send,
    async openOwn(): Promise<Own> {
      organisations += 1
      return openOwn(`Clínica ${organisations}`, api.keyOf, call, foreign)
    },
    async close() {
      client.close()
      await api.close()
    },
  }
}

export type FuzzWorld = Awaited<ReturnType<typeof openFuzzWorld>>

const MARKER = `SECRETO${randomBytes(6).toString('hex')}`
type Call = (key: string, method: string, target: string, body?: unknown) => Promise<RawAnswer>

function expectDone(answer: RawAnswer, what: string): Record<string, unknown> {
  if (answer.status >= 300) throw new Error(`${what} was answered with ${answer.status}: ${answer.text}`)
  return answer.text ? JSON.parse(answer.text) : {}
}

/** Meetings of a series are made for the next 400 days. */
function inDays(days: number): { start: string; end: string } {
  const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 + days * 86_400_000
  return { start: new Date(start).toISOString(), end: new Date(start + 3_600_000).toISOString() }
}

/** Where the things of an organisation are listed. */
const LISTS = ['/v1/meetings', '/v1/webhooks', '/v1/keys', '/v1/users', '/v1/audit', '/v1/retention']

async function plantForeign(key: string, call: Call): Promise<Foreign> {
  const pool = new Pool()
  const seen: string[] = []
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await call(key, method, path, body)
    const done = expectDone(answer, `${method} ${path} of the other organisation`)
    learn(pool, path.replace(/\?.*$/, '').replace(/\/[0-9a-f-]{36}/g, '/{id}'), answer, new Set())
    seen.push(answer.text)
    return done
  }
  const text = (what: string) => `${what} ${MARKER}`
  const meeting = newMeeting({
    topic: text('Junta'),
    description: text('Caso'),
    externalId: 'externo-1',
    participants: [{ email: 'ajena@hospital.example', name: text('Ajena'), role: 'host' }],
    related: { type: 'case', id: text('case') },
    customFields: { nota: text('nota') },
  })
  const { id: meetingId } = await ask('POST', '/v1/meetings', meeting)
  await ask('POST', '/v1/meetings', { ...meeting, externalId: 'externo-2', ...inDays(2) })
  await ask('POST', '/v1/meetings', {
    ...meeting,
    externalId: 'externo-3',
    ...inDays(3),
    recurrence: ['RRULE:FREQ=WEEKLY;COUNT=3'],
  })
  await ask('PATCH', `/v1/meetings/${meetingId}/retention`, {
    legalHold: true,
    legalHoldReason: text('Proceso'),
  })
  const { id: webhookId } = await ask('POST', '/v1/webhooks', {
    url: `https://127.0.0.1:9/${MARKER}`,
    description: text('ERP'),
  })
  await ask('POST', `/v1/webhooks/${webhookId}/test`)
  await ask('GET', `/v1/webhooks/${webhookId}/deliveries`)
  await ask('POST', '/v1/keys', { name: text('Clave'), role: 'admin' })
  const { id: userId } = await ask('POST', '/v1/users', {
    email: 'ajena@hospital.example',
    name: text('Ajena'),
    role: 'admin',
  })
  await ask('POST', `/v1/users/${userId}/password-link`)
  await ask('GET', '/v1/organization')
  for (const list of LISTS) await ask('GET', list === '/v1/webhooks' ? list : `${list}?limit=1`)
  const look = async () => {
    const texts = []
    const paths = [
      '/v1/meetings',
      '/v1/webhooks',
      '/v1/users',
      '/v1/organization',
      '/v1/organization/custom-fields',
    ]
    for (const path of [...paths, `/v1/meetings/${meetingId}`, `/v1/meetings/${meetingId}/retention`])
      texts.push((await call(key, 'GET', path)).text)
    return texts.join('\n')
  }
  await ask('GET', '/v1/me')
  return { marker: MARKER, ids: new Set(seen.flatMap(one => one.match(UUID) ?? [])), pool, look }
}

type KeyOf = Awaited<ReturnType<typeof openTestApi>>['keyOf']

async function openOwn(name: string, keyOf: KeyOf, call: Call, foreign: Foreign): Promise<Own> {
  const keys = {
    admin: await keyOf(name),
    service: await keyOf(name, 'service'),
    auditor: await keyOf(name, 'auditor'),
    external: await keyOf(name, 'external'),
  }
  const done = async (key: string, method: string, path: string, body?: unknown) =>
    expectDone(await call(key, method, path, body), `${method} ${path}`)
  const scopes = ['meetings:read']
  const limited = await done(keys.admin, 'POST', '/v1/keys', { name: 'limitada', role: 'service', scopes })
  const ids = await Promise.all(Object.values(keys).map(async key => (await done(key, 'GET', '/v1/me')).id))
  const callerKeys = new Set([...ids.map(id => String(id).replace('key:', '')), String(limited.id)])
  const pool = new Pool()
  const learnt = async (path: string, template: string, body?: unknown) => {
    const answer = await call(keys.admin, 'POST', path, body)
    learn(pool, template, answer, callerKeys)
    return expectDone(answer, `POST ${path}`)
  }
  const me = await done(keys.service, 'GET', '/v1/me')
  pool.add('organizations', me.organizationId)
  await learnt('/v1/meetings', '/v1/meetings', newMeeting({ externalId: 'XOMA-0' }))
  const weekly = { ...newMeeting(inDays(2)), recurrence: ['RRULE:FREQ=WEEKLY;COUNT=3'] }
  await learnt('/v1/meetings', '/v1/meetings', weekly)
  const { id } = await learnt('/v1/webhooks', '/v1/webhooks', { url: 'https://127.0.0.1:9/hook' })
  await learnt(`/v1/webhooks/${id}/test`, '/v1/webhooks/{id}/deliveries')
  const email = `jefa-${name.replace(/\D/g, '')}@clinica.example`
  const { id: userId } = await learnt('/v1/users', '/v1/users', { email, role: 'admin' })
  await learnt('/v1/keys', '/v1/keys', { name: 'clave', role: 'service' })
  return {
    credentials: {
      ...keys,
      client: await tokenFor(String(me.id).replace('key:', ''), keys.service, call),
      person: await signedIn(String(userId), email, keys.admin, pool, call),
      limited: String(limited.key),
      nobody: undefined,
      stranger: 'tk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    },
    pool,
    callerKeys,
    references: (whose, kind, at) => (whose === 'own' ? pool : foreign.pool).at(kind, at),
  }
}

/** A person with a password, who has signed in. */
async function signedIn(id: string, email: string, admin: string, pool: Pool, call: Call): Promise<string> {
  const ask = async (key: string, path: string, body: unknown) => {
    const answer = await call(key, 'POST', path, body)
    const done = expectDone(answer, `POST ${path}`)
    pool.add('refreshTokens', done.refreshToken)
    return done
  }
  const [password] = PASSWORDS
  const { token } = await ask(admin, `/v1/users/${id}/password-link`, undefined)
  await ask('', '/v1/auth/password', { token, password })
  return String((await ask('', '/v1/auth/sign-in', { email, password })).accessToken)
}

async function tokenFor(id: string, secret: string, call: Call): Promise<string> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret })
  const answer = await call('', 'POST', '/v1/oauth/token', form)
  return String(expectDone(answer, 'POST /v1/oauth/token').access_token)
}
