import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, signInUser, type TestApi, until } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs })
  const clock = { now: nowMs, sleep: async () => {} }
  api = await openTestApi(google, undefined, { clock, env: { TESTIGO_SIGN_IN_RATE_LIMIT: '0' } })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
let made = 0
const someEmail = () => {
  made += 1
  return `persona${made}@clinica.example`
}
const someone = (email = someEmail(), admin = api.key) =>
  signInUser(api.url, admin, { role: 'auditor', email })
const post = (path: string, body: object, key = '') => api.call('POST', path, { body, key })
const signIn = (email: string, password: string, more: object = {}) =>
  post('/v1/auth/sign-in', { email, password, ...more })
const refresh = (refreshToken: string) => post('/v1/auth/refresh', { refreshToken })
const works = async (key: string) => (await api.call('GET', '/v1/me', { key })).status === 200

describe('a user', () => {
  test('is made by an administrator, sets a password once by a link, and signs in', async () => {
    const email = someEmail()
    const body = { email: email.toUpperCase(), name: 'Ana Ruiz', role: 'auditor' }
    const user = await post('/v1/users', body, api.key)
    expect(user.status).toBe(201)
    expect(user.body).toMatchObject({
      email,
      role: 'auditor',
      status: 'enabled',
      hasPassword: false,
      lastSignInAt: null,
    })
    expect((await post('/v1/users', body, api.key)).body.code).toBe('email_taken')
    const link = await post(`/v1/users/${user.body.id}/password-link`, {}, api.key)
    const password = 'caballo batería grapa'
    expect((await post('/v1/auth/password', { token: link.body.token, password })).status).toBe(204)
    const again = await post('/v1/auth/password', {
      token: link.body.token,
      password: 'otra contraseña larga',
    })
    expect(again.body.code).toBe('password_link_not_found')
    const entered = await signIn(email, password)
    expect(entered.status, JSON.stringify(entered.body)).toBe(200)
    expect(entered.body.user).toMatchObject({ id: user.body.id, hasPassword: true })
    const me = await api.call('GET', '/v1/me', { key: entered.body.accessToken })
    expect(me.body).toMatchObject({ kind: 'user', id: `user:${user.body.id}`, email, role: 'auditor' })
  })

  test('has one link at a time, and it works for three days', async () => {
    const { id } = await someone()
    const link = async () => (await post(`/v1/users/${id}/password-link`, {}, api.key)).body.token
    const password = 'otra contraseña larga'
    const [first, second] = [await link(), await link()]
    expect((await post('/v1/auth/password', { token: first, password })).status).toBe(404)
    skippedMs += 72 * HOUR_MS + 1000
    expect((await post('/v1/auth/password', { token: second, password })).status).toBe(404)
    expect((await post('/v1/auth/password', { token: await link(), password })).status).toBe(204)
  })

  test('who gets a new password is signed out everywhere', async () => {
    const { id, accessToken, refreshToken } = await someone()
    const { token } = (await post(`/v1/users/${id}/password-link`, {}, api.key)).body
    await post('/v1/auth/password', { token, password: 'otra contraseña larga' })
    expect(await works(accessToken)).toBe(false)
    expect((await refresh(refreshToken)).body.code).toBe('wrong_refresh_token')
  })

  test('who is disabled is out at once, cannot come back, and can when enabled again', async () => {
    const email = someEmail()
    const { id, accessToken, refreshToken, password } = await someone(email)
    const set = (status: string) => api.call('PATCH', `/v1/users/${id}`, { body: { status } })
    expect((await set('disabled')).body.status).toBe('disabled')
    expect(await works(accessToken)).toBe(false)
    expect((await refresh(refreshToken)).status).toBe(401)
    expect((await signIn(email, password)).body.code).toBe('wrong_credentials')
    expect((await post(`/v1/users/${id}/password-link`, {}, api.key)).body.code).toBe('user_disabled')
    await set('enabled')
    expect((await signIn(email, password)).status).toBe(200)
    expect((await refresh(refreshToken)).status).toBe(401)
  })

  test('has a new role from the next request on', async () => {
    const { id, accessToken: key } = await someone()
    expect((await api.call('POST', '/v1/meetings', { key, body: newMeeting() })).status).toBe(403)
    await api.call('PATCH', `/v1/users/${id}`, { body: { role: 'service' } })
    expect((await api.call('POST', '/v1/meetings', { key, body: newMeeting() })).status).toBe(201)
  })

  test('who is an administrator cannot lock themselves out', async () => {
    const { id, accessToken: key } = await signInUser(api.url, api.key, { role: 'admin', email: someEmail() })
    for (const body of [{ role: 'auditor' }, { status: 'disabled' }])
      expect((await api.call('PATCH', `/v1/users/${id}`, { key, body })).body.code).toBe('not_yourself')
    expect((await api.call('PATCH', `/v1/users/${id}`, { key, body: { name: 'Yo' } })).status).toBe(200)
  })

  test.each([
    ['too short', 'corta', 'invalid_field'],
    ['the same letters over and over', 'aaaaaaaaaaaaaaaa', 'invalid_field'],
  ])('cannot have a password that is %s', async (_what, password, code) => {
    const { id } = await someone()
    const { token } = (await post(`/v1/users/${id}/password-link`, {}, api.key)).body
    expect((await post('/v1/auth/password', { token, password })).body.code).toBe(code)
  })

  test('of an administrator cannot be taken over by a key that manages users only', async () => {
    const { id } = await signInUser(api.url, api.key, { role: 'admin', email: someEmail() })
    const limited = { name: 'x', role: 'admin', scopes: ['users:manage'] }
    const { key } = (await post('/v1/keys', limited, api.key)).body
    expect((await post(`/v1/users/${id}/password-link`, {}, key)).body.code).toBe('beyond_own_scopes')
    const another = { email: someEmail(), role: 'admin' }
    expect((await post('/v1/users', another, key)).body.code).toBe('beyond_own_scopes')
    const { id: auditor } = await someone()
    const raised = await api.call('PATCH', `/v1/users/${auditor}`, { key, body: { role: 'admin' } })
    expect(raised.body.code).toBe('beyond_own_scopes')
  })

  test('of two organisations signs in to the one whose password it is, or says which', async () => {
    const email = someEmail()
    const other = await api.keyOf('Hospital del Valle')
    const here = await someone(email)
    const there = await signInUser(api.url, other, {
      role: 'auditor',
      email,
      password: 'otra contraseña larga',
    })
    expect((await signIn(email, here.password)).body.user.id).toBe(here.id)
    expect((await signIn(email, there.password)).body.user.id).toBe(there.id)
    const { token } = (await post(`/v1/users/${there.id}/password-link`, {}, other)).body
    await post('/v1/auth/password', { token, password: here.password })
    expect((await signIn(email, here.password)).body.code).toBe('organization_needed')
    const { organizationId } = (await api.call('GET', '/v1/me', { key: other })).body
    expect((await signIn(email, here.password, { organizationId })).body.user.id).toBe(there.id)
  })
})

