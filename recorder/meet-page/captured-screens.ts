// Snapshots modelled by hand on the real captures of meet-dom-structures.md (its marks A, B, D, …), for tests only: what
// readScreen would make of them. Where nobody has a capture, on the texts of meet-web-facts.md; each says which.
import type { ButtonSeen, DialogSeen, MuteToggle, Snapshot, TileSeen } from './snapshot.ts'

let made = 0

export function button(text: string, more: Partial<ButtonSeen> = {}): ButtonSeen {
  made += 1
  return {
    path: [1, made],
    label: '',
    text,
    jsname: '',
    outerJsname: '',
    glyph: '',
    disabled: false,
    faint: false,
    dialogAction: '',
    dialog: -1,
    ...more,
  }
}

export function toggle(device: MuteToggle['device'], muted = true, label = `Turn on ${device}`): MuteToggle {
  made += 1
  return { path: [1, made], label, text: '', device, muted, glyph: muted ? 'mic_off' : 'mic' }
}

export function tile(device: number, name: string, more: Partial<TileSeen> = {}): TileSeen {
  const id = `spaces/AbCdEf/devices/${device}`
  return {
    participantId: id,
    mediaId: id,
    name,
    own: false,
    muted: true,
    video: false,

    ...more,
  }
}

export const dialog = (text: string, more: Partial<DialogSeen> = {}): DialogSeen => ({
  label: '',
  text,
  modal: true,
  ...more,
})

const blank: Snapshot = {
  url: 'https://meet.google.com/abc-defg-hij?hl=en',
  lang: 'en',
  title: 'Meet - abc-defg-hij',
  readyState: 'complete',
  startupCode: null,
  callEnded: false,
  connectionLost: false,
  titleOrHeading: '',
  headings: [],
  buttons: [],
  dialogs: [],
  alerts: [],
  tiles: [],
  avatarCount: null,
  chipCount: null,
  toggles: [],
  nameInput: null,
  hangUp: false,
  panels: [],
  captionsButton: false,
  handButton: false,
  joinControl: null,
  anonymous: null,
  emails: [],
  audioElements: 0,
  liveAudioTracks: 0,
  lines: [],
}

export const snapshot = (more: Partial<Snapshot> = {}): Snapshot => ({ ...blank, ...more })

const hangUp = () => button('', { label: 'Leave call', jsname: 'CQylAd', glyph: 'call_end' })
const offToggles = () => [toggle('microphone'), toggle('camera')]

/** The bottom bar of §5.4 as in A and B. */
const callBar = () => ({
  buttons: [
    button('', { label: 'Turn on microphone', jsname: 'hw0c9', glyph: 'mic_off' }),
    button('', { label: 'Turn on camera', jsname: 'psRWwc', glyph: 'videocam_off' }),
    button('', { label: 'Send a reaction', jsname: 'G0pghc', glyph: 'mood' }),
    button('', { label: 'Raise hand (Ctrl + ⌘ + h)', jsname: 'FpSaz', glyph: 'back_hand' }),
    button('', { label: 'More options', jsname: 'NakZHc', glyph: 'more_vert' }),
    hangUp(),
    button('', { label: 'Chat with everyone', jsname: 'A5il2e', glyph: 'chat' }),
  ],
  toggles: offToggles(),
  hangUp: true,
  panels: ['5', '2', '10', '16'],
  captionsButton: true,
  handButton: true,
  audioElements: 3,
})

/** A: April 2026, host alone, camera on, title at the bottom left. */
export const aloneInCall = snapshot({
  ...callBar(),
  tiles: [tile(1, 'Dana Reyes', { own: true, video: true })],
  avatarCount: 1,
  chipCount: 1,
  liveAudioTracks: 3,
  lines: ['1:47 PM', 'This call is open to anyone'],
})

/** B: August 2026, three tiles, own last, all cameras off; "External participants joined" stands before the people chip. */
export const threeInCall = snapshot({
  ...callBar(),
  tiles: [tile(7, 'Ana Torres'), tile(8, 'Luis Gómez'), tile(9, 'Dana Reyes', { own: true })],
  avatarCount: 3,
  chipCount: 3,
  liveAudioTracks: 3,
  lines: ['4:02', 'PM', 'Weekly'],
})

