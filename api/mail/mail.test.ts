import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { asc, eq } from 'drizzle-orm'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { claimDueMails, mailAdministrators, mailPeople, purgeMails, settleMail } from '../../db/mails.ts'
import { mails, meetings, organizations, recordings, users } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { disableEndpoint, insertEndpoint } from '../../db/webhook-endpoints.ts'
import { createLog } from '../../log.ts'
import { MailRefused, openPostOffice } from './post-office.ts'
import { renderMail } from './render.ts'
import { startMailSender } from './sender.ts'
import { mailContent } from './words.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let organizationId: string
let meetingId: string
const opened: (() => unknown)[] = []

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  organizationId = randomUUID()
  meetingId = randomUUID()
  await database.db.insert(organizations).values({ id: organizationId, name: organizationId })
  await database.db.insert(meetings).values({
    id: meetingId,
    organizationId,
    topic: 'Comité <clínico>\r\nBcc: todos@otra.example',
    startsAt: new Date('2031-03-04T15:00:00Z'),
    endsAt: new Date('2031-03-04T16:00:00Z'),
    timeZone: 'America/Bogota',
    organizer: 'agenda@clinica.example',
    eventId: randomUUID(),
    joinUrl: 'https://meet.google.com/abc-defg-hij',
    externalId: 'CITA-7',
  })
  await database.db.insert(recordings).values({
    id: randomUUID(),
    organizationId,
    meetingId,
    status: 'available',
    durationMs: 3_725_000,
    driveLink: 'https://drive.google.com/file/d/x/view',
  })
})
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
  await database.db.delete(mails)
})

interface Received {
  to: string[]
  raw: string
}

/** A mail server on loopback, and what it was given. */
async function openMailServer(options: SMTPServerOptions = {}) {
  const received: Received[] = []
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
    ...options,
  })
  smtp.on('error', () => undefined)
  smtp.listen(0, '127.0.0.1')
  await once(smtp.server, 'listening')
  opened.push(() => new Promise<void>(resolve => smtp.close(() => resolve())))
  const { port } = smtp.server.address() as AddressInfo
  return { received, url: `smtp://127.0.0.1:${port}` }
}

function office(smtpUrl: string) {
  const open = openPostOffice({ smtpUrl, from: 'Testigo <testigo@clinica.example>' })
  opened.push(() => open.close())
  return open
}

function sender(smtpUrl: string) {
  const running = startMailSender({
    db: database.db,
    postOffice: openPostOffice({ smtpUrl, from: 'Testigo <testigo@clinica.example>' }),
    clock: systemClock,
    log: createLog('silent'),
    lookEveryMs: 20,
  })
  opened.push(() => running.close(5000))
}

const available = (onceKey: string) =>
  mailAdministrators(database.db, { organizationId, meetingId, kind: 'recording.available', onceKey })
const set = (changes: Partial<typeof organizations.$inferInsert>) =>
  database.db.update(organizations).set(changes).where(eq(organizations.id, organizationId))
const rows = () =>
  database.db
    .select()
    .from(mails)
    .where(eq(mails.organizationId, organizationId))
    .orderBy(asc(mails.recipient))
const letter = { id: 'x', to: 'ana@clinica.example', subject: 'Hola', text: 'Hola', html: '<p>Hola</p>' }

describe('who gets mail', () => {
  const user = (email: string, more: Partial<typeof users.$inferInsert> = {}) => ({
    id: randomUUID(),
    organizationId,
    email,
    role: 'admin' as const,
    ...more,
  })

  test('administrators who are users, where the settings name nobody', async () => {
    await database.db
      .insert(users)
      .values([
        user('ana@clinica.example'),
        user('no@clinica.example', { disabledAt: new Date() }),
        user('lee@clinica.example', { role: 'auditor' }),
      ])
    await available('a')
    expect((await rows()).map(row => row.recipient)).toEqual(['ana@clinica.example'])
  })

  test('the addresses of the settings, each once, however often the same is told', async () => {
    await set({ notifications: { to: ['b@clinica.example', 'a@clinica.example'] } })
    await available('a')
    await available('a')
    expect((await rows()).map(row => row.recipient)).toEqual(['a@clinica.example', 'b@clinica.example'])
  })

  test.each([
    ['recording.available', 'recordingAvailable'],
    ['recording.failed', 'recordingFailed'],
    ['coverage.alert', 'coverageAlert'],
  ] as const)('nobody, of %s where %s is off, and of the others as before', async (kind, name) => {
    await set({ notifications: { to: ['b@clinica.example'], [name]: false } })
    for (const one of ['recording.available', 'recording.failed', 'coverage.alert'] as const)
      await mailAdministrators(database.db, { organizationId, meetingId, kind: one, onceKey: one })
    const told = (await rows()).map(row => row.kind)
    expect(told).toHaveLength(2)
    expect(told).not.toContain(kind)
  })
})

