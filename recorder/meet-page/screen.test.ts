import { expect, test } from 'vitest'
import {
  aloneInCall,
  button,
  dialog,
  endScreen,
  enteringCall,
  guestPreJoin,
  notFound,
  signedInPreJoin,
  snapshot,
  threeInCall,
  tile,
  waitingRoom,
} from './captured-screens.ts'
import { classifyInside, classifyScreen } from './screen.ts'
import { IN_CALL_PANELS } from './words.ts'

const kindOf = (...args: Parameters<typeof classifyScreen>) => classifyScreen(...args).kind

test('the captured calls are calls, the one of a host alone too', () => {
  expect(classifyScreen(aloneInCall)).toMatchObject({
    kind: 'in_call',
    signals: ['panels', 'people_chip', 'call_buttons'],
  })
  expect(classifyScreen(threeInCall)).toMatchObject({
    kind: 'in_call',
    signals: ['panels', 'others', 'people_chip', 'call_buttons'],
    reconnecting: false,
  })
})

test('a call whose chips are not mounted yet is still loading: one signal is not enough', () => {
  expect(kindOf(enteringCall)).toBe('loading')
})

test.each([
  ['Asking to be let in…'],
  ["You'll join the call when someone lets you in"],
  ['You’ll join the call when someone lets you in'],
  ['Please wait until a meeting host brings you into the call'],
  ['Please wait until a meeting host admits you to the call'],
  ['Espera a que un organizador de la reunión te permita participar'],
  ['Solicitando unirte...'],
])('"%s" is the waiting room, with hang-up, reactions and an own tile in it', words => {
  expect(kindOf(waitingRoom(words))).toBe('waiting_room')
})

test('a waiting room in words that are not known is unknown, never the call', () => {
  expect(kindOf(waitingRoom('Warten auf Einlass'))).toBe('unknown')
  expect(kindOf(waitingRoom('Warten', { tiles: [tile(1, 'Testigo bot')] }))).toBe('loading')
})

test('no single sign of the call makes a waiting room the call', () => {
  const words = 'Asking to be let in'
  for (const panel of IN_CALL_PANELS)
    expect(kindOf(waitingRoom(words, { panels: [panel] }))).toBe('waiting_room')
  expect(kindOf(waitingRoom(words, { avatarCount: 2 }))).toBe('waiting_room')
  expect(kindOf(waitingRoom(words, { handButton: true, captionsButton: true }))).toBe('waiting_room')
})

test('the captured error screen is a code not known, by its startup code and by its words', () => {
  expect(classifyScreen(notFound)).toMatchObject({ kind: 'not_found', startupCode: '217' })
  expect(kindOf({ ...notFound, startupCode: null })).toBe('not_found')
  expect(kindOf({ ...notFound, titleOrHeading: '', headings: [], lines: [] })).toBe('not_found')
})

test.each([
  ["You can't join this video call", 'cannot_join'],
  ['You can’t join this meeting', 'cannot_join'],
  ['No puedes unirte a esta videollamada', 'cannot_join'],
  ['No puedes unirte a esta videoconferencia', 'cannot_join'],
  ['Someone in the call denied your request to join', 'denied'],
  ['Alguien de la llamada rechazó tu solicitud para unirte', 'denied'],
  ['No one responded to your request to join the call', 'lobby_timeout'],
  ['Nadie respondió a tu solicitud para unirte a la llamada', 'lobby_timeout'],
  ["You've been removed from the meeting", 'removed'],
  ['You’ve been removed from the meeting', 'removed'],
  ['Te han eliminado de la reunión', 'removed'],
  ['Te quitaron de la reunión', 'removed'],
  ['Your host ended the meeting for everyone', 'ended'],
  ['The call ended because everyone left', 'ended'],
  ['La reunión ha terminado', 'ended'],
  ['You left the meeting', 'left'],
  ["You've left the call", 'left'],
  ['Saliste de la reunión', 'left'],
  ['This meeting has been locked', 'full_or_locked'],
  ['La reunión está llena', 'full_or_locked'],
  ['Something nobody has seen', 'unknown'],
] as const)('the end screen "%s" is %s', (heading, kind) => {
  expect(kindOf(endScreen(heading))).toBe(kind)
  // The hang-up button may outlive the call.
  expect(kindOf(endScreen(heading, { hangUp: true }))).toBe(kind)
})

test('an end because everyone left says so', () => {
  expect(classifyScreen(endScreen('The call ended because everyone left'))).toMatchObject({
    everyoneLeft: true,
  })
  expect(classifyScreen(endScreen('Your host ended the meeting for everyone'))).toMatchObject({
    everyoneLeft: false,
  })
})

test('the texts that every call hides or shows are not its end', () => {
  const lines = [
    'Your call is ending soon',
    'Call ends soon',
    'Call will end soon',
    'Raising your hand',
    'Return to home screen',
    'Others might still see your full video.',
    'Developing an extension for Meet?',
    'devices',
  ]
  expect(kindOf({ ...threeInCall, lines })).toBe('in_call')
})

