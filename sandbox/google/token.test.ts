import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, askToken, officialClients, signAssertion, usualScopes } from './official-client.ts'
import type { GoogleSandbox } from './server.ts'
import { openGoogle } from './test-google.ts'

let google: GoogleSandbox
beforeAll(async () => {
  google = await openGoogle()
})
afterAll(() => google.stop())

const subject = 'agenda@clinica.example'

async function exchange(options: Partial<Parameters<typeof signAssertion>[1]> = {}) {
  const answer = await askToken(
    google,
    await signAssertion(google, { subject, scopes: usualScopes, ...options }),
  )
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

describe('the token endpoint', () => {
  test('gives a bearer token for an assertion without kid and typ, as the Node library sends it', async () => {
    const { status, body } = await exchange()
    expect(status).toBe(200)
    expect(body).toEqual({ access_token: expect.any(String), expires_in: 3599, token_type: 'Bearer' })
  })

  test('takes an assertion with kid and typ', async () => {
    const header = { kid: google.keyFile.private_key_id, typ: 'JWT' }
    expect((await exchange({ header })).status).toBe(200)
  })

  test("takes the sandbox's own token address as audience", async () => {
    expect((await exchange({ claims: { aud: google.baseUrls.token } })).status).toBe(200)
  })

  test('refuses an audience that is not a token endpoint', async () => {
    const { status, body } = await exchange({ claims: { aud: 'https://elsewhere.example/token' } })
    expect(status).toBe(400)
    expect(body).toEqual({ error: 'invalid_grant', error_description: 'Invalid JWT: Failed audience check.' })
  })

  test('refuses a signature by another key', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const foreign = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const forged = { ...google, keyFile: { ...google.keyFile, private_key: foreign } }
    const answer = await askToken(google, await signAssertion(forged, { subject, scopes: usualScopes }))
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({
      error: 'invalid_grant',
      error_description: 'Invalid JWT Signature.',
    })
  })

  test('refuses an unknown key id although the signature is right', async () => {
    const { body } = await exchange({ header: { kid: 'another' } })
    expect(body.error_description).toBe('Invalid JWT Signature.')
  })

  test('refuses an assertion that lives longer than 65 minutes', async () => {
    const { body } = await exchange({ claims: { exp: Math.floor(Date.now() / 1000) + 2 * 3600 } })
    expect(body.error).toBe('invalid_grant')
    expect(body.error_description).toContain('short-lived token')
  })

  test('refuses an assertion that is out of date', async () => {
    const now = Math.floor(Date.now() / 1000)
    const { body } = await exchange({ claims: { iat: now - 7200, exp: now - 3600 } })
    expect(body.error_description).toContain('reasonable timeframe')
  })

  test('refuses the whole request when one scope is not delegated', async () => {
    const calendarAll = 'https://www.googleapis.com/auth/calendar'
    const { status, body } = await exchange({ scopes: [...usualScopes, calendarAll] })
    expect(status).toBe(401)
    expect(body.error).toBe('unauthorized_client')
  })

  test.each([
    ['none', []],
    ['an unknown one', ['https://www.googleapis.com/auth/nothing']],
  ])('answers invalid_scope when the scopes are %s', async (_what, scopes) => {
    const { status, body } = await exchange({ scopes })
    expect(status).toBe(400)
    expect(body.error).toBe('invalid_scope')
  })

  test('refuses a subject that is no user of the domain', async () => {
    const { status, body } = await exchange({ subject: 'nadie@clinica.example' })
    expect(status).toBe(400)
    expect(body).toEqual({ error: 'invalid_grant', error_description: 'Invalid email or User ID' })
  })

  test('refuses another issuer', async () => {
    const { body } = await exchange({ claims: { iss: 'other@project.iam.gserviceaccount.com' } })
    expect(body.error_description).toBe('Invalid grant: account not found')
  })

  test('refuses other grant types', async () => {
    const answer = await fetch(google.baseUrls.token, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password' }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'unsupported_grant_type' })
  })
})

describe('access tokens', () => {
  test('are asked for on every call: 401 authError in Calendar, UNAUTHENTICATED in Meet', async () => {
    const headers = { authorization: 'Bearer nonsense' }
    const calendar = await fetch(`${google.url}/calendar/v3/calendars/primary/events`, { headers })
    expect(calendar.status).toBe(401)
    expect(await calendar.json()).toMatchObject({
      error: { code: 401, errors: [{ reason: 'authError', location: 'Authorization' }] },
    })
    const meet = await fetch(`${google.url}/v2/conferenceRecords`, { headers })
    expect(meet.status).toBe(401)
    expect(await meet.json()).toMatchObject({ error: { code: 401, status: 'UNAUTHENTICATED' } })
  })

  test('stop working after their hour', async () => {
    let nowMs = Date.now()
    await using aged = await openGoogle({ nowMs: () => nowMs })
    const { calendar } = await officialClients(aged, subject)
    await calendar.events.list({ calendarId: 'primary' })
    nowMs += 3_600_000
    await expect(calendar.events.list({ calendarId: 'primary' })).rejects.toMatchObject({ status: 401 })
  })

  test('stop working when they are revoked', async () => {
    await using other = await openGoogle()
    const { calendar } = await officialClients(other, subject)
    other.revokeTokens()
    await expect(calendar.events.list({ calendarId: 'primary' })).rejects.toMatchObject({ status: 401 })
  })

  test('reach only the methods of their scopes', async () => {
    const authorization = `Bearer ${await accessToken(google, subject, [usualScopes[0] ?? ''])}`
    const drive = await fetch(`${google.url}/drive/v3/files`, { headers: { authorization } })
    expect(drive.status).toBe(403)
    expect(drive.headers.get('www-authenticate')).toContain('insufficient_scope')
    expect(await drive.json()).toMatchObject({ error: { errors: [{ reason: 'insufficientPermissions' }] } })
    const meet = await fetch(`${google.url}/v2/spaces/abc-defg-hij`, { headers: { authorization } })
    expect(await meet.json()).toMatchObject({
      error: {
        code: 403,
        status: 'PERMISSION_DENIED',
        details: [{ reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT' }],
      },
    })
  })
})