describe('the sender', () => {
  test('sends what is due in the language of the organisation, one mail for each person', async () => {
    const { received, url } = await openMailServer()
    await set({ language: 'en', notifications: { to: ['a@clinica.example', 'b@clinica.example'] } })
    await available('a')
    sender(url)
    await expect.poll(async () => (await rows()).map(row => row.status)).toEqual(['sent', 'sent'])
    expect(received.map(mail => mail.to).sort()).toEqual([['a@clinica.example'], ['b@clinica.example']])
    const [first] = received
    expect(first?.raw).toMatch(/^From: Testigo <testigo@clinica\.example>$/m)
    expect(first?.raw).toMatch(/^Auto-Submitted: auto-generated$/m)
    expect(first?.raw).not.toMatch(/^Bcc:/m)
    expect(first?.raw).toContain('drive.google.com')
  })

  test('tries again what the server did not take this time, and sends it with the same Message-ID', async () => {
    let refusals = 2
    const seen: string[] = []
    const { url } = await openMailServer({
      onData(stream, _session, done) {
        text(stream).then(raw => {
          seen.push(/^Message-ID: (.+)$/m.exec(raw)?.[1] ?? '')
          if (refusals-- > 0) done(Object.assign(new Error('busy'), { responseCode: 451 }))
          else done()
        }, done)
      },
    })
    await set({ notifications: { to: ['a@clinica.example'] } })
    await available('a')
    sender(url)
    for (const attempts of [1, 2]) {
      await expect
        .poll(async () => (await rows()).map(row => [row.attempts, row.lastError !== null]))
        .toEqual([[attempts, true]])
      const [waiting] = await rows()
      expect(waiting?.status).toBe('pending')
      expect(waiting?.nextAttemptAt.getTime()).toBeGreaterThan(Date.now() + 5000)
      await database.db.update(mails).set({ nextAttemptAt: new Date(0), lastError: null })
    }
    await expect.poll(async () => (await rows()).map(row => row.status)).toEqual(['sent'])
    expect(new Set(seen).size).toBe(1)
    expect(seen).toHaveLength(3)
    expect(seen[0]).toMatch(/^<[0-9a-f-]{36}@clinica\.example>$/)
  })

  test('gives up an address that does not exist', async () => {
    const { url } = await openMailServer({
      onRcptTo: (_address, _session, done) =>
        done(Object.assign(new Error('no such user'), { responseCode: 550 })),
    })
    await set({ notifications: { to: ['a@clinica.example'] } })
    await available('a')
    sender(url)
    await expect.poll(async () => (await rows()).map(row => row.status)).toEqual(['failed'])
    expect((await rows())[0]?.lastError).toContain('550')
  })

  test('waits for the link to the copy in Drive, for a while', async () => {
    const { received, url } = await openMailServer()
    await set({ notifications: { to: ['a@clinica.example'] } })
    await database.db
      .update(recordings)
      .set({ driveStatus: 'pending', driveLink: null })
      .where(eq(recordings.meetingId, meetingId))
    await available('a')
    sender(url)
    await expect
      .poll(async () => (await rows()).map(row => row.lastError))
      .toEqual(['waits for the copy in Drive'])
    expect(received).toEqual([])
    await database.db.update(mails).set({ nextAttemptAt: new Date(0), createdAt: new Date(Date.now() - 2e6) })
    await expect.poll(async () => (await rows()).map(row => row.status)).toEqual(['sent'])
  })

  test.each([
    ['the meeting was cancelled', () => ({ status: 'cancelled' as const })],
    ['the meeting was moved', () => ({ startsAt: new Date('2031-03-04T14:00:00Z') })],
    ['the meeting was erased', () => ({ erasedAt: new Date() })],
  ])('drops an alarm when %s', async (_why, change) => {
    const { received, url } = await openMailServer()
    const facts = { startsAt: '2031-03-04T15:00:00.000Z' }
    const alarm = { organizationId, meetingId, kind: 'meeting.alarm' as const, onceKey: 'alarm', facts }
    expect(await mailPeople(database.db, alarm, ['luis@otra.example', 'luis@otra.example'])).toBe(1)
    await database.db.update(meetings).set(change()).where(eq(meetings.id, meetingId))
    sender(url)
    await expect.poll(async () => (await rows()).map(row => row.status)).toEqual(['dropped'])
    expect(received).toEqual([])
  })

  test('leaves a mail that another sender holds alone, and takes it when that one is dead', async () => {
    await set({ notifications: { to: ['a@clinica.example'] } })
    await available('a')
    const [held] = await claimDueMails(database.db, { limit: 10, leaseMs: 60_000 })
    expect(await claimDueMails(database.db, { limit: 10, leaseMs: 60_000 })).toEqual([])
    await database.db.update(mails).set({ nextAttemptAt: new Date(0) })
    const [taken] = await claimDueMails(database.db, { limit: 10, leaseMs: 60_000 })
    expect(taken?.mail.id).toBe(held?.mail.id)
    if (held) await settleMail(database.db, held.mail, { kind: 'failed', error: 'came back from the dead' })
    expect((await rows()).map(row => row.status)).toEqual(['pending'])
  })
})

