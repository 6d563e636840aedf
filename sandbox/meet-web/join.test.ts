import { afterAll, beforeAll, expect, test } from 'vitest'
import { clickJoin, clickText, endHeading, openWorld, type TestWorld, visit } from './test-visitor.ts'

let world: TestWorld

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world[Symbol.asyncDispose]())

test('nothing to click is there when the document is loaded, the green room is drawn a moment later', async () => {
  const meeting = world.web.createMeeting({ renderDelayMs: 400 })
  const context = await world.browser.createBrowserContext()
  const page = await context.newPage()
  await page.goto(meeting.url, { waitUntil: 'domcontentloaded' })
  expect(await page.$$('button, input')).toHaveLength(0)
  await page.waitForSelector('input[jsname=YPqjbf][type=text][aria-label="Your name"]', { timeout: 5_000 })
  expect(await page.title()).toBe(`Meet - ${meeting.code}`)
  await context.close()
})

test.each([
  ['outer-div', '[jsname=Qx7uuf] button'],
  ['button', 'button[jsname=Qx7uuf]'],
  ['role-button', '.green-room div[role=button]'],
] as const)(
  'the join control in the form "%s" wants a name first and then joins',
  async (joinControl, selector) => {
    await using visited = await visit(world, { joinControl, participants: [] })
    const { page, meeting } = visited
    const isDisabled = () =>
      page.$eval(
        selector,
        one => one.hasAttribute('disabled') || one.getAttribute('aria-disabled') === 'true',
      )
    expect(await isDisabled()).toBe(true)
    await page.$eval(selector, one => (one as HTMLElement).click())
    expect(meeting.inCall).toEqual([])
    await page.type('input[jsname=YPqjbf]', 'Testigo bot')
    expect(await isDisabled()).toBe(false)
    await page.$eval(selector, one => (one as HTMLElement).click())
    expect(await meeting.waitFor('joined', 5_000)).toMatchObject({ name: 'Testigo bot', button: 'joinNow' })
    expect(meeting.inCall).toEqual(['Testigo bot'])
  },
)

test('the label says "without camera" where the camera is off, and can be left out', async () => {
  await using labelled = await visit(world, { access: 'trusted' })
  const label = (one: Element) => one.getAttribute('aria-label')
  expect(await labelled.page.$eval('[jsname=Qx7uuf] button', label)).toBe('Ask to join without camera')
  await using plain = await visit(world, { access: 'trusted', joinAriaLabel: false })
  expect(await plain.page.$eval('[jsname=Qx7uuf] button', label)).toBeNull()
})

test('an invisible "Ask to join" beside "Join now" does nothing', async () => {
  await using visited = await visit(world)
  const { page, meeting } = visited
  const twins = await page.$$('xpath/.//button[.//span[text()="Ask to join"]]')
  expect(await Promise.all(twins.map(twin => twin.isVisible()))).toEqual([false])
  await twins[0]?.evaluate(twin => (twin as HTMLElement).click())
  expect(meeting.events.some(event => event.type === 'knock' || event.type === 'joined')).toBe(false)
})

test('who knocks waits in a room with a leave button and without panels, and is let in', async () => {
  await using visited = await visit(world, { access: 'trusted' })
  const { page, meeting } = visited
  const address = page.url()
  await clickJoin(page)
  await meeting.waitFor('knock', 5_000)
  await page.waitForSelector('button[jsname=CQylAd]', { timeout: 5_000 })
  expect(await page.$$('[data-panel-id], [data-tile-media-id]')).toHaveLength(0)
  expect(await page.$eval('main', main => main.textContent)).toContain('Please wait until a meeting host')
  expect(await page.$('[aria-label="Return to home screen"]')).not.toBeNull()
  meeting.admit()
  await page.waitForSelector('button[data-panel-id="2"]', { timeout: 5_000 })
  expect(await meeting.waitFor('admitted', 100)).toMatchObject({ name: 'Testigo bot' })
  expect(page.url()).toBe(address)
})

test('who is denied reads so', async () => {
  await using visited = await visit(world, { scenario: 'denied', denyAfterMs: 50 })
  await clickJoin(visited.page)
  expect(await endHeading(visited.page)).toBe('Someone in the call denied your request to join')
  expect(await visited.meeting.waitFor('left', 100)).toMatchObject({ how: 'denied', from: 'lobby' })
})

test('a knock nobody answers is asked about, then expires', async () => {
  await using visited = await visit(world, {
    scenario: 'lobby-timeout',
    lobbyPromptAfterMs: 50,
    knockTimeoutMs: 900,
  })
  const { page, meeting } = visited
  await clickJoin(page)
  await clickText(page, 'Keep waiting')
  expect(await endHeading(page)).toBe('No one responded to your request to join the call')
  expect(await meeting.waitFor('dialog-answered', 100)).toMatchObject({ kind: 'lobby-still-there' })
})

test('an unknown code shows "Check your meeting code" with start-up code 217, then the home page', async () => {
  const context = await world.browser.createBrowserContext()
  const page = await context.newPage()
  world.web.createMeeting({ scenario: 'not-found', code: 'abc-defg-hij', homeCountdownMs: 1_500 })
  for (const code of ['zzz-zzzz-zzz', 'abc-defg-hij']) {
    const answer = await page.goto(`https://meet.google.com/${code}?hl=en`)
    expect(answer?.status()).toBe(200)
    expect(await endHeading(page)).toBe('Check your meeting code')
    expect(
      await page.$('[data-startup-code="217"] [data-call-ended=true] button[jsname=dqt8Pb]'),
    ).not.toBeNull()
    expect(await page.title()).toBe('Meet')
  }
  await page.waitForFunction(() => location.pathname === '/landing', { timeout: 5_000 })
  await context.close()
})

test('a meeting that cannot be joined says so without a join control', async () => {
  await using visited = await visit(world, { scenario: 'cannot-join' })
  expect(await endHeading(visited.page)).toBe('You can’t join this video call')
  expect(await visited.page.$$('[jsname=Qx7uuf], input')).toHaveLength(0)
})

test('a meeting that wants a sign-in sends guests to accounts.google.com and lets accounts through', async () => {
  await using guest = await visit(world, { scenario: 'sign-in-wanted' })
  expect(new URL(guest.page.url()).host).toBe('accounts.google.com')
  expect(await guest.page.$eval('h1', one => one.textContent)).toBe('Sign in')
  await using signedIn = await visit(world, {
    of: guest.meeting,
    account: { email: 'bot@clinica.example', name: 'Bot' },
  })
  expect(await signedIn.page.$('[jsname=Qx7uuf]')).not.toBeNull()
})

test('the pop-ups of the green room stand before the join control and answer to their buttons', async () => {
  await using visited = await visit(world, { scenario: 'permission-modal' })
  const { page, meeting } = visited
  await clickText(page, 'Got it')
  await clickText(page, 'Got it')
  await clickText(page, 'Continue without microphone and camera')
  await meeting.waitFor(event => event.type === 'dialog-answered' && event.kind === 'permission', 5_000)
  expect(await page.$$('[role=dialog]')).toHaveLength(0)
  await clickJoin(page)
  await meeting.waitFor('joined', 5_000)
})
