import { expect, test } from 'vitest'
import { createLog } from '../../log.ts'
import {
  button,
  endScreen,
  guestPreJoin,
  notFound,
  signedInPreJoin,
  snapshot,
  threeInCall,
  toggle,
  waitingRoom,
} from './captured-screens.ts'
import { type JoinOptions, joinCall } from './join-call.ts'
import { jumpingClock, type Script, scriptedPage } from './scripted-page.ts'
import type { Snapshot } from './snapshot.ts'

const limits = { pageLoadMs: 45_000, waitingRoomMs: 600_000, unknownScreenMs: 25_000 }
const bot = { kind: 'signed_in', email: 'bot@example.com' } as const
const lobby = waitingRoom('Asking to be let in')

async function join(script: Script, more: Partial<JoinOptions> = {}) {
  const clock = jumpingClock()
  const startedAt = clock.now()
  const page = scriptedPage(clock, script)
  const states: string[] = []
  const result = await joinCall(page, {
    url: 'https://meet.google.com/abc-defg-hij',
    as: { kind: 'guest', name: 'Testigo bot' },
    language: 'en',
    limits,
    giveUpAt: () => new Date(startedAt + 3_600_000),
    clock,
    log: createLog('silent'),
    signal: new AbortController().signal,
    onState: state => states.push(state),
    ...more,
  })
  return { result, did: page.did, states, tookMs: clock.now() - startedAt }
}

const typed = (did: readonly string[]) => did.some(done => done.startsWith('type'))
const pressed = (did: readonly string[], text: string) => did.includes(`press ${text}`)
const withName = (more: Partial<Snapshot> = {}) => {
  const form = guestPreJoin(more)
  const buttons = form.buttons.map(button => ({ ...button, disabled: false }))
  return { ...form, buttons, nameInput: form.nameInput && { ...form.nameInput, value: 'Testigo bot' } }
}

test('a guest switches its devices off, types its name, and knocks', async () => {
  const { result, did, states } = await join(
    {
      show: (_, done) => {
        if (pressed(done, 'Ask to join')) return done.length > 4 ? threeInCall : lobby
        const toggles = [
          toggle('microphone', pressed(done, 'Turn off microphone'), 'Turn off microphone'),
          toggle('camera'),
        ]
        return typed(done) ? withName({ toggles }) : guestPreJoin({ toggles })
      },
    },
    { giveUpAt: () => new Date(1_000_000 + 2_000) },
  )
  expect(did.slice(0, 4)).toEqual([
    'goto',
    'press Turn off microphone',
    'type Testigo bot',
    'press Ask to join',
  ])
  expect(states).toEqual(['joining', 'waiting_room'])
  expect(result).toMatchObject({ ending: 'waiting_room_timeout', knocks: 1 })
})

test('a microphone that the machine does not have is not pressed', async () => {
  const toggles = [
    toggle('microphone', false, 'Microphone problem. Show more info'),
    toggle('camera', false, 'Problema con la cámara'),
  ]
  const { did } = await join({
    show: (_, done) => (pressed(done, 'Join now') ? threeInCall : signedInPreJoin('Join now', { toggles })),
  })
  expect(did).toEqual(['goto', 'press Join now'])
})

test('nobody answers: it knocks every ten minutes until the time to give up, and withdraws every knock', async () => {
  const { result, did, tookMs } = await join({
    show: sinceLoadMs => (sinceLoadMs < 1_000 ? signedInPreJoin('Ask to join') : lobby),
  })
  expect(result).toMatchObject({
    kind: 'not_joined',
    ending: 'waiting_room_timeout',
    knocks: 6,
    artefacts: null,
  })
  expect(did.filter(done => done === 'leave')).toHaveLength(6)
  expect(tookMs).toBeGreaterThanOrEqual(3_600_000)
  expect(tookMs).toBeLessThan(3_610_000)
})

test("Meet's own end of a knock is answered by another one", async () => {
  const { result } = await join({
    show: (_, done) => {
      const loads = done.filter(did => did === 'goto').length
      if (loads === 2) return threeInCall
      return pressed(done, 'Ask to join')
        ? endScreen('No one responded to your request to join the call')
        : signedInPreJoin('Ask to join')
    },
  })
  expect(result).toMatchObject({ kind: 'joined', knocks: 1 })
})