describe('a session', () => {
  test('goes on from one refresh token to the next', async () => {
    const { refreshToken, id } = await someone()
    const next = await refresh(refreshToken)
    expect(next.status).toBe(200)
    expect(next.body.user.id).toBe(id)
    expect(next.body.refreshToken).not.toBe(refreshToken)
    expect(await works(next.body.accessToken)).toBe(true)
    expect((await refresh(next.body.refreshToken)).status).toBe(200)
  })

  test('ends with all its tokens when a refresh token comes a second time; others of the person go on', async () => {
    const email = someEmail()
    const { refreshToken: first, password, accessToken } = await someone(email)
    const elsewhere = (await signIn(email, password)).body
    const { refreshToken: second, accessToken: newer } = (await refresh(first)).body
    skippedMs += MINUTE_MS + 1
    const reused = await refresh(first)
    expect([reused.status, reused.body.code]).toEqual([401, 'refresh_token_reused'])
    expect((await refresh(second)).status).toBe(401)
    expect([await works(accessToken), await works(newer)]).toEqual([false, false])
    expect(await works(elsewhere.accessToken)).toBe(true)
    expect((await refresh(elsewhere.refreshToken)).status).toBe(200)
  })

  test('goes on where the answer was lost, with one good token, until that one is used', async () => {
    const { refreshToken: first } = await someone()
    const lost = (await refresh(first)).body
    skippedMs += MINUTE_MS / 2
    const again = await refresh(first)
    expect(again.status).toBe(200)
    expect(again.body.refreshToken).not.toBe(lost.refreshToken)
    expect((await refresh(again.body.refreshToken)).status).toBe(200)
    const reused = await refresh(first)
    expect([reused.status, reused.body.code]).toEqual([401, 'refresh_token_reused'])
    expect(await works(again.body.accessToken)).toBe(false)
  })

  test('ends when the token of a lost answer comes after all: somebody else has it', async () => {
    const { refreshToken: first } = await someone()
    const lost = (await refresh(first)).body
    const again = (await refresh(first)).body
    expect((await refresh(lost.refreshToken)).body.code).toBe('refresh_token_reused')
    expect([await works(lost.accessToken), await works(again.accessToken)]).toEqual([false, false])
    expect((await refresh(again.refreshToken)).status).toBe(401)
  })

  test('gives many who come with the same token at once one good token among them', async () => {
    const { refreshToken, id } = await someone()
    const answers = await Promise.all(Array.from({ length: 6 }, () => refresh(refreshToken)))
    expect(answers.map(answer => answer.status)).toEqual([200, 200, 200, 200, 200, 200])
    const session = await api.db.query.sessions.findFirst({ where: (row, { eq }) => eq(row.userId, id) })
    const good = await api.db.query.refreshTokens.findMany({
      where: (row, { and, eq, isNull }) =>
        and(eq(row.sessionId, session?.id ?? ''), isNull(row.usedAt), isNull(row.replacedAt)),
    })
    expect(good).toHaveLength(1)
    const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
    const another = answers.find(({ body }) => hashOf(body.refreshToken) !== good[0]?.hash)?.body
    expect((await refresh(another.refreshToken)).body.code).toBe('refresh_token_reused')
  })

  test('ends at once when its person signs out, whatever token they have; twice does no harm', async () => {
    const { refreshToken, accessToken } = await someone()
    const { refreshToken: next } = (await refresh(refreshToken)).body
    expect((await post('/v1/auth/sign-out', { refreshToken: next })).status).toBe(204)
    expect(await works(accessToken)).toBe(false)
    expect((await refresh(next)).status).toBe(401)
    expect((await post('/v1/auth/sign-out', { refreshToken: next })).status).toBe(204)
    expect((await post('/v1/auth/sign-out', { refreshToken: 'tr_unknown' })).status).toBe(204)
  })

  test('ends after 14 days without refresh, and after 90 with', async () => {
    const idle = await someone()
    let { refreshToken } = await someone()
    skippedMs += 13 * DAY_MS
    refreshToken = (await refresh(refreshToken)).body.refreshToken
    skippedMs += 1.1 * DAY_MS
    expect((await refresh(idle.refreshToken)).body.code).toBe('wrong_refresh_token')
    for (let days = 14.1; days < 88; days += 13) {
      const next = await refresh(refreshToken)
      expect(next.status, `after ${days} days`).toBe(200)
      refreshToken = next.body.refreshToken
      skippedMs += 13 * DAY_MS
    }
    expect((await refresh(refreshToken)).status).toBe(401)
  })

  test('leaves its life in the audit log', async () => {
    const { id, refreshToken } = await someone()
    await refresh(refreshToken)
    await refresh(refreshToken)
    skippedMs += MINUTE_MS + 1
    await refresh(refreshToken)
    const wanted = [
      'user.created',
      'user.password_link_made',
      'user.password_set',
      'user.refresh_repeated',
      'user.refresh_token_reused',
      'user.signed_in',
    ]
    await until('the rows of the audit log', async () => {
      const rows = await api.db.query.auditLog.findMany({
        where: (row, { eq }) => eq(row.subject, `user:${id}`),
      })
      const actions = rows.map(row => row.action).sort()
      return JSON.stringify(actions) === JSON.stringify(wanted)
    })
  })
})

