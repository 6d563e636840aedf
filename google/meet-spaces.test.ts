import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { SpaceWish } from './meet-spaces.ts'
import { openTestGoogle, type TestGoogle } from './test-google.ts'

async function makeMeeting(at: TestGoogle): Promise<SpaceWish> {
  const { meetingCode } = await at.google.calendar.putEvent({
    meetingId: randomUUID(),
    topic: 'Junta',
    start: new Date('2026-12-01T15:00:00Z'),
    end: new Date('2026-12-01T16:00:00Z'),
    participants: [],
  })
  return { meetingCode, organizer: 'agenda@clinica.example', accessType: 'OPEN', autoRecording: true }
}

test('a space made by Calendar is read by its code and changed by its canonical name', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  const space = await at.google.spaces.configureSpace(wish)
  expect(space).toEqual({
    spaceName: [...at.sandbox.state.spaces.keys()][0],
    accessType: 'OPEN',
    autoRecording: 'on',
    refusals: [],
  })
  const stored = at.sandbox.state.spaces.get(space.spaceName ?? '')
  expect(stored?.config.accessType).toBe('OPEN')
  expect(stored?.config.artifactConfig.recordingConfig?.autoRecordingGeneration).toBe('ON')
})

test('a refused automatic recording is noted, and the access type is set all the same', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  at.sandbox.faults.add({ kind: 'autoRecordingRefused' })
  const space = await at.google.spaces.configureSpace(wish)
  expect(space).toMatchObject({ accessType: 'OPEN', autoRecording: 'refused' })
  expect(space.refusals).toEqual([expect.stringContaining('not eligible to enable auto recording')])
})

test('a refused access type is noted, and automatic recording is switched on all the same', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  at.sandbox.faults.add({ kind: 'error', method: 'spaces.patch', status: 403 })
  const space = await at.google.spaces.configureSpace(wish)
  expect(space).toMatchObject({ accessType: 'TRUSTED', autoRecording: 'on' })
  expect(space.refusals).toHaveLength(1)
})

test('automatic recording that nobody asked for is not touched', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  expect(await at.google.spaces.configureSpace({ ...wish, autoRecording: false })).toMatchObject({
    autoRecording: 'not_asked',
    refusals: [],
  })
  const [space] = at.sandbox.state.spaces.values()
  expect(space?.config.artifactConfig.recordingConfig?.autoRecordingGeneration).toBe('OFF')
})

test('a space that is already as wanted is not written again', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  const first = await at.google.spaces.configureSpace(wish)
  const written = at.asked('spaces.patch')
  expect(await at.google.spaces.configureSpace(wish)).toEqual(first)
  expect(at.asked('spaces.patch')).toBe(written)
})

test('a space that Meet does not show, or a domain that delegates no Meet scope, is noted and never thrown', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  const hidden = { spaceName: null, accessType: 'unknown', autoRecording: 'refused' }
  const unknown = await at.google.spaces.configureSpace({ ...wish, meetingCode: 'aaa-bbbb-ccc' })
  expect(unknown).toMatchObject(hidden)
  expect(unknown.refusals).toHaveLength(1)

  const strict = await openTestGoogle({
    delegatedScopes: ['https://www.googleapis.com/auth/calendar.events'],
  })
  const refused = await strict.google.spaces.configureSpace(await makeMeeting(strict))
  expect(refused).toMatchObject(hidden)
  expect(refused.refusals[0]).toContain('domain-wide delegation')
})

test('a Meet that is down is thrown, so that the caller comes back', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  at.sandbox.faults.add({ kind: 'down', service: 'meet' })
  await expect(at.google.spaces.configureSpace(wish)).rejects.toMatchObject({
    service: 'meet',
    code: 'unavailable',
    retryable: true,
  })
})

test('a patch whose answer is lost is repeated', async () => {
  const at = await openTestGoogle()
  const wish = await makeMeeting(at)
  at.sandbox.faults.add({ kind: 'cut', method: 'spaces.patch' })
  expect(await at.google.spaces.configureSpace(wish)).toMatchObject({
    accessType: 'OPEN',
    autoRecording: 'on',
  })
})
