import type { meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failureOf, officialClients, usualScopes } from '../official-client.ts'
import type { GoogleSandbox } from '../server.ts'
import { openGoogle } from '../test-google.ts'

let google: GoogleSandbox
let meet: meet_v2.Meet
let creator: meet_v2.Meet
let guest: meet_v2.Meet
/** A space made by Calendar. */
let code: string
let name: string

const organizer = 'agenda@clinica.example'
const createdScope = 'https://www.googleapis.com/auth/meetings.space.created'

beforeAll(async () => {
  google = await openGoogle()
  const owner = await officialClients(google, organizer)
  meet = owner.meet
  creator = (await officialClients(google, organizer, [createdScope])).meet
  guest = (await officialClients(google, 'testigo@clinica.example')).meet
  const { data } = await owner.calendar.events.insert({
    calendarId: 'primary',
    conferenceDataVersion: 1,
    requestBody: {
      start: { dateTime: '2026-12-01T10:00:00Z' },
      end: { dateTime: '2026-12-01T11:00:00Z' },
      conferenceData: { createRequest: { requestId: 'r' } },
    },
  })
  code = data.conferenceData?.conferenceId ?? ''
  name = (await meet.spaces.get({ name: `spaces/${code}` })).data.name ?? ''
})
afterEach(() => {
  google.faults.clear()
  google.state.conferences.length = 0
})
afterAll(() => google.stop())

const spaceDenied = {
  status: 403,
  reason: 'PERMISSION_DENIED',
  message: 'Permission denied on resource Space (or it might not exist)',
}
const patch = async (config: meet_v2.Schema$SpaceConfig, updateMask?: string, as = meet, space = name) =>
  (await as.spaces.patch({ name: space, requestBody: { config }, ...(updateMask && { updateMask }) })).data
    .config

describe('a space made by Calendar', () => {
  test('is found by its code in any case, and by its canonical name', async () => {
    expect(name).toMatch(/^spaces\/[A-Z][A-Za-z0-9]{11}$/)
    for (const alias of [code.toUpperCase(), name.slice('spaces/'.length)]) {
      const { data } = await meet.spaces.get({ name: `spaces/${alias}` })
      expect(data).toMatchObject({ name, meetingCode: code, meetingUri: `https://meet.google.com/${code}` })
    }
  })

  test('shows its configuration to the owner only', async () => {
    expect((await meet.spaces.get({ name })).data.config?.accessType).toBe('TRUSTED')
    expect((await guest.spaces.get({ name })).data.config).toBeUndefined()
  })

  test('is patched by its canonical name, and not by its code: 403 as if rights were missing', async () => {
    expect(
      await failureOf(patch({ accessType: 'OPEN' }, 'config.accessType', meet, `spaces/${code}`)),
    ).toEqual(spaceDenied)
    expect((await patch({ accessType: 'OPEN' }, 'config.accessType'))?.accessType).toBe('OPEN')
    expect((await meet.spaces.get({ name })).data.config?.accessType).toBe('OPEN')
  })

  test('is patched by its owner only', async () => {
    expect(await failureOf(patch({ accessType: 'OPEN' }, 'config.accessType', guest))).toEqual(spaceDenied)
  })

  test('is out of reach for the scope of created spaces alone', async () => {
    expect(await failureOf(creator.spaces.get({ name }))).toEqual(spaceDenied)
  })

  test('takes no members', async () => {
    expect(await failureOf(creator.spaces.members.list({ parent: name }))).toMatchObject({
      status: 403,
      message: 'Permission denied on resource Member',
    })
  })

  test('that does not exist is 403, not 404', async () => {
    expect(await failureOf(meet.spaces.get({ name: 'spaces/zzz-zzzz-zzz' }))).toEqual(spaceDenied)
  })
})

