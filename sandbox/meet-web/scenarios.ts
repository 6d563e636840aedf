/** What a participant of a simulated call is like. Times count from the first seat's entry into the call. */
export type ParticipantSettings = {
  name: string
  cameraOff?: boolean
  muted?: boolean
  presenting?: boolean
  joinAfterMs?: number
  leaveAfterMs?: number
}

/** Dialogs and toasts of the page; texts live in `page/texts.*.js`, sources: meet-web-facts.md §3.2, §3.4, §7. */
export const dialogKinds = [
  'recording',
  'transcription',
  'gemini',
  'third-party-notes',
  'others-see-differently',
  'alone',
  'call-limit',
  'lobby-still-there',
  'mic-reminder',
  'permission',
  'sign-in-promo',
] as const
export type DialogKind = (typeof dialogKinds)[number]

export type EndKind =
  | 'left'
  | 'denied'
  | 'no-response'
  | 'removed'
  | 'switched'
  | 'host-ended'
  | 'everyone-left'
  | 'not-found'
  | 'cannot-join'

/** Every switch of a meeting. Timers end in `Ms`; `null` means "never by itself". */
export type MeetingSettings = {
  title: string | null
  /** open: everybody joins at once. trusted: signed-in and invited join at once, others knock (§11.2). */
  access: 'open' | 'trusted'
  invited: string[]
  participants: ParticipantSettings[]
  /** What the page opens with. */
  opensWith: 'pre-join' | 'not-found' | 'cannot-join' | 'sign-in'
  /** `null`: as `?hl=` says. Otherwise the account's own language, which `hl` cannot override. */
  language: 'en' | 'es' | 'es-419' | null
  layout: 'apr-2026' | 'aug-2026'
  /** Texts and jsnames unlike any known page. */
  wordsChanged: boolean
  /** The three forms seen of the join control: meet-dom-structures.md §9.2. */
  joinControl: 'button' | 'outer-div' | 'role-button'
  joinAriaLabel: boolean
  joinText: 'by-access' | 'join-anyway' | 'switch-here'
  /** Where "Join here too" stands: beside "Switch here", or in the list of other ways to join. */
  joinHereToo: 'button' | 'list'
  preJoinToggles: 'button' | 'div'
  permissionModal: boolean
  signInPromo: boolean
  gotItPopup: boolean
  audioOutput: 'elements' | 'web-audio'
  chatForm: 'textarea' | 'contenteditable' | 'embedded'
  hostSeat: boolean
  renderDelayMs: number
  chipsDelayMs: number
  admitAfterMs: number | null
  denyAfterMs: number | null
  knockTimeoutMs: number
  lobbyPromptAfterMs: number | null
  homeCountdownMs: number
  endAfterMs: number | null
  removeAfterMs: number | null
  freezeAfterMs: number | null
  cutMediaAfterMs: number | null
  dialogs: { kind: DialogKind; afterMs: number }[]
  alonePromptAfterMs: number
  aloneLeaveAfterMs: number
  /** How long a seat whose browser vanished without a word stays in the call. */
  ghostMs: number
  /** The same while the network is cut: nobody told the server that the seat is gone. */
  cutOffSeatMs: number
  /** How long a page without a connection tries to come back before it shows that the call is lost. */
  reconnectGiveUpMs: number
}

const threePeople: ParticipantSettings[] = [
  { name: 'Ana Torres' },
  { name: 'Luis Gómez' },
  { name: 'María José Peña' },
]

/** An ordinary open call with three people, with Meet's own clocks (meet-web-facts.md §12). */
export const ordinary: MeetingSettings = {
  title: null,
  access: 'open',
  invited: [],
  participants: threePeople,
  opensWith: 'pre-join',
  language: null,
  layout: 'aug-2026',
  wordsChanged: false,
  joinControl: 'outer-div',
  joinAriaLabel: true,
  joinText: 'by-access',
  joinHereToo: 'button',
  preJoinToggles: 'button',
  permissionModal: false,
  signInPromo: false,
  gotItPopup: false,
  audioOutput: 'elements',
  chatForm: 'textarea',
  hostSeat: false,
  renderDelayMs: 700,
  chipsDelayMs: 3_000,
  admitAfterMs: null,
  denyAfterMs: null,
  knockTimeoutMs: 600_000,
  lobbyPromptAfterMs: null,
  homeCountdownMs: 60_000,
  endAfterMs: null,
  removeAfterMs: null,
  freezeAfterMs: null,
  cutMediaAfterMs: null,
  dialogs: [],
  alonePromptAfterMs: 300_000,
  aloneLeaveAfterMs: 120_000,
  ghostMs: 0,
  cutOffSeatMs: 45_000,
  reconnectGiveUpMs: 120_000,
}

/** Scenarios by name: what differs from `ordinary`. `createMeeting` may override each value again. */
export const scenarios = {
  open: {},
  'knock-admitted': { access: 'trusted', admitAfterMs: 3_000 },
  denied: { access: 'trusted', denyAfterMs: 3_000 },
  'never-answered': { access: 'trusted' },
  'lobby-timeout': { access: 'trusted', knockTimeoutMs: 15_000, lobbyPromptAfterMs: 5_000 },
  'not-found': { opensWith: 'not-found', participants: [] },
  'cannot-join': { opensWith: 'cannot-join' },
  'sign-in-wanted': { opensWith: 'sign-in' },
  'recording-dialog': { dialogs: [{ kind: 'recording', afterMs: 1_000 }] },
  'gemini-dialog': { dialogs: [{ kind: 'gemini', afterMs: 1_000 }] },
  'permission-modal': { permissionModal: true, signInPromo: true, gotItPopup: true },
  'alone-prompt': { participants: [], alonePromptAfterMs: 5_000, aloneLeaveAfterMs: 20_000 },
  removed: { removeAfterMs: 8_000 },
  'host-ends': { endAfterMs: 15_000 },
  'everyone-leaves': { participants: threePeople.map(person => ({ ...person, leaveAfterMs: 10_000 })) },
  'nobody-comes': { participants: [] },
  spanish: { language: 'es-419', access: 'trusted', admitAfterMs: 3_000 },
  'words-changed': { wordsChanged: true },
  'switch-here': { joinText: 'switch-here' },
  freeze: { freezeAfterMs: 10_000 },
} satisfies Record<string, Partial<MeetingSettings>>

export type ScenarioName = keyof typeof scenarios
