import { expect, test } from 'vitest'
import {
  artefactKey,
  isVideoKey,
  manifestKey,
  nativeVideoKey,
  readSegmentKey,
  recordingPrefix,
  segmentKey,
  videoKey,
} from './object-names.ts'

const place = { prefix: '', organizationId: 'org-1', recordingId: 'rec-1' }

test('the order of segment names is the order of time, across attempts and past powers of ten', () => {
  const inTime = [
    [1, 0],
    [1, 1],
    [1, 9],
    [1, 10],
    [1, 99_999],
    [2, 0],
    [2, 1],
    [10, 0],
  ].map(([attempt = 0, number = 0]) => segmentKey({ ...place, attempt, number }))
  expect([...inTime].sort()).toEqual(inTime)
})

test('segment 0 is the initialisation part, the rest are numbered', () => {
  expect(segmentKey({ ...place, attempt: 1, number: 0 })).toBe('org-1/rec-1/attempt-001/init.mp4')
  expect(segmentKey({ ...place, attempt: 1, number: 1 })).toBe('org-1/rec-1/attempt-001/seg-00001.m4s')
})

test('everything of a recording lies below its prefix, however the prefix of the settings is written', () => {
  for (const prefix of ['calls', '/calls', 'calls/']) {
    const under = { ...place, prefix }
    expect(recordingPrefix(under)).toBe('calls/org-1/rec-1/')
    expect(videoKey(under)).toBe('calls/org-1/rec-1/recording.mp4')
    expect(artefactKey({ ...under, attempt: 2, name: 'screen.png' })).toBe(
      'calls/org-1/rec-1/attempt-002/artefacts/screen.png',
    )
  }
})

test('a name that would leave its place, or a number that does not fit, is refused', () => {
  expect(() => videoKey({ ...place, recordingId: '../other' })).toThrow('does not fit an object name')
  expect(() => artefactKey({ ...place, attempt: 1, name: 'a/b' })).toThrow('does not fit an object name')
  expect(() => segmentKey({ ...place, attempt: 1, number: 100_000 })).toThrow('below 100000')
  expect(() => segmentKey({ ...place, attempt: -1, number: 0 })).toThrow('whole number')
})

test("Google's own recordings lie beside the video, and are not taken for it", () => {
  expect(nativeVideoKey({ ...place, number: 12 })).toBe('org-1/rec-1/native-12.mp4')
  expect(isVideoKey(place, nativeVideoKey({ ...place, number: 1 }))).toBe(false)
  expect(() => nativeVideoKey({ ...place, number: 0 })).toThrow('count from 1')
})

test('each revision of a video has a name of its own, the first one the plain one', () => {
  expect(videoKey(place)).toBe('org-1/rec-1/recording.mp4')
  expect(videoKey({ ...place, revision: 1 })).toBe('org-1/rec-1/recording.mp4')
  expect(videoKey({ ...place, revision: 12 })).toBe('org-1/rec-1/recording-r12.mp4')
  expect(manifestKey({ ...place, revision: 2 })).toBe('org-1/rec-1/manifest-r2.json')
  expect(() => videoKey({ ...place, revision: 0 })).toThrow('is no revision')
})

test('videos are told from everything else of a recording', () => {
  for (const revision of [1, 2, 30]) expect(isVideoKey(place, videoKey({ ...place, revision }))).toBe(true)
  for (const name of ['manifest.json', 'attempt-001/init.mp4', 'recording.mp4.part', 'native-recording.mp4'])
    expect(isVideoKey(place, `org-1/rec-1/${name}`)).toBe(false)
  expect(isVideoKey(place, 'org-1/rec-2/recording.mp4')).toBe(false)
})

test('the name of a segment tells what it is', () => {
  for (const of of [
    { attempt: 1, number: 0 },
    { attempt: 12, number: 99_999 },
  ])
    expect(readSegmentKey(place, segmentKey({ ...place, ...of }))).toEqual(of)
  expect(readSegmentKey(place, videoKey(place))).toBeUndefined()
  expect(readSegmentKey(place, artefactKey({ ...place, attempt: 1, name: 'init.mp4' }))).toBeUndefined()
  expect(readSegmentKey(place, 'org-1/rec-2/attempt-001/init.mp4')).toBeUndefined()
})