describe('the update mask', () => {
  const recording = (autoRecordingGeneration: string) => ({ recordingConfig: { autoRecordingGeneration } })

  test('limits what is written', async () => {
    await patch({ accessType: 'TRUSTED', moderation: 'OFF' })
    const config = await patch({ accessType: 'OPEN', moderation: 'ON' }, 'config.moderation')
    expect(config).toMatchObject({ accessType: 'TRUSTED', moderation: 'ON' })
  })

  test('reaches inner fields, in either spelling, and leaves their neighbours', async () => {
    const artifactConfig = { ...recording('ON'), transcriptionConfig: { autoTranscriptionGeneration: 'ON' } }
    const mask = 'config.artifactConfig.recordingConfig.autoRecordingGeneration'
    expect((await patch({ artifactConfig }, mask))?.artifactConfig).toMatchObject({
      recordingConfig: { autoRecordingGeneration: 'ON' },
      transcriptionConfig: { autoTranscriptionGeneration: 'OFF' },
    })
    expect((await patch({ accessType: 'RESTRICTED' }, 'config.access_type'))?.accessType).toBe('RESTRICTED')
  })

  test('puts a named field that was not sent back to its default', async () => {
    await patch({ accessType: 'OPEN' })
    expect((await patch({}, 'config.accessType'))?.accessType).toBe('TRUSTED')
  })

  test('that is absent writes all that was sent; * also resets what was not', async () => {
    expect(await patch({ accessType: 'OPEN', moderation: 'ON' })).toMatchObject({
      accessType: 'OPEN',
      moderation: 'ON',
    })
    expect(await patch({ accessType: 'OPEN' }, '*')).toMatchObject({ accessType: 'OPEN', moderation: 'OFF' })
  })

  test.each(['name', 'config.colour', 'meetingCode'])('is refused for %s', async mask => {
    expect(await failureOf(patch({}, mask))).toMatchObject({ status: 400, reason: 'INVALID_ARGUMENT' })
  })

  test('restrictions fall away with moderation', async () => {
    const moderationRestrictions = { chatRestriction: 'HOSTS_ONLY' }
    const on = await patch({ moderation: 'ON', moderationRestrictions })
    expect(on?.moderationRestrictions?.chatRestriction).toBe('HOSTS_ONLY')
    const off = await patch({ moderation: 'OFF' })
    expect(off?.moderationRestrictions?.chatRestriction).toBe('NO_RESTRICTION')
  })

  test('automatic recording is refused on demand, as an edition without it would', async () => {
    await patch({ artifactConfig: recording('OFF') })
    google.faults.add({ kind: 'autoRecordingRefused' })
    expect(await failureOf(patch({ artifactConfig: recording('ON') }))).toMatchObject({
      status: 403,
      reason: 'PERMISSION_DENIED',
    })
    const { data } = await meet.spaces.get({ name })
    expect(data.config?.artifactConfig?.recordingConfig?.autoRecordingGeneration).toBe('OFF')
  })
})

describe('a space made by the app', () => {
  const create = async (as = creator, config?: meet_v2.Schema$SpaceConfig) =>
    (await as.spaces.create({ requestBody: config ? { config } : {} })).data

  test('takes co-hosts', async () => {
    const space = await create()
    const parent = space.name ?? ''
    const requestBody = { email: 'testigo@clinica.example', role: 'COHOST' }
    const { data: member } = await creator.spaces.members.create({ parent, requestBody })
    expect((await creator.spaces.members.list({ parent })).data.members).toEqual([member])
    expect((await creator.spaces.members.get({ name: member.name ?? '' })).data.email).toBe(requestBody.email)
    await creator.spaces.members.delete({ name: member.name ?? '' })
    expect((await creator.spaces.members.list({ parent })).data.members).toEqual([])
  })

  test('takes automatic artifacts only with the settings scope', async () => {
    const config = { artifactConfig: { recordingConfig: { autoRecordingGeneration: 'ON' } } }
    expect((await failureOf(create(creator, config))).status).toBe(403)
    const both = await officialClients(google, organizer, [createdScope, ...usualScopes])
    const space = await create(both.meet, config)
    expect(space.config?.artifactConfig?.recordingConfig?.autoRecordingGeneration).toBe('ON')
  })

  test('cannot be made by a service account of its own', async () => {
    const bare = await officialClients(google, undefined, [createdScope])
    expect((await failureOf(create(bare.meet))).status).toBe(403)
  })

  test('ends its running conference on request', async () => {
    const space = (await create()).name ?? ''
    const end = () => creator.spaces.endActiveConference({ name: space, requestBody: {} })
    expect((await failureOf(end())).status).toBe(400)
    const conference = {
      name: 'conferenceRecords/run1',
      space,
      startTime: new Date().toISOString(),
      participants: [],
      recordings: [],
    }
    google.state.conferences.push(conference)
    const active = (await creator.spaces.get({ name: space })).data.activeConference
    expect(active).toEqual({ conferenceRecord: 'conferenceRecords/run1' })
    await end()
    expect(conference).toHaveProperty('endTime')
    expect((await creator.spaces.get({ name: space })).data.activeConference).toBeUndefined()
  })
})