test('a refusal that passes is got over by loading again', async () => {
  const { result, did } = await join({
    show: (_, done) =>
      done.filter(did => did === 'goto').length < 3
        ? endScreen("You can't join this video call")
        : threeInCall,
  })
  expect(result.kind).toBe('joined')
  expect(did).toEqual(['goto', 'goto', 'goto'])
})

test.each([
  ['cannot_join', endScreen("You can't join this video call")],
  ['meeting_not_found', notFound],
] as const)('a refusal that stays ends as %s after three loads', async (ending, shown) => {
  const { result, did } = await join({ show: () => shown })
  expect(result).toMatchObject({ kind: 'not_joined', ending })
  expect(did).toEqual(['goto', 'goto', 'goto', 'dump', 'leave'])
})

test('a page that cannot be loaded is tried again for as long as a page may take', async () => {
  expect((await join({ failingLoads: 3, show: () => threeInCall })).result.kind).toBe('joined')
  expect((await join({ failingLoads: 1e9, show: () => threeInCall })).result).toMatchObject({
    ending: 'page_not_reached',
  })
})

test('a page that never gets past loading, one not known, and one that does not answer have names of their own', async () => {
  expect((await join({ show: () => snapshot() })).result).toMatchObject({ ending: 'page_not_reached' })
  const strange = snapshot({ lines: ['Willkommen in einem ganz neuen Raum, den niemand kennt'] })
  expect((await join({ show: () => strange })).result).toMatchObject({
    ending: 'unknown_screen',
    artefacts: { screen: 'unknown' },
  })
  expect((await join({ show: () => 'silent' })).result).toMatchObject({ ending: 'page_frozen' })
  expect((await join({ show: () => threeInCall, gone: () => true })).result).toMatchObject({
    ending: 'browser_died',
  })
})

test('a join button that does nothing is not pressed for ever', async () => {
  const { result, did } = await join({ show: () => signedInPreJoin('Join now') })
  expect(result).toMatchObject({ ending: 'unknown_screen' })
  expect(did.filter(done => done === 'press Join now')).toHaveLength(4)
})

test.each([
  ['nobody', [], 'bot_not_signed_in'],
  ['another account', [{ email: 'ana@example.com', position: 0, name: null }], 'bot_not_signed_in'],
] as const)('signed in: with %s Meet is not even opened', async (_, accounts, ending) => {
  const { result, did } = await join(
    { show: () => threeInCall, signedIn: { kind: 'accounts', accounts: [...accounts] } },
    { as: bot },
  )
  expect(result).toMatchObject({ ending })
  expect(did).not.toContain('goto')
})

test('signed in: of several accounts the bot is picked by its position', async () => {
  const accounts = [
    { email: 'ana@example.com', position: 0, name: null },
    { email: 'bot@example.com', position: 1, name: 'Testigo' },
  ]
  const { did } = await join(
    { show: () => threeInCall, signedIn: { kind: 'accounts', accounts } },
    { as: bot },
  )
  expect(did).toEqual(['goto 1'])
})

test.each([
  ['a name field', guestPreJoin()],
  ['an anonymous page', signedInPreJoin('Join now', { anonymous: true })],
  ['the chip of another account', signedInPreJoin('Join now', { emails: ['ana@example.com'] })],
])('signed in, Google silent about it: %s ends the visit instead of joining as a guest', async (_, shown) => {
  const { result, did } = await join({ show: () => shown }, { as: bot })
  expect(result).toMatchObject({ ending: 'bot_not_signed_in' })
  expect(did).toEqual(['goto', 'dump', 'leave'])
})

test("signed in for sure: somebody else's address on the page does not stop the bot", async () => {
  const accounts = [{ email: 'bot@example.com', position: 0, name: null }]
  const { result } = await join(
    {
      signedIn: { kind: 'accounts', accounts },
      show: (_, done) =>
        pressed(done, 'Join now')
          ? threeInCall
          : signedInPreJoin('Join now', { emails: ['ana@example.com'] }),
    },
    { as: bot },
  )
  expect(result.kind).toBe('joined')
})

