import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { eq } from 'drizzle-orm'
import { SMTPServer } from 'smtp-server'
import { expect, onTestFinished, test } from 'vitest'
import { moveRecording } from '../../db/recordings.ts'
import { recordings } from '../../db/schema.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, until } from '../test-api.ts'

async function openMailServer() {
  const received: { to: string[]; raw: string }[] = []
  const smtp = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    disableReverseLookup: true,
    onData(stream, session, done) {
      text(stream).then(
        raw => {
          received.push({ to: session.envelope.rcptTo.map(({ address }) => address), raw })
          done()
        },
        (error: Error) => done(error),
      )
    },
  })
  smtp.listen(0, '127.0.0.1')
  await once(smtp.server, 'listening')
  onTestFinished(() => new Promise<void>(resolve => smtp.close(() => resolve())))
  return { received, url: `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}` }
}

test('a meeting that was not recorded is mailed to the administrators of its organisation', async () => {
  const google = await openGoogle({})
  onTestFinished(() => google.stop())
  const { received, url } = await openMailServer()
  const env = { TESTIGO_SMTP_URL: url, TESTIGO_MAIL_FROM: 'Testigo <testigo@clinica.example>' }
  const api = await openTestApi(google, undefined, { env })
  onTestFinished(() => api.close())
  await api.call('POST', '/v1/users', { body: { email: 'Jefe@clinica.example', role: 'admin' } })
  const { id } = (await api.call('POST', '/v1/meetings', { body: newMeeting() })).body
  const [recording] = await api.db.select().from(recordings).where(eq(recordings.meetingId, id))
  await api.db.transaction(tx =>
    moveRecording(tx, recording?.id ?? '', 'failed', { actor: 'job:sweep', ending: 'missed' }),
  )
  const mail = await until('the mail', () => received[0])
  expect(mail.to).toEqual(['jefe@clinica.example'])
  expect(mail.raw).toMatch(/^Subject: =\?UTF-8\?/m)
  expect(mail.raw).toContain('text/html')
})

test('a mail server without a sender is refused at the start', async () => {
  const google = await openGoogle({})
  onTestFinished(() => google.stop())
  await expect(
    openTestApi(google, undefined, { env: { TESTIGO_SMTP_URL: 'smtp://127.0.0.1:9' } }),
  ).rejects.toThrow('TESTIGO_MAIL_FROM is missing')
})
