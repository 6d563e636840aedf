import { expect, test } from 'vitest'
import { BadMeetingUrl, meetingAddress } from './meeting-address.ts'

test('the language is pinned, also over another one, and what else the address carries stays', () => {
  expect(meetingAddress('https://meet.google.com/abc-defg-hij', 'en')).toBe(
    'https://meet.google.com/abc-defg-hij?hl=en',
  )
  expect(meetingAddress('https://meet.google.com/abc-defg-hij?hl=es&pli=1', 'en')).toBe(
    'https://meet.google.com/abc-defg-hij?hl=en&pli=1',
  )
})

test('one of several accounts is asked for by its position, the first needs none', () => {
  expect(meetingAddress('https://meet.google.com/abc-defg-hij', 'en', 2)).toContain('authuser=2')
  expect(meetingAddress('https://meet.google.com/abc-defg-hij', 'en', 0)).not.toContain('authuser')
})

test.each([
  '',
  'abc-defg-hij',
  'http://meet.google.com/abc-defg-hij',
  'https://meet.google.com/',
  'https://evil.example/abc-defg-hij',
])('"%s" is refused with what it should look like', url => {
  expect(() => meetingAddress(url, 'en')).toThrow(BadMeetingUrl)
  expect(() => meetingAddress(url, 'en')).toThrow('https://meet.google.com/abc-defg-hij')
})
