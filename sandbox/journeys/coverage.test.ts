// A call of which the beginning was not recorded, as Google's own record tells it afterwards.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock, TimedOut } from '../../clock.ts'
import { openStage, type RecordingAnswer, type Stage } from './stage.ts'

type CoveredAnswer = RecordingAnswer & {
  coverage: {
    source: string
    final: boolean
    percent: number
    humanMs: number
    recordedMs: number
    gaps: { ms: number; reason: string }[]
    alertedAt: string | null
  } | null
  timeline: { clockStart: string }[]
  native: { sha256: string; s3: { url: string } }[]
}

let stage: Stage

beforeAll(async () => {
  stage = await openStage({
    calls: () => ({ participants: [] }),
    conferences: { nativeRecording: true, endShowsAfterMs: 500, fileAfterMs: 500 },
  })
}, 120_000)
afterAll(() => stage?.[Symbol.asyncDispose]())

async function until<Answer>(
  what: string,
  limitMs: number,
  look: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const startedAt = Date.now()
  for (;;) {
    const answer = await look()
    if (answer !== undefined) return answer
    if (Date.now() - startedAt > limitMs) throw new TimedOut(what, limitMs)
    await systemClock.sleep(250)
  }
}

test('who talked before the bot came is missed by name, and what Google itself recorded is brought in', async () => {
  const meeting = await stage.post('Junta', 600)
  const call = stage.call(meeting)
  call.join('Ana Torres')
  const joinedAt = Date.now()
  await call.waitFor('joined', 60_000)
  await until('a few seconds to be recorded', 60_000, async () => {
    const { attempts } = await stage.recording(meeting)
    return (attempts[0]?.segments ?? 0) >= 2 ? true : undefined
  })
  call.leave('Ana Torres')
  const leftAt = Date.now()
  const look = () => stage.ask<CoveredAnswer>(`/v1/meetings/${meeting.id}/recording`)
  const covered = await until('the coverage', 120_000, async () => {
    const answer = await look()
    return answer.coverage?.final && answer.native.length > 0 ? answer : undefined
  })

  const { coverage } = covered
  expect(coverage).toMatchObject({ source: 'google', final: true, gaps: [{ reason: 'not_yet_recording' }] })
  expect(Math.abs((coverage?.humanMs ?? 0) - (leftAt - joinedAt))).toBeLessThan(500)
  const gapMs = coverage?.gaps[0]?.ms ?? 0
  expect(gapMs + (coverage?.recordedMs ?? 0)).toBe(coverage?.humanMs)
  const firstPictureAt = Date.parse(covered.timeline[0]?.clockStart ?? '')
  expect(Math.abs(gapMs - (firstPictureAt - joinedAt))).toBeLessThan(500)
  expect(coverage?.alertedAt).not.toBeNull()

  const people = await stage.ask<{ source: string; presences: { name: string; bot: boolean }[] }>(
    `/v1/meetings/${meeting.id}/participants`,
  )
  expect(people.source).toBe('google')
  expect(people.presences.map(({ name, bot }) => [name, bot])).toEqual([
    ['Ana Torres', false],
    ['Testigo (grabación)', true],
  ])
  const [native] = covered.native
  const bytes = Buffer.from(await (await fetch(native?.s3.url ?? '')).arrayBuffer())
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(native?.sha256)
}, 300_000)
