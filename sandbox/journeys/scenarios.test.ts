import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listAttempts } from '../../db/attempts.ts'
import { findRecording, listSegments } from '../../db/recordings.ts'
import type { Calls } from '../start.ts'
import { isOver, openStage, type RecordingAnswer, type Stage } from './stage.ts'

// Every way a call may go, through the real API, recorder, Chromium, ffmpeg, PostgreSQL and S3.

const CALLS: Record<string, Calls> = {
  'host ends': { endAfterMs: 6_500 },
  'knocked and admitted': { invited: [], admitAfterMs: 1_500, endAfterMs: 7_500 },
  denied: { invited: [], denyAfterMs: 1_500 },
  'never answered': { invited: [] },
  'not found': { opensWith: 'not-found', participants: [] },
  'cannot join': { opensWith: 'cannot-join' },
  'session ended': {},
  'recording dialog': { dialogs: [{ kind: 'recording', afterMs: 500 }], endAfterMs: 9_000 },
  'alone prompt': {
    participants: [{ name: 'Ana Torres', joinAfterMs: 5_000 }],
    alonePromptAfterMs: 2_000,
    aloneLeaveAfterMs: 5_000,
    endAfterMs: 10_000,
  },
  removed: { removeAfterMs: 4_000 },
  'everyone leaves': {
    participants: ['Ana Torres', 'Luis Gómez'].map(name => ({ name, leaveAfterMs: 4_000 })),
  },
  'nobody comes': { participants: [] },
  'Spanish page': { language: 'es-419', invited: [], admitAfterMs: 1_500, endAfterMs: 7_500 },
  'words changed': { wordsChanged: true },
  'long one': {},
  'first of two': { endAfterMs: 8_000 },
  'second of two': { endAfterMs: 8_000 },
}

let stage: Stage

beforeAll(async () => {
  stage = await openStage({
    calls: title => CALLS[title] ?? {},
    env: { TESTIGO_RECORDER_SLOTS: '3', TESTIGO_ADMISSION: 'slots', TESTIGO_NOBODY_CAME_SECONDS: '16' },
  })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
})

async function journey(title: string, endsInSeconds = 600, limitMs = 90_000) {
  const meeting = await stage.post(title, endsInSeconds)
  const recording = await stage.until(meeting, isOver, limitMs)
  return { meeting, recording, call: stage.call(meeting) }
}

function expectGood(recording: RecordingAnswer, ending: string) {
  expect(Object.entries(recording.checks ?? {}).filter(([, check]) => !check.ok)).toEqual([])
  expect(recording).toMatchObject({
    status: 'available',
    ending: { word: ending },
    drive: { status: 'uploaded' },
  })
  expect(recording.sha256).toMatch(/^[0-9a-f]{64}$/)
}

