import { expect, test } from 'vitest'
import { artefactKey, recordingPrefix, segmentKey, videoKey } from './object-names.ts'

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
