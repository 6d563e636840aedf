import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../recorder/manifest.ts'
import { checkInnerConsistency } from './inner-consistency.ts'

const START_MS = Date.parse('2026-11-22T15:00:00.000Z')
const at = (ms: number) => new Date(START_MS + ms).toISOString()
const attempt = (number: number) => ({
  ...{ number, lane: 0, recorder: 'host:1', botAccount: null, ending: 'everyone_left' as const },
  ...{ startedAt: at(0), admittedAt: at(0), endedAt: at(30_000) },
})
const segment = (of: number, number: number, fromMs: number, toMs: number) => ({
  ...{ attempt: of, number, key: `${of}/${number}`, sha256: 'a'.repeat(64), sizeBytes: 1, thinned: false },
  ...{ startMs: fromMs, durationMs: toMs - fromMs, startedAt: at(fromMs), endedAt: at(toMs) },
})
const stretch = (of: number, fileStartMs: number, fileEndMs: number, clockMs: number) => ({
  ...{ attempt: of, fileStartMs, fileEndMs },
  ...{ clockStart: at(clockMs), clockEnd: at(clockMs + fileEndMs - fileStartMs) },
})

/** Attempt 1 records 0 to 10 s, attempt 2 records 14 to 20 s. */
function sound(): Manifest {
  return {
    schema: 'testigo/manifest/1',
    recordingId: '11111111-1111-4111-8111-111111111111',
    meetingId: '11111111-1111-4111-8111-111111111112',
    organizationId: '11111111-1111-4111-8111-111111111113',
    revision: 1,
    software: { name: 'testigo', version: '1' },
    clock: 'database',
    auditHead: null,
    attempts: [attempt(1), attempt(2)],
    segments: [
      segment(1, 0, 0, 0),
      segment(1, 1, 0, 4000),
      segment(1, 2, 4000, 8000),
      segment(1, 3, 8000, 10_000),
      segment(2, 0, 14_000, 14_000),
      segment(2, 1, 14_000, 20_000),
    ],
    files: [{ key: 'recording.mp4', sha256: 'b'.repeat(64), sizeBytes: 1, contentType: 'video/mp4' }],
    timeline: [stretch(1, 0, 10_000, 0), stretch(2, 10_000, 16_000, 14_000)],
    gaps: [{ from: at(10_000), to: at(14_000), ms: 4000, reason: 'recorder_died' }],
    checks: {},
    coverage: null,
  }
}

test('a manifest that agrees with itself says how much there is of the call', () => {
  expect(checkInnerConsistency(sound())).toEqual([
    {
      what: 'timeline',
      state: 'ok',
      sentence: expect.stringContaining('16.000 s without a hole in the file'),
    },
  ])
})

test('a few frames between two stretches, and rounding, are no jump', () => {
  const manifest = sound()
  manifest.timeline[1] = stretch(2, 10_020, 16_020, 14_200)
  expect(checkInnerConsistency(manifest)).toMatchObject([{ state: 'ok' }])
})

describe('a manifest contradicts itself when', () => {
  test.each<[string, (manifest: Manifest) => unknown, string]>([
    ['it names no video', manifest => manifest.files.pop(), 'names no video'],
    ['it has no timeline', manifest => manifest.timeline.splice(0), 'The timeline is empty'],
    ['a gap is left out', manifest => manifest.gaps.pop(), 'no gap names it'],
    [
      'a gap is shorter than the jump',
      manifest => {
        manifest.gaps[0] = { from: at(10_000), to: at(13_000), ms: 3000, reason: 'recorder_died' }
      },
      'no gap names it',
    ],
    [
      'a gap lies over what was recorded',
      manifest => {
        manifest.gaps.push({ from: at(2000), to: at(3000), ms: 1000, reason: 'segment_lost' })
      },
      'lies where something was recorded',
    ],
    [
      'a gap has another length than its ends',
      manifest => {
        manifest.gaps[0] = { from: at(10_000), to: at(14_000), ms: 400, reason: 'recorder_died' }
      },
      'is not 400 ms long',
    ],
    [
      'the file does not begin at 0',
      manifest => {
        manifest.timeline[0] = stretch(1, 500, 10_000, 500)
      },
      'begins at 500 ms of the file instead of at 0 ms',
    ],
    [
      'the file has a hole',
      manifest => {
        manifest.timeline[1] = stretch(2, 11_000, 17_000, 14_000)
      },
      'begins at 11000 ms of the file instead of at 10000 ms',
    ],
    [
      'a stretch has another length in the file than by the clock',
      manifest => {
        manifest.timeline[1] = { ...stretch(2, 10_000, 16_000, 14_000), clockEnd: at(25_000) }
      },
      'longer or shorter in the file than by the clock',
    ],
    [
      'stretches are not in the order of time',
      manifest => {
        manifest.timeline[1] = stretch(2, 10_000, 16_000, 3000)
      },
      'was recorded before the one in front of it',
    ],
    [
      'a stretch is of an attempt that it does not have',
      manifest => {
        manifest.timeline[1] = stretch(7, 10_000, 16_000, 14_000)
      },
      'of attempt 7',
    ],
    ['a segment is left out', manifest => manifest.segments.splice(2, 1), 'Segments 2 to 2 of attempt 1'],
    [
      'the initialisation segment is left out',
      manifest => manifest.segments.splice(0, 1),
      'no initialisation segment',
    ],
    ['a segment stands twice', manifest => manifest.segments.push(segment(1, 2, 4000, 8000)), 'twice'],
    ['segments are of an attempt that it does not have', manifest => manifest.attempts.pop(), 'attempt 2'],
  ])('%s', (_name, change, words) => {
    const manifest = sound()
    change(manifest)
    const findings = checkInnerConsistency(manifest)
    expect(findings.map(({ state }) => state)).not.toContain('ok')
    expect(findings.map(({ sentence }) => sentence).join('\n')).toContain(words)
  })
})

test('a segment that is not there is explained by a gap, or by another attempt that was there', () => {
  const lost = sound()
  lost.segments.splice(2, 1)
  lost.timeline = [stretch(1, 0, 4000, 0), stretch(1, 4000, 6000, 8000), stretch(2, 6000, 12_000, 14_000)]
  lost.gaps.unshift({ from: at(4000), to: at(8000), ms: 4000, reason: 'segment_lost' })
  expect(checkInnerConsistency(lost)).toMatchObject([{ state: 'ok' }])

  const covered = sound()
  covered.segments.splice(2, 1)
  covered.timeline = [stretch(1, 0, 4000, 0), stretch(2, 4000, 20_000, 4000)]
  covered.gaps = []
  expect(checkInnerConsistency(covered)).toMatchObject([{ state: 'ok' }])
})
