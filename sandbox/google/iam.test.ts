import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askToken, usualScopes } from './official-client.ts'
import type { GoogleSandbox } from './server.ts'
import { openGoogle } from './test-google.ts'

let google: GoogleSandbox
beforeAll(async () => {
  google = await openGoogle()
})
afterAll(() => google.stop())

const account = '/computeMetadata/v1/instance/service-accounts/default'
const flavor = { 'metadata-flavor': 'Google' }

async function machineToken(): Promise<string> {
  const answer = await fetch(`${google.baseUrls.metadata}${account}/token`, { headers: flavor })
  return ((await answer.json()) as { access_token: string }).access_token
}

async function signJwt(payload: unknown, email = google.keyFile.client_email): Promise<Response> {
  return fetch(`${google.baseUrls.iam}/v1/projects/-/serviceAccounts/${email}:signJwt`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await machineToken()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ payload }),
  })
}

function claims(life = 3600) {
  const now = Math.floor(Date.now() / 1000)
  return JSON.stringify({
    iss: google.keyFile.client_email,
    sub: 'testigo@clinica.example',
    scope: usualScopes.join(' '),
    aud: 'https://oauth2.googleapis.com/token',
    iat: now,
    exp: now + life,
  })
}

describe('delegation without a key on disk', () => {
  test('goes from the metadata server over signJwt to a token for a user', async () => {
    const signed = (await (await signJwt(claims())).json()) as { keyId: string; signedJwt: string }
    const header = JSON.parse(Buffer.from(signed.signedJwt.split('.')[0] ?? '', 'base64url').toString())
    expect(header).toEqual({ alg: 'RS256', kid: signed.keyId, typ: 'JWT' })
    const answer = await askToken(google, signed.signedJwt)
    expect(answer.status).toBe(200)
  })

  test('needs the header Metadata-Flavor', async () => {
    const answer = await fetch(`${google.url}${account}/token`)
    expect(answer.status).toBe(403)
  })

  test("tells the machine's own account", async () => {
    const answer = await fetch(`${google.url}${account}/email`, { headers: flavor })
    expect(await answer.text()).toMatch(/^maquina@.*\.iam\.gserviceaccount\.com$/)
  })

  test('refuses to sign for an account it may not use', async () => {
    const answer = await signJwt(claims(), 'other@project.iam.gserviceaccount.com')
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({ error: { status: 'PERMISSION_DENIED' } })
  })

  test.each([
    ['no JSON', 'claims'],
    ['an expiry more than 12 hours ahead', undefined],
  ])('refuses a payload with %s', async (_what, payload) => {
    const answer = await signJwt(payload ?? claims(13 * 3600))
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { status: 'INVALID_ARGUMENT' } })
  })
})
