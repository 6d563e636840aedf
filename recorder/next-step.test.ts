import { expect, test } from 'vitest'
import { ENDING_WORDS, ENDINGS } from '../db/endings.ts'
import { nextStep } from './next-step.ts'

const duringTheMeeting = { now: 1_000, endsAt: 3_600_000 }
const afterTheMeeting = { now: 3_700_000, endsAt: 3_600_000 }

test('a call that ended by itself is finished', () => {
  expect(nextStep({ endings: ['call_ended_by_host'], hasMedia: true, ...duringTheMeeting })).toEqual({
    kind: 'finish',
  })
})

test('a browser that died during the meeting is answered with another attempt at once', () => {
  expect(nextStep({ endings: ['browser_died'], hasMedia: true, ...duringTheMeeting })).toEqual({
    kind: 'again',
    delaySeconds: 1,
  })
})

test('after the scheduled end nothing is tried again', () => {
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
    const step = nextStep({ endings: Array(40).fill(ending), hasMedia: false, ...duringTheMeeting })
    expect(step.kind, ending).toBe(ENDINGS[ending].held === 'no' ? 'not_held' : 'failed')
  }
})

test('a pause that would outlast the meeting is not begun', () => {
  expect(nextStep({ endings: ['join_denied'], hasMedia: false, now: 0, endsAt: 59_000 })).toEqual({
    kind: 'failed',
  })
  expect(nextStep({ endings: ['join_denied'], hasMedia: false, now: 0, endsAt: 61_000 }).kind).toBe('again')
})