describe('an address', () => {
  test('is locked after ten failed tries, also for the right password, and free again after a while', async () => {
    const email = someEmail()
    const { password } = await someone(email)
    for (let tries = 1; tries <= 10; tries++)
      expect((await signIn(email, `wrong ${tries}`)).body.code, `try ${tries}`).toBe('wrong_credentials')
    const locked = await signIn(email, password)
    expect([locked.status, locked.body.code]).toEqual([429, 'sign_in_locked'])
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(14 * 60)
    skippedMs += 15 * 60_000 + 1000
    expect((await signIn(email, password)).status).toBe(200)
    for (let tries = 1; tries <= 9; tries++) await signIn(email, 'wrong')
    expect((await signIn(email, password)).status).toBe(200)
    expect((await signIn(email, 'wrong')).body.code).toBe('wrong_credentials')
  })

  test('is locked for tries that come at once, and nobody gets more of them than ten', async () => {
    const email = someEmail()
    await someone(email)
    const answers = await Promise.all(Array.from({ length: 25 }, (_, at) => signIn(email, `wrong ${at}`)))
    expect(answers.filter(answer => answer.body.code === 'wrong_credentials')).toHaveLength(10)
    expect(answers.filter(answer => answer.body.code === 'sign_in_locked')).toHaveLength(15)
  })

  test('stays locked in an organisation, whatever is done with it in another', async () => {
    const email = someEmail()
    const mine = await someone(email)
    const organizationOf = async (user: { accessToken: string }) =>
      (await api.call('GET', '/v1/me', { key: user.accessToken })).body.organizationId
    const organizationId = await organizationOf(mine)
    const admin = await api.keyOf('Hospital del Valle')
    const { id } = (await post('/v1/users', { email, role: 'auditor' }, admin)).body
    const known = 'otra contraseña larga'
    const setElsewhere = async () => {
      const { token } = (await post(`/v1/users/${id}/password-link`, {}, admin)).body
      expect((await post('/v1/auth/password', { token, password: known })).status).toBe(204)
    }
    await setElsewhere()
    // Whoever has the other user signs in with it, and has its password set anew, between tries: named or not.
    for (let tries = 1; tries <= 10; tries++) {
      const more = tries % 2 === 0 ? { organizationId } : {}
      expect((await signIn(email, `wrong ${tries}`, more)).body.code, `try ${tries}`).toBe(
        'wrong_credentials',
      )
      if (tries % 5 === 0) await setElsewhere()
    }
    const locked = await signIn(email, mine.password, { organizationId })
    expect(locked.body.code).toBe('sign_in_locked')
    // The organisation it is not locked in is still open, and says nothing of the other.
    expect((await signIn(email, mine.password)).body.code).toBe('wrong_credentials')
    const elsewhere = await signIn(email, known)
    expect(elsewhere.status, JSON.stringify(elsewhere.body)).toBe(200)
    expect((await signIn(email, mine.password, { organizationId })).body.code).toBe('sign_in_locked')
    skippedMs += 15 * 60_000 + 1000
    expect((await signIn(email, mine.password, { organizationId })).status).toBe(200)
  })

  test('that is locked in an organisation shows nobody whether there is such a user', async () => {
    const known = someEmail()
    const { accessToken } = await someone(known)
    const { organizationId } = (await api.call('GET', '/v1/me', { key: accessToken })).body
    const told = async (email: string, more: object = {}) => {
      const { status, body } = await signIn(email, 'wrong', more)
      return [status, body.code, body.detail]
    }
    const [email, answers] = [someEmail(), [] as unknown[][]]
    for (const one of [known, email]) {
      const seen: unknown[] = []
      for (let tries = 1; tries <= 11; tries++) seen.push(await told(one, { organizationId }))
      for (let tries = 1; tries <= 11; tries++) seen.push(await told(one))
      answers.push(seen)
    }
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.[10]).toContain('sign_in_locked')
    expect(answers[0]?.[11]).toContain('wrong_credentials')
    expect(answers[0]?.[21]).toContain('sign_in_locked')
  })

  test('that is nobody’s is refused and locked just as one that is somebody’s', async () => {
    const email = 'nadie@clinica.example'
    const told = ({ status, body }: Awaited<ReturnType<typeof signIn>>) => [status, body.code, body.detail]
    const known = someEmail()
    await someone(known)
    expect(told(await signIn(email, 'wrong'))).toEqual(told(await signIn(known, 'wrong')))
    for (let tries = 2; tries <= 10; tries++) await signIn(email, 'wrong')
    expect((await signIn(email, 'wrong')).body.code).toBe('sign_in_locked')
  })
})