describe('of calls that know nothing of each other', () => {
  test('an open call is recorded until the host ends it; who came is written down', {
    timeout: 120_000,
  }, async () => {
    const { meeting, recording } = await journey('host ends')
    expectGood(recording, 'call_ended_by_host')
    const { presences } = await stage.ask<{
      presences: { name: string; joinedAt: string; leftAt: string | null }[]
    }>(`/v1/meetings/${meeting.id}/participants`)
    expect(presences.map(presence => presence.name).sort()).toEqual([
      'Ana Torres',
      'Luis Gómez',
      'María José Peña',
    ])
    expect(presences.every(presence => presence.leftAt !== null)).toBe(true)
    const after = await stage.ask<{ status: string; actualStart: string; actualEnd: string }>(
      `/v1/meetings/${meeting.id}`,
    )
    expect(after.status).toBe('ended')
    expect(Date.parse(after.actualEnd) - Date.parse(after.actualStart)).toBeGreaterThan(3_000)
  })

  test('a bot that must knock waits, is admitted and records', { timeout: 120_000 }, async () => {
    const { recording, call } = await journey('knocked and admitted')
    expectGood(recording, 'call_ended_by_host')
    expect(call.events.map(event => event.type)).toContain('knock')
  })

  test('a denied bot does not stay; the recording has failed and says why', {
    timeout: 120_000,
  }, async () => {
    const { recording } = await journey('denied', 15)
    expect(recording).toMatchObject({ status: 'failed', ending: { word: 'join_denied' }, s3: null })
  })

  test('a knock that nobody answers ends with the meeting', { timeout: 120_000 }, async () => {
    const { recording } = await journey('never answered', 12)
    expect(recording).toMatchObject({ status: 'failed', ending: { word: 'waiting_room_timeout' } })
  })

  test('a code that Meet does not know is named', { timeout: 120_000 }, async () => {
    const { recording } = await journey('not found', 10)
    expect(recording).toMatchObject({ status: 'not_held', ending: { word: 'meeting_not_found' } })
  })

  test('a bot that Meet refuses says so after trying again', { timeout: 120_000 }, async () => {
    const { recording } = await journey('cannot join', 10)
    expect(recording).toMatchObject({ status: 'failed', ending: { word: 'cannot_join' } })
  })

  test('the recording notice is accepted and the call goes on', { timeout: 120_000 }, async () => {
    const { recording, call } = await journey('recording dialog')
    expectGood(recording, 'call_ended_by_host')
    expect(call.events.filter(event => event.type === 'dialog-answered')).toMatchObject([
      { kind: 'recording' },
    ])
  })

  test('"Are you still there?" is answered with staying, and who comes late is recorded', {
    timeout: 120_000,
  }, async () => {
    const { recording, call } = await journey('alone prompt')
    expectGood(recording, 'call_ended_by_host')
    expect(call.events.some(event => event.type === 'dialog-answered')).toBe(true)
  })

  test('a removed bot comes back once; a second removal is final and both parts are one video', {
    timeout: 150_000,
  }, async () => {
    const { recording } = await journey('removed', 600, 120_000)
    expect(recording).toMatchObject({ status: 'partial', ending: { word: 'removed_from_call' } })
    expect(recording.attempts.map(attempt => attempt.ending?.word)).toEqual([
      'removed_from_call',
      'removed_from_call',
    ])
    expect(recording.durationMs).toBeGreaterThan(3_000)
  })

  test('the bot leaves when everyone has left', { timeout: 120_000 }, async () => {
    const { recording } = await journey('everyone leaves')
    expectGood(recording, 'everyone_left')
  })

  test('a meeting to which nobody comes is not held, and no failure', { timeout: 120_000 }, async () => {
    const { meeting, recording } = await journey('nobody comes')
    expect(recording).toMatchObject({ status: 'not_held', ending: { word: 'nobody_came' }, s3: null })
    const after = await stage.ask<{ status: string }>(`/v1/meetings/${meeting.id}`)
    expect(after.status).toBe('ended')
  })

  test('a page in Spanish is understood, from the knock to the end', { timeout: 120_000 }, async () => {
    const { recording } = await journey('Spanish page')
    expectGood(recording, 'call_ended_by_host')
  })

  test('an unknown screen ends in its own word, with a picture and the page kept in the bucket', {
    timeout: 120_000,
  }, async () => {
    const { meeting, recording } = await journey('words changed', 10)
    expect(recording).toMatchObject({ status: 'failed', ending: { word: 'unknown_screen' } })
    const kept = await artefactsOf(meeting.id)
    expect(kept.map(artefact => artefact.kind).sort()).toEqual(['html', 'screenshot'])
    for (const { key } of kept) {
      const stored = await fetch(`${stage.sandbox.s3.endpoint}/${stage.sandbox.env.TESTIGO_S3_BUCKET}/${key}`)
      expect(stored.status).toBe(200)
      expect((await stored.arrayBuffer()).byteLength).toBeGreaterThan(1000)
    }
  })

  test('while the call runs its segments are in the bucket, each within six seconds of its last frame', {
    timeout: 120_000,
  }, async () => {
    const meeting = await stage.post('long one', 600)
    const during = await stage.until(meeting, ({ attempts }) => (attempts[0]?.segments ?? 0) >= 3, 60_000)
    expect(during.status).toBe('recording')
    const found = await findRecording(stage.db, { meetingId: meeting.id })
    const rows = await listSegments(stage.db, found?.recording.id ?? '')
    const listed = await keysInBucket()
    for (const row of rows) {
      expect(listed).toContain(row.s3Key)
      if (row.number > 0)
        expect(row.storedAt.getTime() - row.endedAt.getTime(), row.s3Key).toBeLessThan(6_000)
    }
    stage.call(meeting).end()
    expectGood(await stage.until(meeting, isOver, 60_000), 'call_ended_by_host')
  })

  test('a meeting that is cancelled during the call loses its bot, and keeps what was recorded', {
    timeout: 120_000,
  }, async () => {
    const meeting = await stage.post('long one', 600)
    await stage.until(meeting, ({ attempts }) => (attempts[0]?.segments ?? 0) >= 2, 60_000)
    await stage.ask(`/v1/meetings/${meeting.id}`, { method: 'DELETE' })
    const recording = await stage.until(meeting, isOver, 60_000)
    expectGood(recording, 'left_by_request')
    expect(stage.call(meeting).events.filter(event => event.type === 'left')).toHaveLength(1)
  })
})

test('a bot whose session has ended never falls back to a guest', { timeout: 120_000 }, async () => {
  const bot = { email: stage.sandbox.env.TESTIGO_BOT_EMAIL ?? '', name: 'Testigo' }
  stage.sandbox.meetWeb.accounts.expire(bot.email)
  const { recording, call } = await journey('session ended', 10)
  stage.sandbox.meetWeb.accounts.signIn(bot)
  expect(recording).toMatchObject({ status: 'failed', ending: { word: 'bot_not_signed_in' } })
  expect(call.events.filter(event => event.type === 'knock' || event.type === 'joined')).toEqual([])
})

test('two meetings at once are two recordings', { timeout: 150_000 }, async () => {
  const both = await Promise.all(['first of two', 'second of two'].map(title => journey(title, 600, 120_000)))
  for (const { recording } of both) expectGood(recording, 'call_ended_by_host')
  expect(new Set(both.map(({ recording }) => recording.sha256)).size).toBe(2)
})

async function artefactsOf(meetingId: string) {
  const found = await findRecording(stage.db, { meetingId })
  if (!found) throw new Error('the meeting has no recording')
  return (await listAttempts(stage.db, found.recording.id)).flatMap(attempt => attempt.artefacts)
}

async function keysInBucket(): Promise<string[]> {
  const answer = await fetch(
    `${stage.sandbox.s3.endpoint}/${stage.sandbox.env.TESTIGO_S3_BUCKET}?list-type=2`,
  )
  return [...(await answer.text()).matchAll(/<Key>([^<]+)<\/Key>/g)].map(match => match[1] ?? '')
}
