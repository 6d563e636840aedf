import { afterAll, beforeAll, expect, test } from 'vitest'
import { clickText, endHeading, openWorld, type TestWorld, videosPlay, visitCall } from './test-visitor.ts'

// A level that only people’s sound reaches.
const HEARD = 0.05

let world: TestWorld

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world[Symbol.asyncDispose]())

test('picture of every participant and sound of three streams arrive over WebRTC', async () => {
  await using visited = await visitCall(world)
  const { page } = visited
  await videosPlay(page, 3)
  // Sound may begin later than the picture: each stream is listened to until it has been heard.
  const loudest = await page.evaluate(async heard => {
    const context = new AudioContext()
    const streams = [...document.querySelectorAll('audio')].map(audio => audio.srcObject as MediaStream)
    const meters = streams.map(stream => {
      const meter = new AnalyserNode(context, { fftSize: 2048 })
      context.createMediaStreamSource(stream).connect(meter)
      return meter
    })
    const loudest = meters.map(() => 0)
    const samples = new Float32Array(2048)
    const endMs = performance.now() + 10_000
    while (performance.now() < endMs && !loudest.every(level => level > heard)) {
      meters.forEach((meter, index) => {
        meter.getFloatTimeDomainData(samples)
        loudest[index] = Math.max(loudest[index] ?? 0, ...samples)
      })
      await new Promise(resolve => setTimeout(resolve, 30))
    }
    await context.close()
    return loudest
  }, HEARD)
  expect(loudest).toHaveLength(3)
  for (const level of loudest) expect(level).toBeGreaterThan(HEARD)
  const elements = await page.$$eval('body > audio', all =>
    all.map(one => ({ paused: one.paused, names: one.getAttributeNames() })),
  )
  expect(elements).toEqual(Array(3).fill({ paused: false, names: [] }))
})

test('in the mode without playing elements the sound still comes out', async () => {
  await using visited = await visitCall(world, {
    audioOutput: 'web-audio',
    participants: [{ name: 'Ana', cameraOff: true }],
    beforeLoad: () => {
      const meters: AnalyserNode[] = []
      Object.assign(window, { meters })
      const native = AudioContext.prototype.createMediaStreamSource
      AudioContext.prototype.createMediaStreamSource = function (stream) {
        const source = native.call(this, stream)
        const meter = new AnalyserNode(this, { fftSize: 32_768 })
        source.connect(meter)
        meters.push(meter)
        return source
      }
    },
  })
  await visited.page.waitForFunction(
    () => {
      const { meters } = window as unknown as { meters: AnalyserNode[] }
      const samples = new Float32Array(32_768)
      meters[0]?.getFloatTimeDomainData(samples)
      return samples.some(sample => sample > 0.05)
    },
    { timeout: 10_000, polling: 200 },
  )
  expect(await visited.page.$$eval('body > audio', all => all.map(one => one.paused))).toEqual([
    true,
    true,
    true,
  ])
})

test('participants who come, leave or switch their camera change tiles and videos', async () => {
  await using visited = await visitCall(world, { participants: ['Ana', 'Luis'] })
  const { page, meeting } = visited
  await videosPlay(page, 2)
  meeting.join('Sofía')
  await videosPlay(page, 3)
  meeting.leave('Ana')
  await videosPlay(page, 2)
  meeting.change('Luis', { cameraOff: true })
  await videosPlay(page, 1)
  meeting.change('Sofía', { presenting: true })
  await videosPlay(page, 2)
  const names = '[data-tile-media-id] span.notranslate:not(:empty)'
  expect(await page.$$eval(names, all => all.map(one => one.textContent))).toEqual([
    'Luis',
    'Sofía (Presentation)',
    'Sofía',
    'Testigo bot',
  ])
  expect(meeting.inCall).toEqual(['Luis', 'Sofía', 'Testigo bot'])
})

test('two bots in one call and a third in another meeting all get their pictures', async () => {
  await using first = await visitCall(world, { participants: ['Ana'] })
  await using second = await visitCall(world, { of: first.meeting })
  await using other = await visitCall(world, { participants: ['Diego', 'Lucía'] })
  await videosPlay(first.page, 1)
  await videosPlay(second.page, 1)
  await videosPlay(other.page, 2)
  expect(first.meeting.inCall).toEqual(['Ana', 'Testigo bot', 'Testigo bot'])
})

test.each([
  ['remove', 'You’ve been removed from the meeting', 'removed'],
  ['end', 'Your host ended the meeting for everyone', 'host-ended'],
] as const)('%s shows its end screen at the same address', async (action, heading, how) => {
  await using visited = await visitCall(world, { participants: [] })
  const { page, meeting } = visited
  const address = page.url()
  meeting[action]()
  expect(await endHeading(page)).toBe(heading)
  expect(await meeting.waitFor('left', 1_000)).toMatchObject({ how, from: 'call' })
  expect(page.url()).toBe(address)
  expect(await page.$('[data-in-call=true]')).not.toBeNull()
  expect(await page.$('[jsname=CQylAd]')).toBeNull()
})

test('the leave button leaves, and the screen after it offers to come back', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  await visited.page.click('button[jsname=CQylAd]')
  expect(await endHeading(visited.page)).toBe('You left the meeting')
  expect(await visited.meeting.waitFor('left', 1_000)).toMatchObject({ how: 'leave-button' })
  expect(await visited.page.$('button[jsname=W6suGc]')).not.toBeNull()
})

