import { expect, test } from 'vitest'
import { openTestGoogle } from '../google/test-google.ts'
import { createLog } from '../log.ts'
import { askGoogleWhoIsThere } from './ask-google.ts'

const log = createLog('silent')
const organizer = 'agenda@clinica.example'
const bots = { accounts: ['testigo@clinica.example'], guestName: 'Testigo (grabación)' }
const now = () => new Date().toISOString()

/** A running conference with these people; an address makes them signed in. */
async function openCall(...people: { displayName: string; email?: string; gone?: boolean }[]) {
  const google = await openTestGoogle({
    users: [organizer, { email: 'testigo@clinica.example', name: 'Cámara Uno' }, 'gong@clinica.example'],
  })
  const meeting = { organizer, spaceName: 'spaces/S1', meetingCode: 'abc-mnop-xyz' }
  const { state } = google.sandbox
  const space = { meetingUri: '', owner: organizer, madeBy: 'calendar' as const, members: [] }
  state.spaces.set('spaces/S1', {
    name: 'spaces/S1',
    meetingCode: meeting.meetingCode,
    ...space,
    config: undefined as never,
  })
  const name = 'conferenceRecords/c1'
  const conference: (typeof state.conferences)[number] = {
    name,
    space: 'spaces/S1',
    startTime: now(),
    participants: people.map(({ gone, ...person }, index) => ({
      name: `${name}/participants/p${index}`,
      ...person,
      sessions: [{ startTime: now(), ...(gone && { endTime: now() }) }],
    })),
    recordings: [],
  }
  if (people.length > 0) state.conferences.push(conference)
  return { ...google, meeting, ask: askGoogleWhoIsThere(google.google, meeting, bots, { log }) }
}

const ourBot = { displayName: 'Cámara Uno', email: 'testigo@clinica.example' }

test('a person who is in the call is somebody, as a guest or signed in', async () => {
  const { ask } = await openCall(ourBot, { displayName: 'Ana Torres' })
  expect(await ask()).toBe(true)
  const { ask: again } = await openCall(ourBot, { displayName: 'Gong Li', email: 'gong@clinica.example' })
  expect(await again()).toBe(true)
})

test('our own account under whatever name it has, and guests with the name of a bot, are nobody', async () => {
  const { ask, asked } = await openCall(
    ourBot,
    { displayName: 'Testigo (grabación)' },
    { displayName: 'Fireflies.ai Notetaker' },
    { displayName: 'Ana Torres', gone: true },
  )
  expect(await ask()).toBe(false)
  expect(await ask()).toBe(false)
  expect(asked('about.get')).toBe(1)
})

test('without a running conference in the records nothing is known', async () => {
  const { ask, google, meeting } = await openCall()
  expect(await ask()).toBe('unknown')
  const nowhere = { ...meeting, spaceName: null, meetingCode: null }
  expect(await askGoogleWhoIsThere(google, nowhere, bots, { log })()).toBe('unknown')
})

test('a bot account whose name cannot be asked for does not hide who is there', async () => {
  const { sandbox, ask } = await openCall({ displayName: 'Ana Torres' })
  sandbox.faults.add({ kind: 'error', method: 'about.get', status: 403, reason: 'domainPolicy' })
  expect(await ask()).toBe(true)
})

test('a refusal of Google reaches the caller, who then knows nothing', async () => {
  const { sandbox, ask } = await openCall({ displayName: 'Ana Torres' })
  sandbox.faults.add({ kind: 'error', method: 'conferenceRecords.list', status: 403 })
  await expect(ask()).rejects.toMatchObject({ code: 'forbidden' })
})
