import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemClock } from '../clock.ts'
import type { MeetingToPut } from './calendar.ts'
import { eventIdFor } from './event-body.ts'
import { GoogleFault } from './fault.ts'
import { hurriedClock, openTestGoogle, type TestGoogle } from './test-google.ts'

function meeting(changes: Partial<MeetingToPut> = {}): MeetingToPut {
  return {
    meetingId: randomUUID(),
    topic: 'Junta médica',
    description: 'Caso 42',
    start: new Date('2026-12-01T15:00:00Z'),
    end: new Date('2026-12-01T16:00:00Z'),
    timeZone: 'America/Bogota',
    participants: [{ email: 'Ana@Salud.example', name: 'Ana' }, { email: 'luis@salud.example' }],
    ...changes,
  }
}

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail('it worked'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(GoogleFault)
      return error as GoogleFault
    },
  )

function stored(test: TestGoogle, eventId: string) {
  const event = [...test.sandbox.state.events.values()].find(one => one.resource.id === eventId)
  if (!event) throw new Error(`no event ${eventId}`)
  return event.resource
}

test('a meeting becomes one event with a Meet link, everybody and the bot invited, and the notice in two languages', async () => {
  const at = await openTestGoogle()
  const wanted = meeting()
  const put = await at.google.calendar.putEvent(wanted)
  expect(put.eventId).toBe(eventIdFor(wanted.meetingId))
  expect(put.joinUrl).toBe(`https://meet.google.com/${put.meetingCode}`)
  expect(put.meetingCode).toMatch(/^[a-z]{3}-[a-z]{4}-[a-z]{3}$/)
  expect(put.event.htmlLink).toMatch(/^https?:/)
  const event = stored(at, put.eventId)
  expect(event.summary).toBe('Junta médica')
  expect(event.description).toMatch(/^Caso 42\n\nEsta reunión se graba .*\nThis meeting is recorded /)
  expect(event.start.timeZone).toBe('America/Bogota')
  expect(event.attendees?.map(one => one.email)).toEqual([
    'Ana@Salud.example',
    'luis@salud.example',
    'testigo@clinica.example',
  ])
  expect(at.sandbox.state.mails.filter(mail => mail.kind === 'invitation').map(mail => mail.to)).toContain(
    'luis@salud.example',
  )
})

test('putting a meeting again gives the same event, also from a process that remembers nothing', async () => {
  const at = await openTestGoogle()
  const wanted = meeting()
  const first = await at.google.calendar.putEvent(wanted)
  expect(await at.another().calendar.putEvent(wanted)).toEqual(first)
  expect(at.sandbox.state.events.size).toBe(1)
  expect(at.sandbox.state.spaces.size).toBe(1)
})

test('an insert whose answer is lost leaves one event, and the caller gets its link', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'cut', method: 'events.insert' })
  const put = await at.google.calendar.putEvent(meeting())
  expect(put.joinUrl).toContain(put.meetingCode)
  expect(at.asked('events.insert')).toBe(2)
  expect(at.sandbox.state.events.size).toBe(1)
})

test('a pending conference is waited out', async () => {
  const at = await openTestGoogle({ conferencePendingMs: 400 }, { clock: systemClock })
  const put = await at.google.calendar.putEvent(meeting())
  expect(put.meetingCode).toMatch(/^[a-z]{3}-/)
  expect(at.asked('events.get')).toBeGreaterThan(0)
})

test('a conference that stays pending past the limit is a fault to come back to, and then is found', async () => {
  const { clock } = hurriedClock()
  const at = await openTestGoogle({ conferencePendingMs: 400 }, { clock })
  const wanted = meeting()
  expect(await faultOf(at.google.calendar.putEvent(wanted))).toMatchObject({
    code: 'unavailable',
    reason: 'conference_pending',
    retryable: true,
  })
  expect((await at.another({ clock: systemClock }).calendar.putEvent(wanted)).meetingCode).toMatch(
    /^[a-z]{3}-/,
  )
  expect(at.sandbox.state.spaces.size).toBe(1)
})

test('a conference that Google could not make is a fault, and putting the meeting again asks for another', async () => {
  const at = await openTestGoogle()
  at.sandbox.faults.add({ kind: 'conferenceFailure' })
  const wanted = meeting()
  expect(await faultOf(at.google.calendar.putEvent(wanted))).toMatchObject({
    code: 'unavailable',
    reason: 'conference_failed',
    retryable: true,
  })
  expect((await at.google.calendar.putEvent(wanted)).meetingCode).toMatch(/^[a-z]{3}-/)
  expect(at.sandbox.state.events.size).toBe(1)
})

test('a cancelled event is gone, and a higher revision makes a new one', async () => {
  const at = await openTestGoogle()
  const wanted = meeting()
  const { eventId } = await at.google.calendar.putEvent(wanted)
  await at.google.calendar.cancelEvent(eventId)
  expect(await faultOf(at.google.calendar.putEvent(wanted))).toMatchObject({ code: 'gone', retryable: false })
  expect(await faultOf(at.google.calendar.patchEvent(eventId, { topic: 'x' }))).toMatchObject({
    code: 'gone',
  })
  const again = await at.google.calendar.putEvent({ ...wanted, revision: 1 })
  expect(again.eventId).not.toBe(eventId)
})

test('an event with our id that belongs to something else is never taken over', async () => {
  const at = await openTestGoogle()
  const wanted = meeting()
  const { eventId } = await at.google.calendar.putEvent(wanted)
  stored(at, eventId).extendedProperties = { private: { testigoMeetingId: randomUUID() } }
  expect(await faultOf(at.google.calendar.putEvent(wanted))).toMatchObject({
    code: 'conflict',
    reason: 'foreign_event',
    retryable: false,
  })
})