test('who is alone is asked, may stay once, and is put out when silent', async () => {
  await using visited = await visitCall(world, {
    participants: [],
    alonePromptAfterMs: 150,
    aloneLeaveAfterMs: 1_500,
  })
  const { page, meeting } = visited
  await clickText(page, 'Stay in the call')
  expect(await meeting.waitFor('dialog-answered', 2_000)).toMatchObject({ kind: 'alone', button: 'stay' })
  expect(await endHeading(page)).toBe('The call ended because everyone left')
  expect(await meeting.waitFor('left', 1_000)).toMatchObject({ how: 'alone' })
  expect(meeting.events.filter(event => event.type === 'dialog-shown')).toHaveLength(2)
})

test('nobody is asked while somebody else is there', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'], alonePromptAfterMs: 20 })
  const { meeting } = visited
  meeting.leave('Ana')
  await meeting.waitFor('dialog-shown', 2_000)
  meeting.join('Ana')
  await visited.page.waitForFunction(() => document.querySelector('[role=dialog]') === null, {
    timeout: 5_000,
  })
  expect(meeting.inCall).toContain('Testigo bot')
})

test('the recording notice is accepted with "Join now"; Escape puts the visitor out', async () => {
  await using visited = await visitCall(world, {
    participants: ['Ana'],
    dialogs: [{ kind: 'recording', afterMs: 0 }],
  })
  const { page, meeting } = visited
  const ok = await page.waitForSelector('[role=dialog][aria-modal=true] button[data-mdc-dialog-action=ok]', {
    timeout: 5_000,
  })
  await ok?.click()
  await meeting.waitFor(event => event.type === 'dialog-answered' && event.button === 'joinNow', 5_000)
  await page.waitForSelector('.consent-banner', { timeout: 5_000 })
  expect(meeting.inCall).toContain('Testigo bot')
  meeting.showDialog('gemini')
  await page.waitForSelector('[role=dialog]', { timeout: 5_000 })
  await page.keyboard.press('Escape')
  expect(await meeting.waitFor('left', 5_000)).toMatchObject({ how: 'dialog-escape' })
})

test('whoever hides the consent banner is removed', async () => {
  await using visited = await visitCall(world, {
    participants: ['Ana'],
    dialogs: [{ kind: 'recording', afterMs: 0 }],
  })
  await clickText(visited.page, 'Join now')
  await visited.page.waitForSelector('.consent-banner', { timeout: 5_000 })
  await visited.page.addStyleTag({ content: '.consent-banner { display: none }' })
  expect(await visited.meeting.waitFor('left', 5_000)).toMatchObject({ how: 'banner-hidden' })
})

test('nothing is seen before a third party notice is accepted', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  const { page, meeting } = visited
  await videosPlay(page, 1)
  meeting.showDialog('third-party-notes')
  await page.waitForFunction(
    () => {
      const video = document.querySelector('main video') as HTMLVideoElement & { seen?: number }
      const stood = video.seen === video.getVideoPlaybackQuality().totalVideoFrames
      video.seen = video.getVideoPlaybackQuality().totalVideoFrames
      return stood
    },
    { timeout: 5_000, polling: 500 },
  )
  await clickText(page, 'Join now')
  await videosPlay(page, 1)
})

test('media that was cut comes back, and so does the death of the browser that plays the participants', async () => {
  await using visited = await visitCall(world, { participants: ['Ana'] })
  const { page, meeting } = visited
  await videosPlay(page, 1)
  const track = () =>
    page.$eval('main video', video => ((video as HTMLVideoElement).srcObject as MediaStream).id)
  const before = await track()
  meeting.cutMedia()
  meeting.restoreMedia()
  const isNew = (old: string) =>
    ((document.querySelector('main video') as HTMLVideoElement)?.srcObject as MediaStream)?.id !== old
  await page.waitForFunction(isNew, { timeout: 10_000 }, before)
  await videosPlay(page, 1)
  const again = await track()
  const pid = await world.web.playersProcessId()
  if (pid === null) throw new Error('no browser plays the participants')
  process.kill(pid, 'SIGKILL')
  await meeting.waitFor('media-fault', 5_000)
  await page.waitForFunction(isNew, { timeout: 15_000 }, again)
  await videosPlay(page, 1)
})

test('a frozen page does nothing while it is frozen', async () => {
  await using visited = await visitCall(world, { participants: [] })
  const { page, meeting } = visited
  await page.evaluate(() => {
    const pulse = { longestMs: 0, lastMs: performance.now() }
    Object.assign(window, { pulse })
    setInterval(() => {
      const nowMs = performance.now()
      pulse.longestMs = Math.max(pulse.longestMs, nowMs - pulse.lastMs)
      pulse.lastMs = nowMs
    }, 20)
  })
  meeting.freeze(1_500)
  const stoodStill = () => (window as unknown as { pulse: { longestMs: number } }).pulse.longestMs >= 1_500
  await page.waitForFunction(stoodStill, { timeout: 10_000, polling: 100 })
})

test('a page that is closed is told apart from a browser that vanished', async () => {
  const closed = await visitCall(world, { participants: [] })
  await closed.page.goto('about:blank')
  expect(await closed.meeting.waitFor('left', 5_000)).toMatchObject({ how: 'page-closed' })
  await closed[Symbol.asyncDispose]()
  await using killed = await visitCall(world, { participants: [], ghostMs: 300 })
  const session = await killed.page.createCDPSession()
  void session.send('Page.crash').catch(() => 'the page is gone, as asked')
  const gone = await killed.meeting.waitFor('page-gone', 5_000)
  expect(gone).toMatchObject({ how: 'connection-lost' })
  const left = await killed.meeting.waitFor('left', 5_000)
  expect(left.atMs - gone.atMs).toBeGreaterThanOrEqual(290)
})
