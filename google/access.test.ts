import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import type { Config } from '../config.ts'
import { createLog } from '../log.ts'
import { createAccess } from './access.ts'
import { GoogleFault } from './fault.ts'
import { hurriedClock, openTestGoogle, type TestGoogle } from './test-google.ts'

const SUBJECT = 'agenda@clinica.example'
const SCOPES = ['https://www.googleapis.com/auth/calendar.events']

function open(at: TestGoogle, changes: Partial<Config['google']> = {}, clock = hurriedClock().clock) {
  return createAccess({ ...at.settings, ...changes }, { log: createLog('silent'), clock })
}

const refusal = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(GoogleFault)
  return error as GoogleFault
}

test('many callers at once share one request for a token, and later ones its answer', async () => {
  const at = await openTestGoogle()
  const access = open(at)
  const tokens = await Promise.all(Array.from({ length: 20 }, () => access.token(SUBJECT, SCOPES)))
  expect(new Set(tokens.map(token => token.accessToken)).size).toBe(1)
  await access.token(SUBJECT, SCOPES)
  expect(at.asked('token')).toBe(1)
})

test('each user and each set of scopes has a token of its own', async () => {
  const at = await openTestGoogle()
  const access = open(at)
  const drive = ['https://www.googleapis.com/auth/drive']
  const tokens = [
    await access.token(SUBJECT, SCOPES),
    await access.token(SUBJECT, drive),
    await access.token('archivo@clinica.example', drive),
  ]
  expect(new Set(tokens.map(token => token.accessToken)).size).toBe(3)
})

test('a token is renewed five minutes before it ends', async () => {
  const at = await openTestGoogle()
  let nowMs = Date.now()
  const access = open(at, {}, { ...systemClock, now: () => nowMs })
  const first = await access.token(SUBJECT, SCOPES)
  nowMs = first.expiresAtMs - 5 * 60_000 - 1
  expect(await access.token(SUBJECT, SCOPES)).toBe(first)
  nowMs += 2
  // The machine's clock is an hour ahead now: what counts is that it asked again.
  await refusal(access.token(SUBJECT, SCOPES))
  expect(at.asked('token')).toBe(2)
})

test('without a key file, signJwt signs with the machine’s own identity', async () => {
  const at = await openTestGoogle()
  const access = open(at, { keyFile: undefined, serviceAccount: at.sandbox.keyFile.client_email })
  expect((await access.token(SUBJECT, SCOPES)).accessToken).toMatch(/^ya29/)
  expect(at.asked('signJwt')).toBe(1)
})

test('a token endpoint in trouble is asked again, a refusal is not', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'error', service: 'token', status: 503, count: 2 })
  await open(at).token(SUBJECT, SCOPES)
  expect(at.asked('token')).toBe(3)
  expect(await refusal(open(at).token('nadie@clinica.example', SCOPES))).toMatchObject({
    code: 'misconfigured',
    reason: 'unknown_subject',
    retryable: false,
  })
  expect(at.asked('token')).toBe(4)
})

test('a failure is not kept: the next caller gets its token once Google is well', async () => {
  const at = await openTestGoogle()
  const access = open(at)
  at.sandbox.faults.add({ kind: 'down', service: 'token' })
  expect(await refusal(access.token(SUBJECT, SCOPES))).toMatchObject({
    service: 'token',
    code: 'unavailable',
  })
  at.sandbox.faults.clear()
  expect((await access.token(SUBJECT, SCOPES)).accessToken).toMatch(/^ya29/)
})

test('a scope that the domain does not delegate is told with the scope and the place to add it', async () => {
  const at = await openTestGoogle({ delegatedScopes: ['https://www.googleapis.com/auth/drive'] })
  const fault = await refusal(open(at).token(SUBJECT, SCOPES))
  expect(fault).toMatchObject({
    service: 'token',
    code: 'misconfigured',
    reason: 'delegation_missing',
    httpStatus: 401,
  })
  expect(fault.message).toContain('auth/calendar.events')
  expect(fault.message).toContain('Domain-wide delegation')
})

test('a wrong clock of this machine is told as such', async () => {
  const at = await openTestGoogle()
  const hourAhead = { ...systemClock, now: () => Date.now() + 3_600_000 }
  const fault = await refusal(open(at, {}, hourAhead).token(SUBJECT, SCOPES))
  expect(fault).toMatchObject({ code: 'misconfigured', reason: 'clock_wrong' })
  expect(fault.message).toContain('clock')
})

test('a key of another account is told as a wrong key', async () => {
  const [at, other] = [await openTestGoogle(), await openTestGoogle()]
  const fault = await refusal(open(at, { keyFile: other.settings.keyFile }).token(SUBJECT, SCOPES))
  expect(fault).toMatchObject({ code: 'misconfigured', reason: 'key_refused' })
  expect(fault.message).toContain('TESTIGO_GOOGLE_KEY_FILE')
})

test.each([
  { what: 'is not JSON', content: '-----BEGIN secret', reason: 'key_file_invalid' },
  { what: 'is another kind of JSON', content: '{"installed":{}}', reason: 'key_file_invalid' },
  {
    what: 'holds a broken key',
    content: '{"client_email":"a@b.example","private_key":"secret"}',
    reason: 'key_file_invalid',
  },
])(
  'a key file that $what is refused with the setting to change and nothing of its content',
  async ({ content }) => {
    const at = await openTestGoogle()
    const keyFile = join(at.folder, 'other.json')
    await writeFile(keyFile, content)
    const fault = await refusal(open(at, { keyFile }).token(SUBJECT, SCOPES))
    expect(fault).toMatchObject({ code: 'misconfigured', reason: 'key_file_invalid', retryable: false })
    expect(fault.message).toContain('TESTIGO_GOOGLE_KEY_FILE')
    expect(fault.message).not.toContain('secret')
  },
)

test('a key file that is missing, and no service account at all, say which setting to set', async () => {
  const at = await openTestGoogle()
  expect(
    await refusal(open(at, { keyFile: join(at.folder, 'none.json') }).token(SUBJECT, SCOPES)),
  ).toMatchObject({
    code: 'misconfigured',
    reason: 'key_file_missing',
  })
  const none = await refusal(
    open(at, { keyFile: undefined, serviceAccount: undefined }).token(SUBJECT, SCOPES),
  )
  expect(none.reason).toBe('no_credentials')
  expect(none.message).toContain('TESTIGO_GOOGLE_SERVICE_ACCOUNT')
})

test('a machine that may not sign for the account is told which role is missing', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'error', service: 'iam', status: 403 })
  const keyless = { keyFile: undefined, serviceAccount: at.sandbox.keyFile.client_email }
  const fault = await refusal(open(at, keyless).token(SUBJECT, SCOPES))
  expect(fault).toMatchObject({ service: 'iam', code: 'misconfigured', reason: 'sign_jwt_refused' })
  expect(fault.message).toContain('roles/iam.serviceAccountTokenCreator')
})

test('a machine without an identity of its own is told to use a key file', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'down', service: 'metadata' })
  const keyless = { keyFile: undefined, serviceAccount: at.sandbox.keyFile.client_email }
  const fault = await refusal(open(at, keyless).token(SUBJECT, SCOPES))
  expect(fault).toMatchObject({ service: 'iam', reason: 'metadata_unreachable' })
  expect(fault.message).toContain('TESTIGO_GOOGLE_KEY_FILE')
})