describe('the mail server', () => {
  test('gets the name and password of the settings', async () => {
    const given: unknown[] = []
    const { url } = await openMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth(auth, _session, done) {
        given.push([auth.username, auth.password])
        done(null, { user: 'x' })
      },
    })
    await office(url.replace('//', '//testigo%40x:p%3Aw@')).send(letter)
    expect(given).toEqual([['testigo@x', 'p:w']])
  })

  test('that refuses the password is asked again later, and the password is in no message', async () => {
    const { url } = await openMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(Object.assign(new Error('no'), { responseCode: 535 })),
    })
    const refused = await office(url.replace('//', '//testigo:geheim@'))
      .send(letter)
      .catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(MailRefused)
    expect(refused).toMatchObject({ final: false })
    expect(String(refused)).not.toContain('geheim')
  })

  test('whose certificate nobody vouches for gets no mail', async () => {
    const { received, url } = await openMailServer({ hideSTARTTLS: false })
    await expect(office(url).send(letter)).rejects.toMatchObject({ code: 'mail_refused', final: false })
    expect(received).toEqual([])
  })

  test('that does not encrypt gets no mail where encryption is required', async () => {
    const { received, url } = await openMailServer()
    await expect(office(`${url}?tls=required`).send(letter)).rejects.toMatchObject({ final: false })
    expect(received).toEqual([])
  })

  test('that is not there is tried again', async () => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as AddressInfo
    nobody.close()
    await once(nobody, 'close')
    await expect(office(`smtp://127.0.0.1:${port}`).send(letter)).rejects.toMatchObject({ final: false })
  })
})

