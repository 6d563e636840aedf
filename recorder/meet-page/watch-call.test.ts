import { expect, test } from 'vitest'
import { createLog } from '../../log.ts'
import {
  aloneInCall,
  button,
  dialog,
  endScreen,
  signedInPreJoin,
  snapshot,
  threeInCall,
  toggle,
  waitingRoom,
} from './captured-screens.ts'
import type { Artefacts } from './meet-page.ts'
import type { PeopleChange } from './people.ts'
import { jumpingClock, type Script, scriptedPage } from './scripted-page.ts'
import type { TileSeen } from './snapshot.ts'
import { type WatchOptions, watchCall } from './watch-call.ts'

const limits = {
  nobodyCameMs: 900_000,
  everyoneLeftMs: 180_000,
  onlyBotsMs: 180_000,
  connectionLostMs: 60_000,
  unknownScreenMs: 25_000,
  frozenMs: 30_000,
}

/** Watches what the script shows as seconds since the beginning of the watch. */
async function watch(
  show: (seconds: number) => ReturnType<Script['show']>,
  more: Partial<WatchOptions> = {},
  gone?: () => boolean,
) {
  const clock = jumpingClock()
  const startedAt = clock.now()
  const page = scriptedPage(clock, {
    show: () => show((clock.now() - startedAt) / 1_000),
    ...(gone && { gone }),
  })
  const people: string[] = []
  const oddities: Artefacts[] = []
  const screens: string[] = []
  const result = await watchCall(page, {
    limits,
    scheduledStart: new Date(startedAt),
    hardStopAt: () => new Date(startedAt + 7_200_000),
    ownName: null,
    clock,
    log: createLog('silent'),
    signal: new AbortController().signal,
    onPeople: (change: PeopleChange) =>
      people.push(`${change.name} ${change.change} ${(change.at.getTime() - startedAt) / 1_000}`),
    onScreen: screen => screens.push(screen),
    onOddity: artefacts => oddities.push(artefacts),
    ...more,
  })
  return { result, people, oddities, screens, did: page.did, seconds: (clock.now() - startedAt) / 1_000 }
}

test('who comes and goes is told, and all leave with the end', async () => {
  const { result, people, did } = await watch(seconds => {
    if (seconds < 10) return threeInCall
    const tiles = threeInCall.tiles.filter(tile => tile.name !== 'Luis Gómez')
    return seconds < 30
      ? { ...threeInCall, tiles, avatarCount: 2, chipCount: 2 }
      : endScreen('Your host ended the meeting for everyone')
  })
  expect(people).toEqual([
    'Ana Torres joined 0',
    'Luis Gómez joined 0',
    'Luis Gómez left 10',
    'Ana Torres left 30',
  ])
  expect(result).toMatchObject({ ending: 'call_ended_by_host', stillInCall: false, artefacts: null })
  expect(did).toEqual([])
})

test.each([
  ['removed', endScreen("You've been removed from the meeting"), 'removed_from_call'],
  ['put out without a word', snapshot({ url: 'https://meet.google.com/landing' }), 'removed_from_call'],
  ['left without our doing', endScreen('You left the meeting'), 'removed_from_call'],
  ['signed out', snapshot({ url: 'https://accounts.google.com/signin' }), 'sign_in_required'],
] as const)('%s ends at once, with evidence', async (_, shown, ending) => {
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : shown))
  expect(result).toMatchObject({ ending, stillInCall: false })
  expect(result.artefacts).not.toBeNull()
  expect(seconds).toBe(10)
})

test('a lonely call that Meet empties is no removal, and before anybody could be expected it is worth coming back', async () => {
  const put = endScreen('You left the meeting')
  const met = await watch(at => (at < 10 ? threeInCall : at < 60 ? aloneInCall : put))
  expect(met.result).toMatchObject({ ending: 'everyone_left' })
  const early = await watch(at => (at < 400 ? aloneInCall : put))
  expect(early.result).toMatchObject({ ending: 'put_out_of_empty_call' })
})

