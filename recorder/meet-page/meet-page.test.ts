// The page object, joining and watching against a simulated Meet in a real browser, one browser for all.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { createLog } from '../../log.ts'
import type { CreateMeeting } from '../../sandbox/meet-web/create-meeting.ts'
import type { Meeting } from '../../sandbox/meet-web/meeting.ts'
import { openWorld, type TestWorld } from '../../sandbox/meet-web/test-visitor.ts'
import { type JoinOptions, joinCall } from './join-call.ts'
import { type MeetPage, openMeetPage } from './meet-page.ts'
import type { PeopleChange } from './people.ts'
import { type WatchOptions, type WatchResult, watchCall } from './watch-call.ts'

const log = createLog(process.env.MEET_PAGE_LOG === 'debug' ? 'debug' : 'silent')
const account = { email: 'bot@example.com', name: 'Testigo' }
const guest = { kind: 'guest', name: 'Testigo bot' } as const
let world: TestWorld

beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

interface Bot extends AsyncDisposable {
  page: MeetPage
  meeting: Meeting
  states: string[]
  /** Its renderer dies. */
  crash(): Promise<void>
  join(options?: Partial<JoinOptions>): ReturnType<typeof joinCall>
}

/** A bot in a browser profile of its own, and a meeting that draws itself quickly. */
async function sendBot(
  wanted: CreateMeeting,
  signedInAs: typeof account | null = null,
  of?: Meeting,
): Promise<Bot> {
  const meeting = of ?? world.web.createMeeting({ renderDelayMs: 50, chipsDelayMs: 300, ...wanted })
  const context = await world.browser.createBrowserContext()
  const tab = await context.newPage()
  if (signedInAs)
    await tab.goto(`https://accounts.google.com/_sandbox/sign-in?${new URLSearchParams(signedInAs)}`)
  const page = openMeetPage(tab, { language: 'en', clock: systemClock, log })
  const states: string[] = []
  return {
    page,
    meeting,
    states,
    async crash() {
      const session = await tab.createCDPSession()
      session.send('Page.crash').catch(() => 'the page is gone, as asked')
      await meeting.waitFor('page-gone', 5_000)
    },
    join: options =>
      joinCall(page, {
        url: meeting.url,
        as: guest,
        language: 'en',
        limits: { pageLoadMs: 10_000, waitingRoomMs: 30_000, unknownScreenMs: 4_000, refusedPausesMs: [200] },
        giveUpAt: () => new Date(Date.now() + 20_000),
        clock: systemClock,
        log,
        signal: new AbortController().signal,
        onState: state => states.push(state),
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      page[Symbol.dispose]()
      await context.close()
    },
  }
}

interface Watched {
  result: Promise<WatchResult>
  people: PeopleChange[]
  abort: AbortController
}

function watch(bot: Bot, options: Partial<WatchOptions> = {}): Watched {
  const people: PeopleChange[] = []
  const abort = new AbortController()
  const result = watchCall(bot.page, {
    limits: {
      nobodyCameMs: 600_000,
      everyoneLeftMs: 600_000,
      onlyBotsMs: 600_000,
      connectionLostMs: 5_000,
      unknownScreenMs: 4_000,
      frozenMs: 6_000,
      pollMs: 1_000,
    },
    scheduledStart: new Date(),
    hardStopAt: () => new Date(Date.now() + 60_000),
    ownName: 'Testigo bot',
    clock: systemClock,
    log,
    signal: abort.signal,
    onPeople: change => people.push(change),
    ...options,
  })
  return { result, people, abort }
}

test('an open call is joined as a guest, watched, and left so that the others see it', async () => {
  await using bot = await sendBot({})
  const joined = await bot.join()
  expect(joined).toMatchObject({ kind: 'joined', knocks: 0 })
  expect(bot.states).toEqual(['joining', 'in_call'])
  expect(bot.meeting.inCall).toContain('Testigo bot')

  const watched = watch(bot)
  await expect
    .poll(() => watched.people.map(({ name, change }) => `${name} ${change}`).sort(), { timeout: 30_000 })
    .toEqual(['Ana Torres joined', 'Luis Gómez joined', 'María José Peña joined'])
  watched.abort.abort()
  expect(await watched.result).toMatchObject({ ending: 'left_by_request', stillInCall: true })
  expect(watched.people.filter(person => person.change === 'left')).toHaveLength(3)
  await bot.page.leave(5_000)
  expect(bot.meeting.inCall).not.toContain('Testigo bot')
})

test('a knock is waited for in the waiting room until somebody opens', async () => {
  await using bot = await sendBot({
    access: 'trusted',
    layout: 'apr-2026',
    joinControl: 'role-button',
    joinAriaLabel: false,
    preJoinToggles: 'div',
    lobbyPromptAfterMs: 200,
  })
  const joining = bot.join()
  await bot.meeting.waitFor('knock', 10_000)
  await expect.poll(() => bot.states, { timeout: 30_000 }).toEqual(['joining', 'waiting_room'])
  await bot.meeting.waitFor(
    event => event.type === 'dialog-answered' && event.kind === 'lobby-still-there',
    5_000,
  )
  bot.meeting.admit()
  expect(await joining).toMatchObject({ kind: 'joined', knocks: 1 })
})

test('the invited account joins without knocking and without a name', async () => {
  await using bot = await sendBot({ access: 'trusted', invited: [account.email] }, account)
  expect(await bot.join({ as: { kind: 'signed_in', email: 'Bot@example.com' } })).toMatchObject({
    kind: 'joined',
    knocks: 0,
  })
  expect(bot.meeting.inCall).toContain('Testigo')
})

test.concurrent('a denied knock is join_denied, with the page kept as evidence', async () => {
  await using bot = await sendBot({ access: 'trusted', denyAfterMs: 300 })
  const result = await bot.join()
  expect(result).toMatchObject({
    kind: 'not_joined',
    ending: 'join_denied',
    knocks: 1,
    artefacts: { screen: 'denied' },
  })
  const artefacts = result.kind === 'not_joined' ? result.artefacts : null
  expect(artefacts?.screenshot?.subarray(1, 4).toString()).toBe('PNG')
  expect(artefacts?.html).toContain('denied your request')
})

test.concurrent('an unanswered knock is repeated, the old one withdrawn first', async () => {
  await using bot = await sendBot({ access: 'trusted' })
  const stop = new AbortController()
  const joining = bot.join({
    limits: { pageLoadMs: 10_000, waitingRoomMs: 1_000, unknownScreenMs: 4_000 },
    giveUpAt: () => new Date(Date.now() + 60_000),
    signal: stop.signal,
  })
  const done = () =>
    bot.meeting.events.map(event => event.type).filter(type => type === 'knock' || type === 'left')
  await expect.poll(() => done().slice(0, 3), { timeout: 40_000 }).toEqual(['knock', 'left', 'knock'])
  stop.abort()
  expect(await joining).toMatchObject({ kind: 'not_joined', ending: 'left_by_request' })
})

test.concurrent('a stop while waiting leaves the waiting room at once', async () => {
  await using bot = await sendBot({ access: 'trusted' })
  const stop = new AbortController()
  const joining = bot.join({ signal: stop.signal })
  await expect.poll(() => bot.states, { timeout: 30_000 }).toContain('waiting_room')
  stop.abort()
  expect(await joining).toMatchObject({ kind: 'not_joined', ending: 'left_by_request' })
  expect(await bot.meeting.waitFor('left', 5_000)).toMatchObject({ from: 'lobby' })
})

test.concurrent.each([
  ['not-found', 'meeting_not_found', 'not_found'],
  ['cannot-join', 'cannot_join', 'cannot_join'],
  ['sign-in-wanted', 'sign_in_required', 'sign_in'],
] as const)('the scenario %s ends as %s', async (scenario, ending, screen) => {
  await using bot = await sendBot({ scenario })
  expect(await bot.join()).toMatchObject({ kind: 'not_joined', ending, artefacts: { screen } })
})

test.concurrent.each([
  ['nobody', null],
  ['another account', { email: 'someone@example.com', name: 'Someone' }],
])('with %s signed in the bot does not come in as a guest', async (_, who) => {
  await using bot = await sendBot({}, who)
  const result = await bot.join({ as: { kind: 'signed_in', email: account.email } })
  expect(result).toMatchObject({ kind: 'not_joined', ending: 'bot_not_signed_in' })
  expect(bot.meeting.events.map(event => event.type)).not.toContain('joined')
})

test.concurrent('windows in the way of joining are answered', async () => {
  await using bot = await sendBot({ permissionModal: true, signInPromo: true, gotItPopup: true })
  expect(await bot.join()).toMatchObject({ kind: 'joined' })
})

test.concurrent('a page whose words and hooks are unknown ends as unknown_screen with a picture and the page', async () => {
  await using bot = await sendBot({ scenario: 'words-changed' })
  const result = await bot.join({
    limits: { pageLoadMs: 10_000, waitingRoomMs: 30_000, unknownScreenMs: 1_500 },
  })
  expect(result).toMatchObject({ kind: 'not_joined', ending: 'unknown_screen' })
  const artefacts = result.kind === 'not_joined' ? result.artefacts : null
  expect(artefacts?.screenshot?.length).toBeGreaterThan(1_000)
  expect(artefacts?.html).toContain('<html')
})

test('a page in Spanish is joined through its waiting room, and its end is read', async () => {
  await using bot = await sendBot({ scenario: 'spanish', admitAfterMs: 800 })
  expect(await bot.join()).toMatchObject({ kind: 'joined', knocks: 1 })
  const watched = watch(bot)
  await expect.poll(() => watched.people.length, { timeout: 30_000 }).toBe(3)
  bot.meeting.remove()
  expect(await watched.result).toMatchObject({ ending: 'removed_from_call', stillInCall: false })
})

test('notices and prompts in the call are answered and the call goes on until the host ends it', async () => {
  await using bot = await sendBot({})
  await bot.join()
  const watched = watch(bot)
  bot.meeting.chat('Ana Torres', 'The meeting has ended, you left the meeting')
  bot.meeting.toast('chat', 'Call ended')
  for (const kind of ['recording', 'third-party-notes', 'others-see-differently'] as const) {
    const from = bot.meeting.events.length
    bot.meeting.showDialog(kind)
    await bot.meeting.waitFor(event => event.type === 'dialog-answered' && event.kind === kind, 6_000, from)
  }
  expect(bot.meeting.inCall).toContain('Testigo bot')
  bot.meeting.end()
  expect(await watched.result).toMatchObject({ ending: 'call_ended_by_host', stillInCall: false })
})

test('the bot stays when Meet asks whether it is still there, and leaves when its own patience is over', async () => {
  await using bot = await sendBot({
    participants: ['Ana Torres'],
    alonePromptAfterMs: 800,
    aloneLeaveAfterMs: 8_000,
  })
  await bot.join()
  const limits = {
    nobodyCameMs: 600_000,
    everyoneLeftMs: 4_000,
    onlyBotsMs: 600_000,
    connectionLostMs: 5_000,
    unknownScreenMs: 4_000,
    frozenMs: 6_000,
    pollMs: 1_000,
  }
  const watched = watch(bot, { limits, soundHeard: () => 'no' })
  await expect.poll(() => watched.people.length, { timeout: 30_000 }).toBe(1)
  bot.meeting.leave()
  await bot.meeting.waitFor(event => event.type === 'dialog-answered' && event.kind === 'alone', 6_000)
  expect(await watched.result).toMatchObject({ ending: 'everyone_left', stillInCall: true })
})

test('a call to which nobody comes is left only after the patience that follows its start', async () => {
  await using bot = await sendBot({ participants: [] })
  await bot.join()
  const startsAt = Date.now() + 1_000
  const limits = {
    nobodyCameMs: 1_500,
    everyoneLeftMs: 1_000,
    onlyBotsMs: 1_000,
    connectionLostMs: 5_000,
    unknownScreenMs: 4_000,
    frozenMs: 6_000,
    pollMs: 1_000,
  }
  const watched = watch(bot, { limits, scheduledStart: new Date(startsAt) })
  expect(await watched.result).toMatchObject({ ending: 'nobody_came' })
  expect(Date.now() - startsAt).toBeGreaterThanOrEqual(1_500)
})

test('a frozen page is told from a quiet one', async () => {
  await using bot = await sendBot({})
  await bot.join()
  const limits = {
    nobodyCameMs: 1_000,
    everyoneLeftMs: 1_000,
    onlyBotsMs: 1_000,
    connectionLostMs: 5_000,
    unknownScreenMs: 4_000,
    frozenMs: 5_000,
    pollMs: 1_000,
  }
  const watched = watch(bot, { limits })
  bot.meeting.freeze(25_000)
  expect(await watched.result).toMatchObject({ ending: 'page_frozen' })
})

const asAccount = { as: { kind: 'signed_in', email: account.email } } as const

/** Another bot of the same account at the same meeting. */
async function sendSecondBot(first: Bot): Promise<Bot> {
  return await sendBot({}, account, first.meeting)
}

test.each([
  ['beside it', 'button'],
  ['in the list of other ways', 'list'],
] as const)('a handover joins while the earlier bot stays: "Join here too" %s', async (_, joinHereToo) => {
  await using first = await sendBot({ participants: ['Ana Torres'], joinHereToo }, account)
  expect(await first.join(asAccount)).toMatchObject({ kind: 'joined', ownName: account.name })
  await using second = await sendSecondBot(first)
  expect(await second.join({ ...asAccount, beside: true })).toMatchObject({ kind: 'joined' })
  expect(first.meeting.inCall).toEqual(['Ana Torres', account.name, account.name])
})

test.each([
  ['English', null],
  ['Spanish', 'es'],
] as const)('a takeover ends the earlier seat, whose bot sees it (%s)', async (_, language) => {
  await using first = await sendBot({ participants: ['Ana Torres'], language }, account)
  await first.join(asAccount)
  const watched = watch(first)
  await using second = await sendSecondBot(first)
  expect(await second.join(asAccount)).toMatchObject({ kind: 'joined' })
  expect(await watched.result).toMatchObject({ ending: 'switched_elsewhere', stillInCall: false })
  expect(first.meeting.inCall).toEqual(['Ana Torres', account.name])
})

test('the seat of a bot that died lingers, is taken over, and is no company until then', async () => {
  const wanted = { participants: ['Ana Torres'], ghostMs: 60_000 }
  const first = await sendBot(wanted, account)
  await first.join(asAccount)
  await first.crash()
  await using beside = await sendSecondBot(first)
  await beside.join({ ...asAccount, beside: true })
  expect(beside.meeting.inCall).toEqual(['Ana Torres', account.name, account.name])
  beside.meeting.leave()
  const limits = {
    nobodyCameMs: 1_000,
    everyoneLeftMs: 600_000,
    onlyBotsMs: 1_500,
    connectionLostMs: 5_000,
    unknownScreenMs: 4_000,
    frozenMs: 6_000,
    pollMs: 1_000,
  }
  const watched = watch(beside, { limits, ownName: null, sawPeopleBefore: true })
  expect(await watched.result).toMatchObject({ ending: 'only_bots_left' })
  await beside.page.leave(5_000)
  await using third = await sendSecondBot(first)
  expect(await third.join(asAccount)).toMatchObject({ kind: 'joined' })
  expect(third.meeting.inCall).toEqual([account.name])
  await first[Symbol.asyncDispose]()
})

test('who is put out of an empty call before anybody could be expected is told apart from a lost connection', async () => {
  await using bot = await sendBot({ participants: [], alonePromptAfterMs: 3_600_000 })
  await bot.join()
  const watched = watch(bot)
  await bot.meeting.waitFor('people', 5_000)
  bot.meeting.emptyCall()
  expect(await watched.result).toMatchObject({ ending: 'put_out_of_empty_call', stillInCall: false })
})
