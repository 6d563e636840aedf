import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CreateMeeting, type MeetWeb, startMeetWeb } from '../meet-web/server.ts'
import { endOf, type RunningVisit, startVisit } from './one-visit.ts'

// Parts of one visit are broken for real; what is measured is how soon the visit says so and what it kept.

let web: MeetWeb
beforeAll(async () => {
  web = await startMeetWeb({ fps: 5, tileSize: { width: 320, height: 180 } })
})
afterAll(() => web.stop())

const HANG_LIMIT_MS = 12_000
const DEATH_LIMIT_MS = 2_000
/** What a death may cost: what was still inside the browser and the encoder. */
const LOST_LIMIT_MS = 1_500

const meetingFor = (wanted: CreateMeeting = {}) =>
  web.createMeeting({ participants: ['Ana Torres'], renderDelayMs: 50, chipsDelayMs: 300, ...wanted })

/** Breaks something after three seconds of recording; returns the outcome with what it took and what was kept. */
async function breakAfterAWhile(visit: RunningVisit, fault: () => Promise<void> | void) {
  await visit.recorded(3_000)
  const mediaMs = endOf(visit.fragments)
  const atMs = Date.now()
  await fault()
  const outcome = await visit.outcome
  const tookMs = (await visit.outcomeAtMs) - atMs
  const keptMs = endOf(visit.segments)
  process.stderr.write(
    `    ${outcome.ending} after ${tookMs} ms, kept ${keptMs} of ${mediaMs} ms: ${outcome.detail}\n`,
  )
  return { outcome, tookMs, lostMs: mediaMs - keptMs }
}

const signal = (pids: number[], name: NodeJS.Signals) => {
  for (const pid of pids) process.kill(pid, name)
}

describe('deaths', () => {
  test('a killed renderer is browser_died at once, and what was recorded is kept', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs, lostMs } = await breakAfterAWhile(visit, async () =>
      signal((await visit.processes()).pages, 'SIGKILL'),
    )
    expect(outcome).toMatchObject({ ending: 'browser_died', detail: expect.stringContaining('killed') })
    expect(tookMs).toBeLessThan(DEATH_LIMIT_MS)
    expect(lostMs).toBeLessThan(LOST_LIMIT_MS)
  }, 60_000)

  test('a killed browser is browser_died at once, and what was recorded is kept', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs, lostMs } = await breakAfterAWhile(visit, async () =>
      signal([(await visit.processes()).browser], 'SIGKILL'),
    )
    expect(outcome).toMatchObject({ ending: 'browser_died', detail: expect.stringContaining('SIGKILL') })
    expect(tookMs).toBeLessThan(DEATH_LIMIT_MS)
    expect(lostMs).toBeLessThan(LOST_LIMIT_MS)
  }, 60_000)

  test('a page that ran out of memory is browser_died at once', async () => {
    const meeting = meetingFor()
    const browser = { chromiumArgs: ['--js-flags=--max-old-space-size=48'] } as never
    const visit = startVisit(web, meeting, { browser })
    const { outcome, lostMs } = await breakAfterAWhile(visit, () => meeting.exhaustMemory())
    expect(outcome).toMatchObject({ ending: 'browser_died' })
    expect(lostMs).toBeLessThan(LOST_LIMIT_MS)
  }, 60_000)

  test('without the capture extension’s page the capture has failed at once', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs, lostMs } = await breakAfterAWhile(visit, async () =>
      signal((await visit.processes()).extension, 'SIGKILL'),
    )
    expect(outcome).toMatchObject({ ending: 'capture_failed', detail: expect.stringContaining('extension') })
    expect(tookMs).toBeLessThan(2 * DEATH_LIMIT_MS)
    expect(lostMs).toBeLessThan(LOST_LIMIT_MS)
  }, 60_000)
})

