import { expect, test } from 'vitest'
import { ENDING_WORDS, ENDINGS } from '../db/endings.ts'
import { nextStep } from './next-step.ts'

const times = { wasIn: false, endsAt: 3_600_000, hardStopAt: 18_000_000 }
const duringTheMeeting = { ...times, now: 1_000 }
const afterTheMeeting = { ...times, now: 3_700_000 }
const afterTheHardStop = { ...times, now: 18_000_001 }

test('a call that ended by itself is finished', () => {
  expect(nextStep({ endings: ['call_ended_by_host'], hasMedia: true, ...duringTheMeeting })).toEqual({
    kind: 'finish',
  })
})

test('a browser that died during the meeting is answered with another attempt at once', () => {
  expect(nextStep({ endings: ['browser_died'], hasMedia: true, ...duringTheMeeting })).toEqual({
    kind: 'again',
    delaySeconds: 0,
  })
})

test('a part that keeps breaking is tried less and less often, but as long as the meeting lasts', () => {
  const delays = [1, 3, 6, 100].map(count => {
    const step = nextStep({
      endings: Array(count).fill('browser_died'),
      hasMedia: false,
      ...duringTheMeeting,
    })
    return step.kind === 'again' ? step.delaySeconds : step.kind
  })
  expect(delays).toEqual([0, 1, 10, 30])
  const afterAGoodOne = nextStep({
    endings: ['browser_died', 'browser_died', 'browser_died', 'connection_lost'],
    hasMedia: true,
    ...duringTheMeeting,
  })
  expect(afterAGoodOne).toEqual({ kind: 'again', delaySeconds: 0 })
})

test('a call that overruns its scheduled end is gone back to until the longest call is over', () => {
  const lost = { endings: ['recorder_died'] as const, hasMedia: true }
  expect(nextStep({ ...lost, ...afterTheMeeting, wasIn: true }).kind).toBe('again')
  expect(nextStep({ ...lost, ...afterTheHardStop, wasIn: true }).kind).toBe('finish')
})

test('after the scheduled end nobody knocks at a call that the bot never was in', () => {
  expect(nextStep({ endings: ['browser_died'], hasMedia: true, ...afterTheMeeting })).toEqual({
    kind: 'finish',
  })
  expect(nextStep({ endings: ['browser_died'], hasMedia: false, ...afterTheMeeting })).toEqual({
    kind: 'failed',
  })
})

test('the bot comes back once after being removed; the second removal is final', () => {
  expect(nextStep({ endings: ['removed_from_call'], hasMedia: true, ...duringTheMeeting }).kind).toBe('again')
  expect(
    nextStep({ endings: ['removed_from_call', 'removed_from_call'], hasMedia: true, ...duringTheMeeting })
      .kind,
  ).toBe('finish')
})

test('a meeting to which nobody came is not held, which is no failure', () => {
  for (const hasMedia of [false, true]) {
    expect(nextStep({ endings: ['nobody_came'], hasMedia, ...duringTheMeeting })).toEqual({
      kind: 'not_held',
    })
  }
})

test('every ending leads somewhere final in the end', () => {
  for (const ending of ENDING_WORDS) {
    const step = nextStep({ endings: Array(40).fill(ending), hasMedia: false, ...afterTheHardStop })
    expect(step.kind, ending).toBe(ENDINGS[ending].held === 'no' ? 'not_held' : 'failed')
  }
})

test('a pause that would outlast the meeting is not begun', () => {
  expect(nextStep({ endings: ['join_denied'], hasMedia: false, ...times, now: 0, endsAt: 59_000 })).toEqual({
    kind: 'failed',
  })
  expect(nextStep({ endings: ['join_denied'], hasMedia: false, ...times, now: 0, endsAt: 61_000 }).kind).toBe(
    'again',
  )
})