/** A before its chips mount (some seconds, §5.1). */
export const enteringCall = snapshot({ ...callBar(), captionsButton: false, handButton: false })

/** D: verbatim capture of 2026-08-25. */
export const notFound = snapshot({
  title: 'Meet',
  startupCode: '217',
  callEnded: true,
  titleOrHeading: 'Check your meeting code',
  headings: ['Your meeting is safe'],
  buttons: [
    button('Return to home screen', { jsname: 'dqt8Pb', outerJsname: 'WIVZEd' }),
    button('Submit feedback', { jsname: 'rhHFf' }),
    button('Learn more', { jsname: 'DPJEMd' }),
  ],
  lines: [
    'Check your meeting code',
    'Make sure you entered the correct meeting code in the URL, for example: https://meet.google.com/xxx-yyyy-zzz',
    'Your meeting is safe',
    'No one can join a meeting unless invited or admitted by the host',
    '44',
    'Returning to home screen',
  ],
})

/** §7.2, frame of D; words of meet-web-facts.md §5. */
export const endScreen = (heading: string, more: Partial<Snapshot> = {}): Snapshot =>
  snapshot({
    title: 'Meet',
    callEnded: true,
    titleOrHeading: heading,
    buttons: [button('Rejoin', { jsname: 'W6suGc' }), button('Return to home screen', { jsname: 'dqt8Pb' })],
    lines: [
      heading,
      'Your meeting is safe',
      'No one can join a meeting unless invited or admitted by the host',
    ],
    ...more,
  })

/** §3: the guest's form in its September 2026 shape, with the invisible twin of M drawn transparent. */
export const guestPreJoin = (more: Partial<Snapshot> = {}): Snapshot => {
  const join = button('Ask to join', {
    outerJsname: 'Qx7uuf',
    label: 'Ask to join without camera',
    disabled: true,
  })
  return snapshot({
    toggles: offToggles(),
    anonymous: true,
    titleOrHeading: 'Weekly',
    nameInput: {
      path: [1, 999],
      label: 'Your name',
      text: '',
      value: '',
      jsname: 'YPqjbf',
      placeholder: 'Your name',
    },
    buttons: [
      button('Sign in'),
      button('Join now', { faint: true }),
      join,
      button('Other ways to join'),
      button('', { label: 'Return to home screen' }),
    ],
    joinControl: join,
    headings: ["What's your name?"],
    lines: ["What's your name?", 'Ask to join', 'By joining, you agree to the Terms of Service'],
    ...more,
  })
}

/** §3.3. */
export const signedInPreJoin = (text = 'Join now', more: Partial<Snapshot> = {}): Snapshot => {
  const join = button(text, { outerJsname: 'Qx7uuf' })
  return snapshot({
    toggles: offToggles(),
    anonymous: false,
    titleOrHeading: 'Weekly',
    headings: ['Ready to join?'],
    buttons: [join, button('Other ways to join'), button('Use Companion mode')],
    joinControl: join,
    lines: ['bot@example.com', 'Switch account', 'Ready to join?', 'Ana Torres is in this call'],
    emails: ['bot@example.com'],
    ...more,
  })
}

/** §4: bar with microphone, camera, reactions and hang-up, own tile, no panels (MBS#198, VEL27384). */
export const waitingRoom = (words: string, more: Partial<Snapshot> = {}): Snapshot =>
  snapshot({
    toggles: offToggles(),
    hangUp: true,
    tiles: [tile(1, 'Testigo bot', { own: true })],
    titleOrHeading: 'Weekly',
    buttons: [
      button('', { label: 'Send a reaction', jsname: 'G0pghc', glyph: 'mood' }),
      hangUp(),
      button('Return to home screen', { jsname: 'dqt8Pb' }),
    ],
    lines: [words],
    ...more,
  })
