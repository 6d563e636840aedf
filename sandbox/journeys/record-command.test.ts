import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { probeMedia } from '../../recorder/capture/probe-media.ts'
import { type CreateMeeting, type MeetWeb, startMeetWeb } from '../meet-web/server.ts'
import { signInProfile } from '../sign-in.ts'
import { runCommand } from './run-command.ts'

// `npm run record`: one call, with nothing but a browser and ffmpeg.

let dir: string
let meetWeb: MeetWeb

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-record-command-'))
  meetWeb = await startMeetWeb({ fps: 15, tileSize: { width: 320, height: 180 } })
})
afterAll(async () => {
  await meetWeb?.stop()
  await rm(dir, { recursive: true, force: true })
})

async function record(
  settings: CreateMeeting,
  args: string[] = ['--guest'],
  env: Record<string, string> = {},
) {
  const call = meetWeb.createMeeting(settings)
  const out = join(dir, `${call.code}.mp4`)
  const result = await runCommand('scripts/record.ts', [call.url, '--out', out, '--json', ...args], {
    env: {
      CHROMIUM_ARGS: meetWeb.chromiumArgs.map(word => `'${word}'`).join(' '),
      TESTIGO_VIDEO_SIZE: '640x360',
      TESTIGO_VIDEO_FPS: '15',
      TESTIGO_VIDEO_BITRATE: '800000',
      TESTIGO_NOBODY_CAME_SECONDS: '5',
      TESTIGO_EVERYONE_LEFT_SECONDS: '3',
      ...env,
    },
    limitMs: 90_000,
  })
  return { call, out, ...result, last: result.lines.at(-1) ?? {} }
}

test('a call that ends is recorded: exit 0, a line for each state, the file named last', {
  timeout: 120_000,
}, async () => {
  const { code, lines, last, out, call, stderr } = await record({ endAfterMs: 6_000 }, [
    '--guest',
    '--name',
    'Grabadora',
  ])
  expect(code, stderr).toBe(0)
  expect(lines.map(line => line.state).filter(Boolean)).toEqual(
    expect.arrayContaining(['joining', 'recording', 'finishing']),
  )
  expect(last).toMatchObject({ ending: 'call_ended_by_host', file: out, checks: { decodable: { ok: true } } })
  expect((await probeMedia(out)).video).toMatchObject({ codec: 'h264', width: 640, height: 360 })
  expect(call.events.find(event => event.type === 'joined')).toMatchObject({ name: 'Grabadora' })
})

test('a removed bot does not come back, and what it has is kept: exit 0', { timeout: 120_000 }, async () => {
  const { code, last, out, call } = await record({ removeAfterMs: 5_000 })
  expect(code).toBe(0)
  expect(last).toMatchObject({ ending: 'removed_from_call', file: out })
  expect((await stat(out)).size).toBeGreaterThan(10_000)
  expect(call.events.filter(event => event.type === 'joined')).toHaveLength(1)
})

test('a bot that is denied exits 3 and leaves no file', { timeout: 120_000 }, async () => {
  const { code, last, out } = await record({ access: 'trusted', denyAfterMs: 1_000 })
  expect(code).toBe(3)
  expect(last).toMatchObject({ ending: 'join_denied', file: null })
  expect(await readdir(dir)).not.toContain(out)
})

test('a guest whom Meet asks to sign in exits 3', { timeout: 120_000 }, async () => {
  const { code, last } = await record({ opensWith: 'sign-in' })
  expect(code).toBe(3)
  expect(last).toMatchObject({ ending: 'sign_in_required' })
})

test('a call to which nobody comes exits 4', { timeout: 120_000 }, async () => {
  const { code, last } = await record({ participants: [] })
  expect(code).toBe(4)
  expect(last).toMatchObject({ ending: 'nobody_came' })
})

test('a signed-in profile joins without knocking', { timeout: 120_000 }, async () => {
  const profileDir = join(dir, 'profile')
  await signInProfile({
    profileDir,
    email: 'bot@clinica.example',
    name: 'Testigo',
    chromiumArgs: meetWeb.chromiumArgs,
  })
  const { code, call, stderr } = await record(
    { access: 'trusted', invited: ['bot@clinica.example'], endAfterMs: 4_000 },
    ['--profile', profileDir],
  )
  expect(code, stderr).toBe(0)
  expect(call.events.map(event => event.type)).not.toContain('knock')
  const check = await runCommand('scripts/sign-in-bot.ts', ['--check', '--profile', profileDir], {
    env: { CHROMIUM_ARGS: meetWeb.chromiumArgs.map(word => `'${word}'`).join(' ') },
    limitMs: 30_000,
  })
  expect(check.code, check.stderr).toBe(0)
  expect(check.stdout).toContain('Signed in as bot@clinica.example')
})

test('--max-minutes ends a call that goes on', { timeout: 120_000 }, async () => {
  const { code, last, call } = await record({}, ['--guest', '--max-minutes', '0.15'])
  expect(code).toBe(0)
  expect(last).toMatchObject({ ending: 'longest_call_reached' })
  expect(call.events.some(event => event.type === 'left')).toBe(true)
})

test.each([
  { args: [], says: 'Name one call to record' },
  { args: ['https://example.com/call', '--out', 'x.mp4'], says: 'is no link of a Google Meet call' },
  { args: ['https://meet.google.com/abc-defg-hij'], says: '--out file.mp4' },
  { args: ['https://meet.google.com/abc-defg-hij', '--out', 'x.mp4', '--loud'], says: '--loud' },
])('bad input is answered with a sentence, not a stack: $says', async ({ args, says }) => {
  const { code, stderr } = await runCommand('scripts/record.ts', args, { limitMs: 20_000 })
  expect(code).toBe(1)
  expect(stderr).toContain(says)
  expect(stderr).not.toMatch(/\n\s+at /)
})
