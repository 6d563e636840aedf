// Every text and selector of Google Meet that the recorder knows, by screen. Nothing of Meet stands anywhere else.
// Sources: meet-dom-structures.md (real captures; it wins) and meet-web-facts.md. Texts are written normalised, as
// `normalise` of match-text.ts makes them: lower case, no accents, straight apostrophes.

/** Structural hooks; meet-dom-structures.md §10 unless another place is named. */
export const SELECTORS = {
  hangUpGlyph: 'call_end',
  hangUpButton: '[jsname="CQylAd"]',
  microphone: '[jsname="hw0c9"][data-is-muted]',
  camera: '[jsname="psRWwc"][data-is-muted]',
  muteState: '[data-is-muted]',
  tile: '[data-participant-id][data-tile-media-id]',
  tileName: 'span.notranslate:not([aria-hidden]):not(:empty)',
  ownTileGlyphs: ['visual_effects', 'frame_person'],
  mutedGlyph: 'mic_off',
  /** On a tile of which sound comes (§5.3): the border's flag, and the classes of loudness on its marks. */
  speakingMarks:
    '.kssMZb, ' +
    ['I8fSpb', 'Oaajhc', 'HX2H7', 'wEsLMd', 'OgVli'].map(level => `[jsname="QgSmzd"].${level}`).join(', '),
  panelButton: 'button[data-panel-id]',
  avatarCount: 'span[data-avatar-count]',
  peopleChip: '[role="button"][aria-haspopup="dialog"]',
  /** `r8qRAd` was its name before 2026. */
  captionsButton: '[jsname="RrG0hf"], [jsname="r8qRAd"]',
  handButton: '[jsname="FpSaz"]',
  terminalFrame: '[data-startup-code]',
  startupCodeAttribute: 'data-startup-code',
  callEnded: '[data-call-ended]',
  connectionLost: '[data-is-connection-lost="true"]',
  /** The meeting's title before the call, the heading after it (§3.1, §7). */
  titleOrHeading: '[jsname="r4nke"]',
  nameInput: 'input[type="text"]',
  nameInputJsname: 'YPqjbf',
  /** Since September 2026 a wrapper div; `z0F4cd` is the host's (§3.1) and is used again in the tools panel. */
  joinControl: '[jsname="Qx7uuf"], [jsname="z0F4cd"]',
  anonymous: '[data-is-anonymous]',
  dialog: '[role="dialog"], [role="alertdialog"]',
  alert: '[role="alert"], [role="alertdialog"]',
  dialogAction: 'data-mdc-dialog-action',
  button: 'button, [role="button"], [role="menuitem"]',
  heading: 'h1, h2, [role="heading"]',
  /** Words in here are people's or the browser's, never Meet's about the call (§9.12; meet-web-facts.md §5). */
  notMeetsWords: [
    '[jsname="dsyhDe"]', // captions (§5.6)
    'aside', // side panels: chat, people; always mounted (§5.5)
    '[data-panel-container-id]',
    '[data-key^="notification-"]', // toasts repeat the chat (§6)
    '[data-tile-media-id]',
    '[role="tooltip"]',
    '[data-mdc-dom-announce]',
    '[jsname="NeC6gb"]', // the meeting's title (§5.2)
    '[data-meeting-title]',
    'i',
    'script, style, noscript, template, svg, input, textarea',
  ].join(', '),
} as const

export type Selectors = typeof SELECTORS

/** `data-startup-code` of an unknown meeting code, stable since January 2025 (meet-dom-structures.md §7.1). */
export const STARTUP_CODE_NOT_FOUND = '217'

/** Panels whose button stands in the call's bar and not in the waiting room's: details, chat, tools, host, people. */
export const IN_CALL_PANELS: readonly string[] = ['1', '2', '5', '10', '16']

/** What the label of the people chip reads, also with the number glued to it (§5.1). */
export const PEOPLE_CHIP: readonly string[] = ['people', 'personas', 'participants', 'participantes']

/** Labels of a microphone or camera that the machine does not have (§9.13). */
export const DEVICE_MISSING: readonly string[] = [
  'microphone problem',
  'camera problem',
  'microphone not found',
  'camera not found',
  'problema con el microfono',
  'problema con la camara',
  'problema de microfono',
  'problema de camara',
  'microfono no encontrado',
  'camara no encontrada',
]

/** Labels of the guest's name field: English, es, es-419 (meet-web-facts.md §3.1). */
export const NAME_FIELD: readonly string[] = [
  'your name',
  "what's your name",
  'tu nombre',
  'nombre',
  'su nombre',
]

export type JoinKind = 'now' | 'switch' | 'beside' | 'anyway' | 'ask'

/** Texts of the join control, best first (meet-web-facts.md §3.3). `switch` moves the account's seat to us, `beside` adds a seat. */
export const JOIN_TEXTS: readonly { kind: JoinKind; texts: readonly string[] }[] = [
  {
    kind: 'now',
    texts: [
      'join now',
      'join the call now',
      'join meeting',
      'join',
      'unirme ahora',
      'unirse ahora',
      'unirte ahora',
      'participar ahora',
      'participar',
      'unirse a la llamada',
    ],
  },
  {
    kind: 'switch',
    texts: ['switch here', 'switch to this device', 'cambiar aqui', 'cambiar a este dispositivo'],
  },
  {
    kind: 'beside',
    texts: [
      'join here too',
      'also join here',
      'unirme aqui tambien',
      'unirse aqui tambien',
      'unirte aqui tambien',
      'unirme tambien aqui',
      'unirse tambien aqui',
      'unirte tambien aqui',
      'participar aqui tambien',
      'participar tambien aqui',
    ],
  },
  {
    kind: 'anyway',
    texts: [
      'join anyway',
      'unirte igualmente',
      'unirme igualmente',
      'unirse de todos modos',
      'unirse igualmente',
    ],
  },
  {
    kind: 'ask',
    texts: [
      'ask to join',
      'ask to join anyway',
      'ask to join again',
      'pedir unirte',
      'pedir unirse',
      'pedir unirme',
      'solicitar unirse',
      'solicitar unirme',
      'solicitar acceso',
      'solicitar permiso para unirse',
      'solicitar permiso para unirme',
      'solicitar permiso',
      'solicitar participar',
    ],
  },
]

