// What the page showed at one moment, as plain values: the only thing that deciding about Meet's page starts from.

/** Where an element stood: child positions from `html` down, and what it read, to tell whether it is still the same. */
export interface ElementPlace {
  path: readonly number[]
  label: string
  text: string
}

/** A visible button (or element with the button role). */
export interface ButtonSeen extends ElementPlace {
  jsname: string
  /** jsname of the nearest ancestor that has one. */
  outerJsname: string
  /** Name of its icon in Meet's icon font, language-free. */
  glyph: string
  disabled: boolean
  /** Drawn with opacity 0 at this moment (the bar hides itself so; so do hidden twins). */
  faint: boolean
  dialogAction: string
  /** Position in `dialogs`, or -1. */
  dialog: number
}

export interface DialogSeen {
  label: string
  text: string
  modal: boolean
}

export interface TileSeen {
  participantId: string
  mediaId: string
  name: string
  own: boolean
  muted: boolean
  video: boolean
}

export interface MuteToggle extends ElementPlace {
  device: 'microphone' | 'camera'
  muted: boolean
  glyph: string
}

export interface Snapshot {
  url: string
  lang: string
  title: string
  readyState: string
  /** `data-startup-code` of a visible end or error screen, else null. */
  startupCode: string | null
  /** A visible `[data-call-ended]`. */
  callEnded: boolean
  connectionLost: boolean
  /** Text of the element that is the meeting's title before the call and the heading of the screens after it. */
  titleOrHeading: string
  headings: readonly string[]
  buttons: readonly ButtonSeen[]
  dialogs: readonly DialogSeen[]
  alerts: readonly string[]
  tiles: readonly TileSeen[]
  /** Avatars drawn in the people chip, own included; null without a chip. */
  avatarCount: number | null
  /** The number written in the people chip, own included; null when none is written. */
  chipCount: number | null
  toggles: readonly MuteToggle[]
  /** A text field outside dialogs and panels, the one with the name field's jsname first. */
  nameInput: (ElementPlace & { value: string; jsname: string; placeholder: string }) | null
  /** The hang-up button stands in the page (also in the waiting room). */
  hangUp: boolean
  /** `data-panel-id` of the visible panel buttons. */
  panels: readonly string[]
  captionsButton: boolean
  handButton: boolean
  /** A visible join control by its jsname, whatever it reads. */
  joinControl: ElementPlace | null
  /** `data-is-anonymous`: null when the page does not say. */
  anonymous: boolean | null
  /** E-mail addresses in sight (the account chip before the call). */
  emails: readonly string[]
  audioElements: number
  /** Live, unmuted audio tracks in audio and video elements. */
  liveAudioTracks: number
  /** Lines of visible text without captions, chat, people's names, tooltips and dialogs. */
  lines: readonly string[]
}
