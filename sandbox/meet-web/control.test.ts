import { afterAll, beforeAll, expect, test } from 'vitest'
import { UnknownWishError } from './create-meeting.ts'
import { scenarios } from './scenarios.ts'
import { type MeetWeb, startMeetWeb } from './server.ts'

let web: MeetWeb

beforeAll(async () => {
  web = await startMeetWeb()
})

afterAll(() => web.stop())

async function post(path: string, body: unknown = {}) {
  const answer = await fetch(`${web.controlUrl}/_sandbox/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

test('another process makes a meeting, drives it and reads what happened', async () => {
  const made = await post('meetings', { scenario: 'knock-admitted', code: 'aaa-bbbb-ccc', participants: 2 })
  expect(made).toEqual({
    status: 201,
    body: { code: 'aaa-bbbb-ccc', url: 'https://meet.google.com/aaa-bbbb-ccc' },
  })
  const waiting = fetch(
    `${web.controlUrl}/_sandbox/meetings/aaa-bbbb-ccc/wait?event=participant-joined&timeoutMs=5000`,
  )
  expect((await post('meetings/aaa-bbbb-ccc/join', { name: 'Diego' })).status).toBe(200)
  expect(await (await waiting).json()).toMatchObject({ event: { name: 'Diego' } })
  await post('meetings/aaa-bbbb-ccc/leave', { name: 'Ana Torres' })
  const state = (await (await fetch(`${web.controlUrl}/_sandbox/meetings/aaa-bbbb-ccc`)).json()) as {
    people: { name: string }[]
    settings: object
    events: { type: string; atMs: number }[]
  }
  expect(state.people.map(person => person.name)).toEqual(['Luis Gómez', 'Diego'])
  expect(state.settings).toMatchObject({ access: 'trusted', admitAfterMs: 3_000 })
  expect(state.events.every(event => Math.abs(event.atMs - Date.now()) < 60_000)).toBe(true)
})

test.each([
  ['meetings', { scenario: 'nonsense' }, 400, 'unknown scenario "nonsense"'],
  ['meetings', { colour: 'red' }, 400, 'unknown settings colour'],
  ['meetings/nix-nixx-nix/end', {}, 404, 'no meeting "nix-nixx-nix"'],
  ['meetings/xxx-yyyy-zzz/fly', {}, 404, 'no action "fly"'],
  ['meetings/xxx-yyyy-zzz/join', {}, 400, 'the body needs "name"'],
  ['meetings/xxx-yyyy-zzz/dialog', { kind: 'tea' }, 400, 'no dialog "tea"'],
  ['meetings', 7, 400, 'the body is not a JSON object'],
])('POST %s with %j is refused with %i and a reason', async (path, body, status, reason) => {
  web.createMeeting({ code: 'xxx-yyyy-zzz' })
  const answer = await post(path, body)
  expect(answer.status).toBe(status)
  expect(answer.body.error).toContain(reason)
})

test('flags for a browser that reaches the sandbox under another name carry that name', async () => {
  const answer = await fetch(`${web.controlUrl.replace('127.0.0.1', 'localhost')}/_sandbox/info`)
  const { chromiumArgs } = (await answer.json()) as { chromiumArgs: string[] }
  expect(chromiumArgs[0]).toContain(`MAP meet.google.com:443 localhost:${web.port}`)
})

test('every scenario makes a meeting; a number of participants keeps its timing', () => {
  for (const scenario of Object.keys(scenarios) as (keyof typeof scenarios)[]) {
    expect(web.createMeeting({ scenario }).code).toMatch(/^[a-z]{3}-[a-z]{4}-[a-z]{3}$/)
  }
  const leaving = web.createMeeting({ scenario: 'everyone-leaves', participants: 5 })
  expect(leaving.settings.participants.map(person => person.leaveAfterMs)).toEqual(Array(5).fill(10_000))
  expect(() => web.createMeeting({ scenario: 'toString' as never })).toThrow(UnknownWishError)
})

test('waiting for what never happens ends with what did', async () => {
  const meeting = web.createMeeting({ code: 'www-wwww-www' })
  meeting.join('Diego')
  await expect(meeting.waitFor('knock', 20)).rejects.toThrow('happened: participant-joined, people')
})

test('stopping twice is stopping once', async () => {
  const other = await startMeetWeb()
  await Promise.all([other.stop(), other.stop()])
  await other.stop()
  await expect(fetch(`${other.controlUrl}/_sandbox/info`)).rejects.toThrow()
})