describe('hangs', () => {
  test('a renderer that stands still is page_frozen within twelve seconds, closed browser included', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs } = await breakAfterAWhile(visit, async () =>
      signal((await visit.processes()).pages, 'SIGSTOP'),
    )
    expect(outcome).toMatchObject({ ending: 'page_frozen' })
    expect(tookMs).toBeLessThan(HANG_LIMIT_MS)
  }, 60_000)

  test('a capture extension that stands still is capture_failed within twelve seconds', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs } = await breakAfterAWhile(visit, async () =>
      signal((await visit.processes()).extension, 'SIGSTOP'),
    )
    expect(outcome).toMatchObject({ ending: 'capture_failed' })
    expect(tookMs).toBeLessThan(HANG_LIMIT_MS + DEATH_LIMIT_MS)
  }, 60_000)

  test('a browser that stands still is noticed within twelve seconds', async () => {
    const visit = startVisit(web, meetingFor())
    const { outcome, tookMs } = await breakAfterAWhile(visit, async () =>
      signal([(await visit.processes()).browser], 'SIGSTOP'),
    )
    expect(['page_frozen', 'capture_failed']).toContain(outcome.ending)
    expect(tookMs).toBeLessThan(HANG_LIMIT_MS + DEATH_LIMIT_MS)
  }, 60_000)

  test('a page whose scripts never end is page_frozen within twelve seconds', async () => {
    const meeting = meetingFor()
    const visit = startVisit(web, meeting)
    const { outcome, tookMs } = await breakAfterAWhile(visit, () => meeting.freeze())
    expect(outcome).toMatchObject({ ending: 'page_frozen' })
    expect(tookMs).toBeLessThan(HANG_LIMIT_MS)
  }, 60_000)
})

describe('the call goes on', () => {
  test('a page that reloads itself is in the call again within five seconds, in the same visit', async () => {
    const meeting = meetingFor()
    const visit = startVisit(web, meeting)
    await visit.recorded(3_000)
    const from = meeting.events.length
    meeting.reload()
    const { atMs: reloadedAtMs } = await meeting.waitFor('reloaded', 1_000, from)
    const { atMs: joinedAtMs } = await meeting.waitFor('joined', 15_000, from)
    expect(joinedAtMs - reloadedAtMs).toBeLessThan(5_000)
    const before = endOf(visit.fragments)
    await visit.recorded(before + 3_000)
    meeting.end()
    const outcome = await visit.outcome
    expect(outcome).toMatchObject({ ending: 'call_ended_by_host' })
    expect(outcome.notInCallMs).toBeGreaterThan(0)
    expect(outcome.notInCallMs).toBeLessThan(6_000)
  }, 60_000)

  test('a network that is away for a while does not end the visit', async () => {
    const meeting = meetingFor()
    const visit = startVisit(web, meeting)
    await visit.recorded(2_000)
    await web.cutNetwork(6_000)
    await meeting.waitFor('resumed', 20_000)
    await visit.recorded(endOf(visit.fragments) + 2_000)
    expect(meeting.events.filter(({ type }) => type === 'joined')).toHaveLength(1)
    meeting.end()
    expect(await visit.outcome).toMatchObject({
      ending: 'call_ended_by_host',
      notInCallMs: expect.any(Number),
    })
  }, 60_000)

  test('a page that gave its connection up is connection_lost soon after', async () => {
    const meeting = meetingFor({ reconnectGiveUpMs: 2_000 })
    const visit = startVisit(web, meeting)
    const { outcome, tookMs } = await breakAfterAWhile(visit, () => meeting.cutNetwork())
    expect(outcome).toMatchObject({ ending: 'connection_lost', detail: expect.stringContaining('gave up') })
    expect(tookMs).toBeLessThan(HANG_LIMIT_MS)
  }, 60_000)

  test('a handover ends the visit at once, with everything stored and a leave that the others see', async () => {
    const meeting = meetingFor()
    const visit = startVisit(web, meeting)
    const { outcome, tookMs, lostMs } = await breakAfterAWhile(visit, () => visit.stop.abort('handed_over'))
    expect(outcome).toMatchObject({ ending: 'handed_over' })
    expect(tookMs).toBeLessThan(5_000)
    expect(lostMs).toBeLessThanOrEqual(0)
    expect(meeting.events.filter(({ type }) => type === 'left')).toMatchObject([{ from: 'call' }])
    expect(visit.people).toEqual(['Ana Torres joined', 'Ana Torres left'])
  }, 60_000)

  test('who speaks is seen, and in the media’s time', async () => {
    const meeting = meetingFor()
    const visit = startVisit(web, meeting)
    await visit.recorded(9_000)
    meeting.change('Ana Torres', { muted: true })
    await visit.recorded(14_000)
    meeting.end()
    const { speech = [] } = await visit.outcome
    process.stderr.write(`    speech: ${JSON.stringify(speech)}\n`)
    expect(speech.length).toBeGreaterThan(0)
    expect(Math.max(...speech.map(({ toMs }) => toMs))).toBeLessThan(11_000)
  }, 60_000)
})