test('cancelling tells the guests, and cancelling what is gone or never was counts as done', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(meeting())
  await at.google.calendar.cancelEvent(eventId)
  expect(at.sandbox.state.mails.filter(mail => mail.kind === 'cancellation')).not.toHaveLength(0)
  await at.google.calendar.cancelEvent(eventId)
  await at.google.calendar.cancelEvent(eventIdFor(randomUUID()))
})

test('a patch changes what is given, keeps the Meet link and the answers of those who stay', async () => {
  const at = await openTestGoogle()
  const put = await at.google.calendar.putEvent(meeting())
  const ana = stored(at, put.eventId).attendees?.find(one => one.email === 'Ana@Salud.example')
  if (ana) ana.responseStatus = 'accepted'
  await at.google.calendar.patchEvent(put.eventId, {
    topic: 'Junta aplazada',
    description: 'Caso 43',
    start: new Date('2026-12-02T15:00:00Z'),
    end: new Date('2026-12-02T16:00:00Z'),
    participants: [{ email: 'ana@salud.example' }, { email: 'eva@salud.example' }],
  })
  const event = stored(at, put.eventId)
  expect(event.summary).toBe('Junta aplazada')
  expect(event.description).toMatch(/^Caso 43\n\nEsta reunión/)
  expect(Date.parse(event.start.dateTime ?? '')).toBe(Date.parse('2026-12-02T15:00:00Z'))
  expect(event.start.timeZone).toBe('America/Bogota')
  expect(event.conferenceData?.conferenceId).toBe(put.meetingCode)
  expect(event.attendees?.map(one => [one.email, one.responseStatus])).toEqual([
    ['Ana@Salud.example', 'accepted'],
    ['testigo@clinica.example', 'needsAction'],
    ['eva@salud.example', 'needsAction'],
  ])
})

test('a patch that says nothing new is not written, so that nobody is mailed', async () => {
  const at = await openTestGoogle()
  const wanted = meeting()
  const { eventId } = await at.google.calendar.putEvent(wanted)
  const { topic, description, start, end, timeZone, participants } = wanted
  await at.google.calendar.patchEvent(eventId, {
    topic,
    ...(description !== undefined && { description }),
    start,
    end,
    timeZone,
    participants,
  })
  expect(at.asked('events.patch')).toBe(0)
})

test('a patch that meets somebody else’s change reads again and applies itself to it', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(meeting())
  at.sandbox.faults.add({ kind: 'error', method: 'events.patch', status: 412, reason: 'conditionNotMet' })
  await at.google.calendar.patchEvent(eventId, { topic: 'Nuevo' })
  expect(stored(at, eventId).summary).toBe('Nuevo')
  expect(at.asked('events.get')).toBe(2)
})

test('who looks at an event before a patch sees what would be written over, and can keep it from being written', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(meeting())
  const rename = (title: string) =>
    at.sandbox.personDoes({ do: 'change', as: 'agenda@clinica.example', eventId, title })
  const seen: string[] = []
  await at.google.calendar.patchEvent(eventId, { description: 'Caso 43' }, undefined, async ({ topic }) => {
    seen.push(topic)
    if (seen.length === 1) await rename('De otra persona')
  })
  expect(seen).toEqual(['Junta médica', 'De otra persona'])
  expect(stored(at, eventId)).toMatchObject({ summary: 'De otra persona' })
  const writes = at.asked('events.patch')
  await expect(
    at.google.calendar.patchEvent(eventId, { topic: 'Nuevo' }, undefined, async () => {
      throw new RangeError('not now')
    }),
  ).rejects.toThrow(new RangeError('not now'))
  expect(at.asked('events.patch')).toBe(writes)
})

test('a patch whose answer is lost is found done and is not written twice', async () => {
  const at = await openTestGoogle()
  const { eventId } = await at.google.calendar.putEvent(meeting())
  at.sandbox.faults.add({ kind: 'cut', method: 'events.patch' })
  await at.google.calendar.patchEvent(eventId, { topic: 'Nuevo' })
  expect(stored(at, eventId).summary).toBe('Nuevo')
  // The lost one and its repetition, which the etag turns away.
  expect(
    at.sandbox.state.requests.filter(one => one.method.endsWith('events.patch')).map(one => one.status),
  ).toEqual(['cut', 412])
})

test('recordings are attached beside what is attached already, each once', async () => {
  const at = await openTestGoogle()
  const { eventId, meetingCode } = await at.google.calendar.putEvent(meeting())
  const attach = (name: string) =>
    at.google.calendar.attachRecording(eventId, {
      fileUrl: `https://drive.google.com/file/d/${name}/view?usp=drivesdk`,
      title: name,
      mimeType: 'video/mp4',
    })
  await attach('uno')
  await attach('dos')
  await attach('dos')
  expect(stored(at, eventId).attachments).toMatchObject([{ title: 'uno' }, { title: 'dos' }])
  expect(stored(at, eventId).conferenceData?.conferenceId).toBe(meetingCode)
})

test('without an organizer the fault says which setting to set', async () => {
  const at = await openTestGoogle({}, { settings: { organizer: undefined } })
  const fault = await faultOf(at.google.calendar.putEvent(meeting()))
  expect(fault.code).toBe('misconfigured')
  expect(fault.message).toContain('TESTIGO_GOOGLE_ORGANIZER')
})