test.each([
  ['reconnecting over the call', { ...threeInCall, alerts: ['Reconnecting'] }, 'connection_lost', 70],
  ['connection lost over the page', snapshot({ lines: ['Connection lost'] }), 'connection_lost', 70],
  [
    'a screen not known',
    snapshot({ lines: ['Ein völlig neuer Bildschirm, den noch niemand gesehen hat'] }),
    'unknown_screen',
    36,
  ],
] as const)('%s is waited for, and then has a name', async (_, shown, ending, atSeconds) => {
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : shown))
  expect(result).toMatchObject({ ending })
  expect(seconds).toBe(atSeconds)
  const back = await watch(at => (at < 10 || at > 30 ? threeInCall : shown), {
    hardStopAt: () => new Date(1_000_000 + 200_000),
  })
  expect(back.result).toMatchObject({ ending: 'longest_call_reached' })
})

test('a page that does not answer is frozen after its limit, one that answers again is not', async () => {
  const frozen = await watch(at => (at < 10 ? threeInCall : 'silent'))
  expect(frozen.result).toMatchObject({ ending: 'page_frozen' })
  expect(frozen.seconds).toBeLessThan(50)
  const slow = await watch(at => (at > 10 && at < 28 ? 'silent' : threeInCall), {
    hardStopAt: () => new Date(1_000_000 + 200_000),
  })
  expect(slow.result).toMatchObject({ ending: 'longest_call_reached' })
})

test('a page that throws at every look never makes the bot think that it is alone', async () => {
  const { result } = await watch(at => (at < 10 ? threeInCall : 'unknown'), {
    soundHeard: () => 'no',
    googleSaysSomebody: async () => 'unknown',
  })
  expect(result).toMatchObject({ ending: 'unknown_screen' })
})

test('a crashed page is the browser dying', async () => {
  expect(
    (
      await watch(
        () => threeInCall,
        {},
        () => true,
      )
    ).result,
  ).toMatchObject({ ending: 'browser_died', artefacts: null })
})

test("the bot stays alone while Google's record shows somebody, and leaves once it agrees", async () => {
  let somebody = true
  const { result, seconds } = await watch(
    at => {
      if (at >= 1_000) somebody = false
      return at < 10 ? threeInCall : aloneInCall
    },
    { googleSaysSomebody: async () => somebody },
  )
  expect(result).toMatchObject({ ending: 'everyone_left', stillInCall: true })
  expect(seconds).toBeGreaterThan(1_180)
  expect(seconds).toBeLessThan(1_220)
})

test('a microphone that came on in the call is switched off', async () => {
  const on = {
    ...threeInCall,
    toggles: [toggle('microphone', false, 'Turn off microphone'), toggle('camera')],
  }
  const { did } = await watch(at => (at < 4 ? on : threeInCall), {
    hardStopAt: () => new Date(1_000_000 + 20_000),
  })
  expect(did).toEqual(['press Turn off microphone', 'press Turn off microphone'])
})

test('an unknown window over the call is kept as evidence once, and the call goes on', async () => {
  const covered = {
    ...threeInCall,
    dialogs: [dialog('Something new')],
    buttons: [button('Whatever', { dialog: 0 })],
  }
  const { result, oddities } = await watch(() => covered, { hardStopAt: () => new Date(1_000_000 + 60_000) })
  expect(result).toMatchObject({ ending: 'longest_call_reached', stillInCall: true })
  expect(oddities.map(({ screen }) => screen)).toEqual(['dialog: unknown'])
})

test('a stop ends the watch at once', async () => {
  const { result } = await watch(() => threeInCall, { signal: AbortSignal.abort() })
  expect(result).toMatchObject({ ending: 'left_by_request', stillInCall: true })
})

test.each([
  ['the last screen of a lost connection', endScreen('Connection lost'), 'connection_lost'],
  ['the green room', signedInPreJoin(), 'connection_lost'],
  ['the waiting room', waitingRoom('Asking to be let in'), 'connection_lost'],
] as const)('%s is left again after five seconds at most', async (_, shown, ending) => {
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : shown))
  expect(result).toMatchObject({ ending, stillInCall: false })
  expect(seconds).toBeLessThanOrEqual(15)
})