test('a meeting called after an end screen is still joined', () => {
  const titles = ['You left the meeting', 'Meeting ended', 'Check your meeting code', 'Asking to be let in']
  for (const title of titles) {
    expect(kindOf(signedInPreJoin('Join now', { titleOrHeading: title }))).toBe('pre_join')
    expect(kindOf({ ...threeInCall, lines: [title] })).toBe('in_call')
  }
})

test('the guest form is before the call; of its buttons the visible one that reads so joins', () => {
  expect(classifyScreen(guestPreJoin())).toMatchObject({
    kind: 'pre_join',
    join: { kind: 'ask', disabled: true, place: { text: 'Ask to join' } },
  })
})

test.each([
  ['Join now', 'now'],
  ['Ask to join', 'ask'],
  ['Join anyway', 'anyway'],
  ['Switch here', 'switch'],
  ['Unirme ahora', 'now'],
  ['Unirse ahora', 'now'],
  ['Unirte igualmente', 'anyway'],
  ['Pedir unirte', 'ask'],
  ['Solicitar permiso para unirse', 'ask'],
  ['Cambiar aquí', 'switch'],
] as const)('"%s" joins (%s)', (text, kind) => {
  expect(classifyScreen(signedInPreJoin(text))).toMatchObject({
    kind: 'pre_join',
    join: { kind, place: { text } },
  })
})

test('"Switch here" is preferred to a second seat, and decoys never join', () => {
  const both = [button('Join here too'), button('Switch here')]
  expect(classifyScreen(signedInPreJoin('Other', { buttons: both, joinControl: null }))).toMatchObject({
    join: { kind: 'switch' },
  })
  const decoys = [
    button('Other ways to join'),
    button('Use Companion mode'),
    button('Join and use a phone for audio'),
  ]
  expect(kindOf(signedInPreJoin('Other', { buttons: decoys, joinControl: null }))).not.toBe('pre_join')
})

test('a join control in words that are not known is found by its hook, but not on a call', () => {
  const preJoin = signedInPreJoin('Teilnehmen')
  expect(classifyScreen(preJoin)).toMatchObject({
    kind: 'pre_join',
    join: { kind: 'unknown', place: { text: 'Teilnehmen' } },
  })
  expect(kindOf({ ...preJoin, hangUp: true })).toBe('unknown')
})

test('a "Join now" in a notice over the call is not the green room', () => {
  const notice = {
    dialogs: [dialog('This video call is being recorded')],
    buttons: [button('Join now', { dialog: 0 })],
  }
  expect(kindOf({ ...threeInCall, ...notice })).toBe('in_call')
})

test('denied in the green room is denied, although one could ask again', () => {
  const again = signedInPreJoin('Ask to join again', {
    lines: ['Someone in the call denied your request to join'],
  })
  expect(kindOf(again)).toBe('denied')
})

test('a lost connection over the call is the call reconnecting, and by itself a screen of its own', () => {
  expect(classifyScreen({ ...threeInCall, alerts: ['Reconnecting...'] })).toMatchObject({
    kind: 'in_call',
    reconnecting: true,
  })
  expect(kindOf(endScreen('You lost your network connection'))).toBe('connection_lost')
  expect(kindOf(endScreen('', { connectionLost: true }))).toBe('connection_lost')
})

test.each([
  ['https://accounts.google.com/v3/signin/identifier?continue=x', 'sign_in'],
  ['https://meet.google.com/', 'home'],
  ['https://meet.google.com/landing?hl=en', 'home'],
  ['https://workspace.google.com/products/meet/', 'home'],
  ['chrome-error://chromewebdata/', 'no_page'],
  ['https://example.com/', 'unknown'],
] as const)('the address %s is %s', (url, kind) => {
  expect(kindOf(snapshot({ url }))).toBe(kind)
})

test('an empty page is loading, a full one that says nothing known is unknown', () => {
  expect(kindOf(snapshot())).toBe('loading')
  expect(
    kindOf(snapshot({ lines: ['Getting ready…', "System info will be sent to confirm you're not a bot."] })),
  ).toBe('loading')
  expect(
    kindOf(
      snapshot({
        lines: ['Something entirely new that no code has ever read before'],
        buttons: [button('Go')],
      }),
    ),
  ).toBe('unknown')
})

test('once inside, bars that faded out are still the call; words of a waiting room or an end are not', () => {
  const bare = {
    toggles: [],
    hangUp: false,
    panels: [],
    captionsButton: false,
    handButton: false,
    buttons: [],
  }
  const presented = { ...threeInCall, ...bare, avatarCount: null, chipCount: null }
  expect(kindOf(presented)).not.toBe('in_call')
  expect(classifyInside(presented).kind).toBe('in_call')
  expect(classifyInside({ ...aloneInCall, ...bare, avatarCount: null, chipCount: null }).kind).toBe('in_call')
  expect(classifyInside(waitingRoom('Asking to be let in')).kind).toBe('waiting_room')
  expect(classifyInside(endScreen('You left the meeting')).kind).toBe('left')
  expect(
    classifyInside(snapshot({ lines: ['Something entirely new that no code has ever read before'] })).kind,
  ).toBe('unknown')
})
