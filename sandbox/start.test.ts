import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { officialClients } from './google/official-client.ts'
import { startSandbox } from './start.ts'

test('what happens in a call made through the Calendar stands in the records of conferences', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'testigo-sandbox-'))
  const sandbox = await startSandbox({
    dir,
    signIn: false,
    calls: { participants: [] },
    conferences: { endShowsAfterMs: 50 },
  })
  onTestFinished(async () => {
    await sandbox.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const { google, meetWeb } = sandbox
  const { calendar, meet } = await officialClients(google, 'agenda@clinica.example')
  await calendar.events.insert({
    calendarId: 'primary',
    conferenceDataVersion: 1,
    requestBody: {
      start: { dateTime: new Date().toISOString() },
      end: { dateTime: new Date(Date.now() + 3_600_000).toISOString() },
      conferenceData: { createRequest: { requestId: 'one' } },
    },
  })
  const call = await vi.waitFor(
    () => {
      const [meeting] = meetWeb.meetings
      if (!meeting) throw new Error('the call is not made yet')
      return meeting
    },
    { timeout: 5000, interval: 20 },
  )
  const records = meet.conferenceRecords
  const filter = `space.meeting_code = "${call.code}"`
  expect((await records.list({ filter })).data.conferenceRecords).toBeUndefined()
  call.join('Ana Torres')
  call.join('Luis Gómez')
  const [running] = (await records.list({ filter })).data.conferenceRecords ?? []
  expect(running?.endTime).toBeUndefined()
  call.leave('Luis Gómez')
  const parent = running?.name ?? ''
  const present = { parent, filter: 'latest_end_time IS NULL' }
  expect((await records.participants.list(present)).data.participants).toEqual([
    expect.objectContaining({ anonymousUser: { displayName: 'Ana Torres' } }),
  ])
  call.end()
  await vi.waitFor(async () => expect((await records.get({ name: parent })).data.endTime).toBeDefined(), {
    timeout: 5000,
    interval: 20,
  })
})