test('a stop leaves the waiting room, whatever else goes on', async () => {
  const stop = new AbortController()
  const { result, did } = await join(
    { show: (_, done) => (pressed(done, 'Ask to join') ? lobby : signedInPreJoin('Ask to join')) },
    { signal: stop.signal, onState: state => state === 'waiting_room' && stop.abort() },
  )
  expect(result).toMatchObject({ ending: 'left_by_request' })
  expect(did.at(-1)).toBe('leave')
})

test('a stop does not wait for a page that hangs while loading', async () => {
  const stop = new AbortController()
  const clock = jumpingClock()
  const page = { ...scriptedPage(clock, { show: () => 'unknown' }), goto: () => new Promise<void>(() => {}) }
  const joining = joinCall(page, {
    url: 'https://meet.google.com/abc-defg-hij',
    as: { kind: 'guest', name: 'Testigo bot' },
    language: 'en',
    limits,
    giveUpAt: () => new Date(2_000_000),
    clock,
    log: createLog('silent'),
    signal: stop.signal,
    onState: () => {},
  })
  stop.abort()
  expect(await joining).toMatchObject({ ending: 'left_by_request' })
})

/** The green room of an account that is in the call already, with these buttons, the main one first. */
const alreadyIn = ([main = '', ...others]: readonly string[]) => {
  const join = button(main, { outerJsname: 'Qx7uuf', label: `${main} without camera` })
  return signedInPreJoin('', {
    buttons: [join, ...others.map(text => button(text)), button('Other ways to join')],
    joinControl: join,
    lines: ['You’re already in this call on another device'],
  })
}

test.each([
  ['a takeover', false, 'Switch here', ['Switch here', 'Join here too']],
  ['a handover', true, 'Join here too', ['Switch here', 'Join here too']],
  ['a takeover in Spanish', false, 'Cambiar aquí', ['Cambiar aquí', 'Unirte también aquí']],
  ['a handover in Spanish', true, 'Unirte también aquí', ['Cambiar aquí', 'Unirte también aquí']],
  ['a takeover without the choice', false, 'Join here too', ['Join here too']],
] as const)('%s of the account’s earlier seat presses its button', async (_, beside, wanted, texts) => {
  const { result, did } = await join(
    {
      show: (__, done) => (pressed(done, wanted) ? threeInCall : alreadyIn(texts)),
    },
    { as: bot, beside },
  )
  expect(result).toMatchObject({ kind: 'joined' })
  expect(did.filter(done => done.startsWith('press'))).toEqual([`press ${wanted}`])
})

test('a handover looks for "Join here too" among the other ways before it takes the seat over', async () => {
  const withList = await join(
    {
      show: (_, done) => {
        if (pressed(done, 'Join here too')) return threeInCall
        const isOpen = pressed(done, 'Other ways to join')
        return alreadyIn(isOpen ? ['Switch here', 'Join here too'] : ['Switch here'])
      },
    },
    { as: bot, beside: true },
  )
  expect(withList.did.slice(1)).toEqual(['press Other ways to join', 'press Join here too'])
  const without = await join(
    {
      show: (_, done) => (pressed(done, 'Switch here') ? threeInCall : alreadyIn(['Switch here'])),
    },
    { as: bot, beside: true },
  )
  expect(without.did.slice(1)).toEqual(['press Other ways to join', 'press Switch here'])
})

test('a page that is at the door already is walked in without loading it or asking who is signed in', async () => {
  const { result, did } = await join(
    {
      show: (_, done) => (pressed(done, 'Join now') ? threeInCall : signedInPreJoin()),
      signedIn: { kind: 'accounts', accounts: [] },
    },
    { as: bot, loaded: true },
  )
  expect(result).toMatchObject({ kind: 'joined' })
  expect(did).toEqual(['press Join now'])
})

test("the bot's own name comes from its account", async () => {
  const accounts = [{ email: 'bot@example.com', position: 0, name: 'Testigo' }]
  const { result } = await join(
    { show: () => threeInCall, signedIn: { kind: 'accounts', accounts } },
    { as: bot },
  )
  expect(result).toMatchObject({ ownName: 'Testigo' })
})
