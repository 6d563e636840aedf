import { expect, test } from 'vitest'
import { createLog } from '../../log.ts'
import { createDialogAnswers, findDialogs } from './answer-dialogs.ts'
import { button, dialog, threeInCall } from './captured-screens.ts'
import type { DialogPlace } from './dialog-words.ts'
import { findLeaveButton } from './leave-call.ts'
import type { Snapshot } from './snapshot.ts'

const log = createLog('silent')
const over = (text: string, ...labels: (string | [string, string])[]): Snapshot => ({
  ...threeInCall,
  dialogs: [dialog(text)],
  buttons: labels.map(label =>
    typeof label === 'string'
      ? button(label, { dialog: 0 })
      : button(label[0], { dialog: 0, dialogAction: label[1] }),
  ),
})
const answerTo = (snapshot: Snapshot, place: DialogPlace = 'call') => {
  const [finding] = findDialogs(snapshot, place)
  return finding && { pattern: finding.pattern, press: finding.button?.text ?? null }
}

test.each([
  ['This video call is being recorded', ['Leave', ['Join now', 'ok'], 'Close']],
  [
    'This call is being recorded and transcribed. Gemini is taking notes.',
    ['Leave', 'Close', ['Join now', 'ok']],
  ],
  ['Your call audio and video will be shared with Read AI', ['Leave', 'Join now']],
] as const)('"%s" is agreed to, never closed', (text, labels) => {
  expect(answerTo(over(text, ...(labels as unknown as Parameters<typeof over>[1][])))).toEqual({
    pattern: 'recording_notice',
    press: 'Join now',
  })
})

test('the same notice in Spanish', () => {
  expect(answerTo(over('Esta videollamada se está grabando', 'Salir', 'Unirme ahora'))).toEqual({
    pattern: 'recording_notice',
    press: 'Unirme ahora',
  })
})

test('a notice without an agreeing button is not closed either', () => {
  expect(answerTo(over('This video call is being recorded', 'Leave', 'Close'))).toEqual({
    pattern: 'recording_notice',
    press: null,
  })
})

test('a notice in words not known yet is agreed to by its make', () => {
  expect(answerTo(over('Holograms are on', 'Leave', ['Join now', 'ok']))).toEqual({
    pattern: 'agree',
    press: 'Join now',
  })
})

test('the bot stays when it is asked', () => {
  const text = "Are you still there? You're the only one here, so this call will end in less than 2 minutes."
  expect(answerTo(over(text, 'Leave now', 'Stay in the call'))).toEqual({
    pattern: 'still_there',
    press: 'Stay in the call',
  })
  expect(answerTo(over('Are you still there?', 'Leave', 'Keep waiting'), 'waiting')).toEqual({
    pattern: 'still_there',
    press: 'Keep waiting',
  })
})

test('before the call it goes on without devices and without an account', () => {
  const modal = over(
    'Do you want people to see and hear you in the meeting?',
    'Use microphone and camera',
    'Continue without microphone and camera',
  )
  expect(answerTo(modal, 'before')).toEqual({
    pattern: 'no_devices',
    press: 'Continue without microphone and camera',
  })
  const promotion = over(
    'Sign in with your Google account. Instead of waiting to be let in, join directly',
    'Sign in',
    'Got it',
  )
  expect(answerTo(promotion, 'before')).toEqual({ pattern: 'sign_in_promotion', press: 'Got it' })
})

test("an offer of another application's recorder is cancelled", () => {
  expect(answerTo(over('Asegúrate de que todos están preparados', 'Iniciar Read AI', 'Cancelar'))).toEqual({
    pattern: 'addon_offer',
    press: 'Cancelar',
  })
})

test('the call limit and the people card stay untouched, an unknown window is told but not pressed', () => {
  expect(answerTo(over('Your call ends in 10 minutes', 'Dismiss'))).toBeUndefined()
  expect(answerTo(over('3 people in the call', 'Close'))).toBeUndefined()
  expect(answerTo(over('Delete the recording?', 'Delete', 'OK'))).toEqual({ pattern: 'unknown', press: null })
})

test('three tries, then it is told once; a dialog that went away starts anew', async () => {
  const told: string[] = []
  let presses = 0
  const page = { press: async () => Boolean(++presses) }
  const answers = createDialogAnswers(page, log, async finding => {
    told.push(finding.pattern)
  })
  const stubborn = over('This video call is being recorded', ['Join now', 'ok'])
  for (let look = 0; look < 10; look += 1) await answers.answer(stubborn, 'call')
  expect({ presses, told }).toEqual({ presses: 3, told: ['recording_notice'] })
  await answers.answer(threeInCall, 'call')
  await answers.answer(stubborn, 'call')
  expect(presses).toBe(4)
})

test('leaving takes only the bot out', () => {
  expect(findLeaveButton(threeInCall)?.jsname).toBe('CQylAd')
  const choice = over(
    'Leave or end the call?',
    ['End the call for everyone', 'x'],
    ['Just leave the call', 'Pd96ce'],
  )
  expect(findLeaveButton(choice)?.text).toBe('Just leave the call')
  const host = {
    ...threeInCall,
    buttons: [button('', { label: 'End call for everyone', glyph: 'call_end' })],
  }
  expect(findLeaveButton(host)).toBeNull()
})
