import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { setGoogleDomain } from '../../db/organizations.ts'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { SIGN_IN_CLIENT } from '../../sandbox/google/sign-in.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { openTestApi, type TestApi } from '../test-api.ts'

const DOMAIN = 'clinica.example'
let google: GoogleSandbox
let api: TestApi
let skippedMs = 0
beforeAll(async () => {
  const nowMs = () => Date.now() + skippedMs
  google = await openGoogle({ nowMs, users: [`ana@${DOMAIN}`, `agenda@${DOMAIN}`, `luis@${DOMAIN}`] })
  api = await openTestApi(google, undefined, {
    clock: { now: nowMs, sleep: async () => {} },
    env: {
      TESTIGO_SIGN_IN_RATE_LIMIT: '0',
      TESTIGO_PUBLIC_URL: 'https://testigo.example',
      TESTIGO_GOOGLE_CLIENT_ID: SIGN_IN_CLIENT.clientId,
      TESTIGO_GOOGLE_CLIENT_SECRET: SIGN_IN_CLIENT.clientSecret,
      TESTIGO_GOOGLE_ISSUER_URL: google.url,
    },
  })
})
beforeEach(() => setGoogleDomain(api.db, 'Clínica Andina', DOMAIN))
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

const go = async (url: string | URL, cookie?: string) => {
  const response = await fetch(url, { redirect: 'manual', ...(cookie ? { headers: { cookie } } : {}) })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith('{') ? JSON.parse(text) : text,
  }
}

/** A browser that goes to Google, where this account is chosen. @returns where Google leads back to */
async function chooses(account: string) {
  const begun = await go(`${api.url}/v1/auth/google`)
  expect(begun.status).toBe(302)
  const setCookie = begun.headers.get('set-cookie') ?? ''
  const [cookie = ''] = setCookie.split(';')
  const page = new URL(begun.headers.get('location') ?? '')
  page.searchParams.set('authuser', account)
  const back = new URL((await go(page)).headers.get('location') ?? '')
  expect(back.origin + back.pathname).toBe('https://testigo.example/v1/auth/google/callback')
  // TLS ends in front of the API.
  return { setCookie, cookie, page, back: new URL(back.pathname + back.search, api.url) }
}
const enters = async (account: string) => {
  const { back, cookie } = await chooses(account)
  return go(back, cookie)
}
const refusal = (answer: { status: number; body: { code: string } }) => [answer.status, answer.body.code]

describe('somebody of the domain signs in with Google', () => {
  test('and becomes a user with the role external, the same one the next time', async () => {
    const entered = await enters(`ana@${DOMAIN}`)
    expect(entered.status, JSON.stringify(entered.body)).toBe(200)
    const { user, accessToken: key } = entered.body
    expect(user).toMatchObject({
      email: `ana@${DOMAIN}`,
      role: 'external',
      usesGoogle: true,
      hasPassword: false,
    })
    expect((await api.call('GET', '/v1/me', { key })).body.id).toBe(`user:${user.id}`)
    expect((await enters(`ana@${DOMAIN}`)).body.user.id).toBe(user.id)
    const refreshed = await api.call('POST', '/v1/auth/refresh', {
      body: { refreshToken: entered.body.refreshToken },
    })
    expect(refreshed.status).toBe(200)
  })

  test('as the user an administrator has made before, with that role', async () => {
    const body = { email: `luis@${DOMAIN}`, role: 'auditor' }
    const { id } = (await api.call('POST', '/v1/users', { body })).body
    expect((await enters(`luis@${DOMAIN}`)).body.user).toMatchObject({
      id,
      role: 'auditor',
      usesGoogle: true,
    })
    await api.call('PATCH', `/v1/users/${id}`, { body: { status: 'disabled' } })
    expect(refusal(await enters(`luis@${DOMAIN}`))).toEqual([401, 'google_sign_in_refused'])
  })

  test('with a cookie that is for this alone, and keeps what it carries to itself', async () => {
    const { setCookie, page } = await chooses(`ana@${DOMAIN}`)
    expect(setCookie).toMatch(/; HttpOnly/)
    expect(setCookie).toMatch(/; Secure/)
    expect(setCookie).toMatch(/; SameSite=Lax/)
    expect(setCookie).toMatch(/; Path=\/v1\/auth\/google\/callback/)
    expect(page.searchParams.get('code_challenge_method')).toBe('S256')
    expect(decodeURIComponent(setCookie)).not.toContain(page.searchParams.get('state'))
  })

  test('also after Google has changed its keys', async () => {
    await google.rotateIdentityKeys('withdrawn')
    skippedMs += 3_600_000
    expect((await enters(`ana@${DOMAIN}`)).status).toBe(200)
  })
})

describe('nobody is signed in', () => {
  test('who is of no organisation’s domain', async () => {
    expect(refusal(await enters('ana@gmail.example'))).toEqual([403, 'google_domain_unknown'])
    await setGoogleDomain(api.db, 'Clínica Andina', null)
    expect(refusal(await enters(`ana@${DOMAIN}`))).toEqual([403, 'google_domain_unknown'])
  })

  test('whose address is of the domain while the account is not', async () => {
    expect(refusal(await enters(`intrusa@${DOMAIN}`))).toEqual([403, 'google_domain_unknown'])
  })

  test('who said no at Google', async () => {
    expect(refusal(await enters('cancelled'))).toEqual([401, 'google_sign_in_refused'])
  })

  test('without the cookie of the browser that began, or with that of another sign-in', async () => {
    const { back } = await chooses(`ana@${DOMAIN}`)
    const { cookie } = await chooses(`ana@${DOMAIN}`)
    expect(refusal(await go(back))).toEqual([401, 'google_sign_in_refused'])
    expect(refusal(await go(back, cookie))).toEqual([401, 'google_sign_in_refused'])
    expect(refusal(await go(back, 'testigo_google_sign_in=v1.AAAA'))).toEqual([401, 'google_sign_in_refused'])
  })

  test('with the same code twice, or too late', async () => {
    const { back, cookie } = await chooses(`ana@${DOMAIN}`)
    expect((await go(back, cookie)).status).toBe(200)
    expect(refusal(await go(back, cookie))).toEqual([401, 'google_sign_in_refused'])
    const late = await chooses(`ana@${DOMAIN}`)
    skippedMs += 11 * 60_000
    expect(refusal(await go(late.back, late.cookie))).toEqual([401, 'google_sign_in_refused'])
  })

  test('with a code that was given for another sign-in', async () => {
    const mine = await chooses(`ana@${DOMAIN}`)
    const theirs = await chooses(`luis@${DOMAIN}`)
    mine.back.searchParams.set('code', theirs.back.searchParams.get('code') ?? '')
    expect(refusal(await go(mine.back, mine.cookie))).toEqual([401, 'google_sign_in_refused'])
  })

  test('while Google is away', async () => {
    const { back, cookie } = await chooses(`ana@${DOMAIN}`)
    google.faults.add({ kind: 'down', service: 'token', count: 1 })
    const answer = await go(back, cookie)
    expect(refusal(answer)).toEqual([503, 'google_unavailable'])
    expect(answer.headers.get('retry-after')).toBe('15')
  })
})

test('where no client is set, nobody signs in with Google', async () => {
  await using plain = await plainApi()
  expect(refusal(await go(`${plain.url}/v1/auth/google`))).toEqual([404, 'google_sign_in_off'])
})

async function plainApi() {
  const opened = await openTestApi(google)
  return { url: opened.url, [Symbol.asyncDispose]: opened.close }
}