test('a page that is back at the door by itself is joined again, and the watch goes on with what it knew', async () => {
  let rejoined = 0
  const { result, people } = await watch(
    at =>
      at < 10 || (rejoined > 0 && at < 60)
        ? threeInCall
        : at < 60
          ? signedInPreJoin()
          : endScreen('Call ended'),
    {
      rejoin: async () => {
        rejoined += 1
        return { kind: 'joined', at: new Date(0), knocks: 0, signals: [], ownName: null }
      },
    },
  )
  expect(rejoined).toBe(1)
  expect(people.filter(line => line.includes('Ana'))).toEqual(['Ana Torres joined 0', 'Ana Torres left 60'])
  expect(result).toMatchObject({ ending: 'call_ended_by_host' })
})

test('a door that does not open again ends the watch with its reason', async () => {
  const { result } = await watch(at => (at < 10 ? threeInCall : signedInPreJoin()), {
    rejoin: async () => ({
      kind: 'not_joined',
      ending: 'meeting_full_or_locked',
      why: 'locked',
      knocks: 0,
      artefacts: null,
    }),
  })
  expect(result).toMatchObject({ ending: 'meeting_full_or_locked', why: 'back at the door: locked' })
})

test.each([
  ['English', 'You switched to another device'],
  ['Spanish', 'Has cambiado a otro dispositivo'],
])('a seat that was switched elsewhere is no removal (%s)', async (_, heading) => {
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : endScreen(heading)))
  expect(result).toMatchObject({ ending: 'switched_elsewhere', stillInCall: false })
  expect(seconds).toBe(10)
})

test('what Meet wrote about a removal is kept in its words', async () => {
  const heading = "You've been removed from the meeting"
  const { result } = await watch(at => (at < 10 ? threeInCall : endScreen(heading)))
  expect(result.why).toContain(`"${heading}"`)
})

test("a seat that an earlier visit left behind is no company, by the name on the bot's own tile", async () => {
  const ghost = { ...aloneInCall.tiles[0], participantId: 'spaces/AbCdEf/devices/9' }
  const withGhost = {
    ...aloneInCall,
    tiles: [{ ...ghost, mediaId: ghost.participantId, own: false } as TileSeen, ...aloneInCall.tiles],
    avatarCount: 2,
    chipCount: 2,
  }
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : withGhost))
  expect(result).toMatchObject({ ending: 'only_bots_left' })
  expect(seconds).toBeLessThan(10 + 180 + 10)
})

test('a page is frozen by its own silence, not by that of a recorder that stood still', async () => {
  const { result, seconds } = await watch(at => (at < 10 ? threeInCall : 'silent'), {
    limits: { ...limits, frozenMs: 10_000, pollMs: 1_000 },
  })
  expect(result).toMatchObject({ ending: 'page_frozen' })
  expect(seconds).toBeLessThanOrEqual(22)
})

test('a stop does not wait for a look at a page that hangs', async () => {
  const clock = jumpingClock()
  const stop = new AbortController()
  const page = scriptedPage(clock, { show: () => threeInCall })
  const looking = Promise.withResolvers<void>()
  page.look = () => {
    looking.resolve()
    return new Promise(() => undefined)
  }
  const watched = watchCall(page, {
    limits,
    scheduledStart: null,
    hardStopAt: () => new Date(clock.now() + 60_000),
    ownName: null,
    clock,
    log: createLog('silent'),
    signal: stop.signal,
    onPeople: () => undefined,
  })
  await looking.promise
  stop.abort()
  expect(await watched).toMatchObject({ ending: 'left_by_request' })
})

test('the longest call may be moved while it lasts', async () => {
  let stopAt = 1_000_000 + 20_000
  const { seconds } = await watch(
    at => {
      if (at >= 10) stopAt = 1_000_000 + 60_000
      return threeInCall
    },
    { hardStopAt: () => new Date(stopAt) },
  )
  expect(seconds).toBe(60)
})