describe('what a mail says', () => {
  const matter = {
    topic: '<b>Comité</b>\r\nBcc: x@y.example',
    startsAt: new Date('2031-03-04T15:00:00Z'),
    endsAt: new Date('2031-03-04T16:00:00Z'),
    timeZone: 'America/Bogota',
    joinUrl: 'https://meet.google.com/abc-defg-hij',
    externalId: 'CITA-7',
    meetingId: 'm',
    ending: 'nobody_came' as const,
    durationMs: 3_725_000,
    coveragePercent: 98.96,
    thresholdPercent: 99,
    driveLink: 'https://drive.google.com/?a=1&b="2"',
    partial: true,
  }

  test('is in Spanish, in the time of the meeting', () => {
    const { subject, text: words } = renderMail(mailContent('recording.failed', 'es', matter), 'es')
    expect(subject).toBe('REUNIÓN SIN GRABACIÓN: <b>Comité</b> Bcc: x@y.example')
    expect(words).toMatch(/Inicio: martes, 4 de marzo de 2031.*10:00.*\(America\/Bogota\)/)
    expect(words).toContain('Motivo: Nadie asistió a la reunión.')
    expect(words).toContain('Parte de la llamada que quedó grabada: 98,9 %')
  })

  test('is in English', () => {
    const { subject, text: words } = renderMail(mailContent('coverage.alert', 'en', matter), 'en')
    expect(subject).toMatch(/^Recording incomplete: /)
    expect(words).toContain('The recording holds less than 99 % of the call.')
    expect(words).toContain('Length of the recording: 1:02:05')
  })

  test.each([
    [
      'recording.available',
      'es',
      'Grabación disponible con faltantes: ',
      'La grabación de la reunión está disponible, pero le faltan partes.',
      'Abrir la grabación en Google Drive',
    ],
    [
      'recording.available',
      'en',
      'Recording available, with gaps: ',
      'The recording of the meeting is available, but parts of it are missing.',
      'Open the recording in Google Drive',
    ],
    [
      'meeting.alarm',
      'es',
      'Recordatorio: ',
      'Le recordamos su reunión. La llamada se grabará.',
      'Unirse a la llamada',
    ],
    [
      'meeting.alarm',
      'en',
      'Reminder: ',
      'This is a reminder of your meeting. The call will be recorded.',
      'Join the call',
    ],
  ] as const)('of %s is in the language of the organisation (%s)', (kind, language, begins, lead, link) => {
    const { subject, text: words } = renderMail(mailContent(kind, language, matter), language)
    expect(subject.startsWith(`${begins}<b>Comité</b>`), subject).toBe(true)
    expect(words).toContain(lead)
    expect(words).toContain(link)
    expect(words).toContain(kind === 'meeting.alarm' ? matter.joinUrl : matter.driveLink)
    expect(words.includes('1:02:05')).toBe(kind === 'recording.available')
  })

  test('of a whole recording names no gaps', () => {
    const whole = (language: 'es' | 'en') =>
      renderMail(mailContent('recording.available', language, { ...matter, partial: false }), language)
        .subject
    expect(whole('es')).toMatch(/^Grabación disponible: /)
    expect(whole('en')).toMatch(/^Recording available: /)
  })

  test('never becomes markup or another line', () => {
    const kinds = ['recording.available', 'recording.failed', 'coverage.alert', 'meeting.alarm'] as const
    for (const kind of kinds)
      for (const language of ['es', 'en'] as const) {
        const { subject, html, text: words } = renderMail(mailContent(kind, language, matter), language)
        expect(subject).not.toMatch(/[\r\n]/)
        expect(html).not.toContain('<b>')
        expect(html).toContain('&lt;b&gt;')
        expect(words).not.toMatch(/^Bcc:/m)
      }
    const { html } = renderMail(mailContent('recording.available', 'es', matter), 'es')
    expect(html).toContain('href="https://drive.google.com/?a=1&amp;b=&quot;2&quot;"')
    const evil = renderMail(
      mailContent('recording.available', 'es', { ...matter, driveLink: 'javascript:1' }),
      'es',
    )
    expect(evil.html).not.toContain('href')
  })
})

describe('a webhook that was disabled', () => {
  const disable = async (reason: 'gone' | 'failing' | 'by_request') => {
    const id = randomUUID()
    const url = 'https://erp.example/hook?token=muysecreto'
    const wish = { id, organizationId, url, description: null, eventTypes: null, secrets: [] }
    await database.db.transaction(async tx => {
      const row = await insertEndpoint(tx, wish)
      if (row) await disableEndpoint(tx, row, reason, new Date())
    })
    return id
  }

  test.each([
    ['es', 'failing', 'Webhook desactivado: https://erp.example', 'un día'],
    ['en', 'gone', 'Webhook disabled: https://erp.example', '410'],
  ] as const)(
    'is mailed to the administrators (%s), who may have no other webhook',
    async (language, reason, subject, why) => {
      const { received, url } = await openMailServer()
      await set({ language, notifications: { to: ['jefa@clinica.example'] } })
      const id = await disable(reason)
      sender(url)
      await expect.poll(() => received.length, { timeout: 15_000 }).toBeGreaterThan(0)
      const [{ to, raw } = { to: [], raw: '' }] = received
      expect(to).toEqual(['jefa@clinica.example'])
      const words = raw.replace(/=\r?\n/g, '').replaceAll('=C3=AD', 'í')
      for (const word of [subject, why, id]) expect(words).toContain(word)
      expect(words).not.toContain('muysecreto')
    },
  )

  test('because its owner wished it is mailed to nobody', async () => {
    await set({ notifications: { to: ['jefa@clinica.example'] } })
    await disable('by_request')
    expect(await rows()).toEqual([])
  })
})

test('old mail is removed, but not what still waits', async () => {
  await set({ notifications: { to: ['a@clinica.example', 'b@clinica.example'] } })
  await available('a')
  await database.db.update(mails).set({ createdAt: new Date(Date.now() - 40 * 86_400_000) })
  await database.db.update(mails).set({ status: 'sent' }).where(eq(mails.recipient, 'a@clinica.example'))
  expect(await purgeMails(database.db, 30, 100)).toBe(1)
  expect((await rows()).map(row => row.recipient)).toEqual(['b@clinica.example'])
})