/** Opens the list that may hold "Join here too" (meet-web-facts.md §3.3). */
export const OTHER_WAYS_TO_JOIN: readonly string[] = [
  'other ways to join',
  'other joining options',
  'otras formas de unirse',
  'otras formas de unirte',
  'otras maneras de unirse',
  'otras opciones para unirse',
  'mas formas de unirse',
]

/** What may follow a join text in an aria-label: "Ask to join without camera" (§3.1). */
export const JOIN_SUFFIXES: readonly string[] = ['without', 'with', 'sin', 'con']

/** Words shown while the page is on its way to the pre-join screen (meet-web-facts.md §1). */
export const LOADING: readonly string[] = [
  'getting ready',
  "you'll be able to join in just a moment",
  'loading',
  'joining',
  'preparando',
  'podras unirte en un momento',
  'cargando',
  'uniendote',
]

/** meet-web-facts.md §4. "Instead of waiting to be let in" is the sign-in promotion before joining, not this (§11.2). */
export const WAITING_ROOM: readonly string[] = [
  'asking to be let in',
  'asking to join',
  'your request to join is pending',
  "you'll join the call when someone lets you in",
  'you will join the call when someone lets you in',
  'please wait until a meeting host brings you into the call',
  'please wait until a meeting host admits you to the call',
  'a meeting host brings you into',
  'a meeting host admits you to',
  'waiting for the host to join',
  'waiting for the host to let you in',
  'waiting for the host',
  'waiting for someone to let you in',
  "you're in the waiting room",
  'espera a que un organizador',
  'espera a que un anfitrion',
  'espera a que alguien',
  'te uniras a la llamada cuando alguien',
  'te uniras cuando alguien',
  'te permita participar',
  'solicitaste unirte',
  'esperando que alguien te admita',
  'esperando a que alguien te admita',
  'solicitando unirte',
  'pidiendo unirte',
  'solicitando permiso para unirte',
  'has solicitado unirte',
]

/** Shown over a call whose network is gone, while Meet tries again by itself. */
export const RECONNECTING: readonly string[] = [
  'reconnecting',
  'trying to reconnect',
  'connection lost',
  'you lost your network connection',
  'unable to connect',
  'reconectando',
  'volviendo a conectar',
  'se perdio la conexion',
  'se ha perdido la conexion',
  'conexion perdida',
]

/** meet-web-facts.md §3.4 and §3.5; the host accounts.google.com comes before them. */
export const SIGN_IN: readonly string[] = [
  'use your google account',
  'to continue to google meet',
  'choose an account',
  'sign in to join',
  "verify it's you",
  'sign in again to continue',
  'usa tu cuenta de google',
  'utiliza tu cuenta de google',
  'elige una cuenta',
  'selecciona una cuenta',
  'demuestra que eres tu',
  'verifica que eres tu',
  'vuelve a iniciar sesion para continuar',
  'inicia sesion para unirte',
  'ir a google meet',
]

/** Where a signed-out or ejected page lands (meet-web-facts.md §1; meet-dom-structures.md §2). */
export const HOME_PATHS: readonly string[] = ['/', '/home', '/landing']
export const MEET_HOST = 'meet.google.com'
export const ACCOUNTS_HOST = 'accounts.google.com'
export const MARKETING_HOST = 'workspace.google.com'

/** The page says that only we are there (meet-web-facts.md §5, §7). */
export const ONLY_ONE_HERE: readonly string[] = [
  "you're the only one here",
  "you're the only one in this call",
  'no one else is here',
  'no one else is in this call',
  'eres la unica persona',
  'no hay nadie mas',
]

/** "Just leave the call" in the question a host gets on leaving (§6). Never "end for everyone". */
export const JUST_LEAVE = {
  action: 'Pd96ce',
  texts: [
    'just leave the call',
    'just leave the meeting',
    'leave meeting',
    'solo salir de la llamada',
    'salir de la reunion',
  ],
} as const

/** Names under which recording and note-taking bots join; each a whole word or phrase. */
export const BOT_NAMES: readonly string[] = [
  'notetaker',
  'note taker',
  'notetaker bot',
  'meeting bot',
  'bot',
  'recorder',
  'recording',
  'grabador',
  'grabadora',
  'grabacion',
  'notas ia',
  'asistente ia',
  'ai assistant',
  'otter',
  'otter.ai',
  'otterpilot',
  'fireflies',
  'fireflies.ai',
  'read.ai',
  'read ai',
  'fathom',
  'tl;dv',
  'tldv',
  'gong',
  'avoma',
  'fellow.app',
  'meetgeek',
  'sembly',
  'supernormal',
  'krisp',
  'granola',
  'circleback',
  'jamie ai',
  'bluedot',
  'meetjamie',
  'testigo',
]

/** A host's button that ends the call for all; never pressed. */
export const END_FOR_EVERYONE: readonly string[] = [
  'end call for everyone',
  'end the call for everyone',
  'end the call',
  'end for everyone',
  'finalizar la llamada para todos',
  'finalizar llamada para todos',
  'finalizar para todos',
  'terminar para todos',
]
