import type { WebSocket } from 'ws'
import type { Account } from './accounts.ts'
import { EventLog, type EventMatch, type MeetingEvent } from './event-log.ts'
import type { MediaPlant } from './media-plant.ts'
import { pageModel } from './page-model.ts'
import { Participants } from './participants.ts'
import type { DialogKind, EndKind, MeetingSettings, ParticipantSettings } from './scenarios.ts'
import { type PageMessage, Seat } from './seat.ts'
import { Timers } from './timers.ts'

/** One simulated meeting: who is in it, what its pages show, and what happened. */
export class Meeting {
  readonly code: string
  readonly settings: MeetingSettings
  readonly log = new EventLog()
  readonly #seats = new Set<Seat>()
  readonly #timers = new Timers()
  readonly #media: MediaPlant
  readonly #participants: Participants
  #callStarted = false

  constructor(code: string, settings: MeetingSettings, media: MediaPlant) {
    this.code = code
    this.settings = settings
    this.#media = media
    this.#participants = new Participants(code, settings.participants)
  }

  get url(): string {
    return `https://meet.google.com/${this.code}`
  }

  get events(): MeetingEvent[] {
    return this.log.events
  }

  /** See `EventLog.waitFor`: also resolves with an event that already happened. */
  waitFor(match: EventMatch, timeoutMs: number, fromIndex = 0): Promise<MeetingEvent> {
    return this.log.waitFor(match, timeoutMs, fromIndex)
  }

  /** Names of everybody in the call: simulated participants and seats. */
  get inCall(): string[] {
    return this.#people().map(person => person.name)
  }

  state(): Record<string, unknown> {
    return {
      code: this.code,
      url: this.url,
      settings: this.settings,
      people: this.#people(),
      seats: [...this.#seats].map(({ id, name, phase, account }) => ({ id, name, phase, account })),
      events: this.events,
    }
  }

  /** Lets everybody in who is knocking, or only those of that name. */
  admit(name?: string): void {
    for (const seat of this.#seatsIn('lobby', name)) {
      this.log.add('admitted', { name: seat.name, seat: seat.id })
      this.#enter(seat)
    }
  }

  /** Refuses everybody who is knocking, or only those of that name. */
  deny(name?: string): void {
    for (const seat of this.#seatsIn('lobby', name)) {
      this.log.add('denied', { name: seat.name, seat: seat.id })
      this.#exit(seat, 'denied', 'denied')
    }
  }

  /** Removes all seats from the call; with a name, that seat or that participant. */
  remove(name?: string): void {
    for (const seat of this.#seatsIn('call', name)) {
      this.log.add('removed', { name: seat.name, seat: seat.id })
      this.#exit(seat, 'removed', 'removed')
    }
    if (name !== undefined) this.leave(name)
  }

  /** The host ends the call for everybody. */
  end(): void {
    this.log.add('ended')
    this.#timers.clear()
    this.#participants.clear()
    for (const seat of this.#seatsIn('call')) this.#exit(seat, 'host-ended', 'host-ended')
    for (const seat of this.#seatsIn('lobby')) this.#exit(seat, 'host-ended', 'host-ended')
    this.#peopleChanged()
  }

  /** A simulated participant comes in. */
  join(participant: string | ParticipantSettings): void {
    const settings = typeof participant === 'string' ? { name: participant } : participant
    this.#participants.add(settings)
    this.log.add('participant-joined', { name: settings.name })
    this.#toast('joined', settings.name)
    this.#peopleChanged()
  }

  /** The simulated participants of that name leave; all of them without a name. */
  leave(name?: string): void {
    for (const gone of this.#participants.remove(name)) {
      this.log.add('participant-left', { name: gone.name })
      this.#toast('left', gone.name)
    }
    this.#peopleChanged()
  }

  /** Changes a participant's microphone, camera or presentation during the call. */
  change(name: string, change: Partial<ParticipantSettings>): void {
    this.#participants.change(name, change)
    this.log.add('participant-changed', { name, ...change })
    this.#peopleChanged()
  }

  /** Opens a dialog on every page that is in the call or waits; `extra` goes into its text. */
  showDialog(kind: DialogKind, extra: Record<string, unknown> = {}): void {
    for (const seat of this.#seats) if (seat.phase !== 'ended') this.#showDialogTo(seat, kind, extra)
  }

  hideDialog(kind?: DialogKind): void {
    this.#broadcast({ type: 'dialog-hide', kind: kind ?? null })
    this.log.add('dialog-hidden', { kind: kind ?? 'all' })
  }

  /** Shows a toast with that text, or one of the known kinds ("joined", "left", "hand", "chat"). */
  toast(kind: string, name = ''): void {
    this.#toast(kind, name)
  }

  /** Somebody says something: the captions region shows it where captions are on. */
  caption(name: string, text: string): void {
    this.#broadcast({ type: 'caption', name, text })
  }

  /** A chat message of a participant. */
  chat(name: string, text: string): void {
    this.#broadcast({ type: 'chat', name, text })
  }

  /** Every page stops responding (a busy loop) for `durationMs`. */
  freeze(durationMs = 3_600_000): void {
    this.log.add('frozen', { durationMs })
    this.#broadcast({ type: 'freeze', durationMs })
  }

  /** The media path goes dead without a word, the page stays. `restoreMedia` brings it back. */
  cutMedia(): void {
    this.log.add('media-cut')
    for (const seat of this.#seatsIn('call')) this.#media.closePeer(seat.id)
  }

  restoreMedia(): void {
    this.log.add('media-restored')
    for (const seat of this.#seatsIn('call')) this.#openPeer(seat)
  }

  /** Every page reloads itself, as after an update of the web app. */
  reload(): void {
    this.log.add('reloaded')
    this.#broadcast({ type: 'reload' })
  }

  /** A page opened this meeting. */
  connect(socket: WebSocket, account: Account | null, hl: string): void {
    const seat = new Seat(socket, account)
    this.#seats.add(seat)
    this.log.add('page-opened', { seat: seat.id, account: account?.email ?? null, hl })
    socket.on('message', data => this.#receive(seat, JSON.parse(String(data)) as PageMessage))
    socket.on('close', () => this.#disconnected(seat))
    socket.on('error', error => this.log.add('socket-error', { seat: seat.id, message: error.message }))
    const sameAccount = account !== null && this.#otherSeatsOf(seat).length > 0
    seat.send({ type: 'hello', model: pageModel(this, account, sameAccount) })
    if (this.settings.permissionModal) this.#showDialogTo(seat, 'permission')
    if (this.settings.signInPromo && account === null) this.#showDialogTo(seat, 'sign-in-promo')
    if (this.settings.gotItPopup) this.#showDialogTo(seat, 'others-see-differently')
  }

  /** Something went wrong with the media of all meetings (the page that plays the participants died, …). */
  mediaFault(message: string): void {
    this.log.add('media-fault', { message })
  }

  stop(): void {
    this.#timers.clear()
    for (const seat of this.#seats) seat.timers.clear()
  }

  #receive(seat: Seat, message: PageMessage): void {
    if (message.type === 'signal') this.#media.signal(seat.id, message.signal)
    else if (message.type === 'join') this.#askedToJoin(seat, message)
    else if (message.type === 'leave') this.#left(seat, message.button)
    else if (message.type === 'dialog-answer') this.#answered(seat, message.kind, message.button)
    else if (message.type === 'bye') seat.saidBye = true
    else if (message.type === 'chat') this.log.add('chat-sent', { seat: seat.id, text: message.text })
    else if (message.type === 'did')
      this.log.add(message.what, { ...message, type: message.what, seat: seat.id })
  }

  #askedToJoin(seat: Seat, message: Extract<PageMessage, { type: 'join' }>): void {
    if (seat.phase !== 'pre-join') return
    if (seat.account === null) seat.name = message.name
    const { button, micMuted, cameraMuted } = message
    const detail = { name: seat.name, seat: seat.id, button, micMuted, cameraMuted }
    if (button === 'switchHere')
      for (const other of this.#otherSeatsOf(seat)) this.#exit(other, 'switched', 'left')
    if (button !== 'askToJoin') {
      this.#enter(seat, detail)
      return
    }
    seat.phase = 'lobby'
    this.log.add('knock', detail)
    seat.send({ type: 'screen', screen: 'lobby' })
    const { admitAfterMs, denyAfterMs, lobbyPromptAfterMs, knockTimeoutMs } = this.settings
    if (admitAfterMs !== null) seat.timers.after(admitAfterMs, () => this.admit(seat.name))
    if (denyAfterMs !== null) seat.timers.after(denyAfterMs, () => this.deny(seat.name))
    if (lobbyPromptAfterMs !== null) {
      seat.timers.after(lobbyPromptAfterMs, () => this.#showDialogTo(seat, 'lobby-still-there'))
    }
    seat.timers.after(knockTimeoutMs, () => {
      this.log.add('knock-expired', { name: seat.name, seat: seat.id })
      this.#exit(seat, 'no-response', 'no-response')
    })
  }

  #enter(seat: Seat, detail: Record<string, unknown> = { name: seat.name, seat: seat.id }): void {
    seat.timers.clear()
    seat.phase = 'call'
    seat.deviceId = this.#participants.newDeviceId()
    this.log.add('joined', detail)
    seat.send({ type: 'dialog-hide', kind: 'lobby-still-there' })
    seat.send({ type: 'screen', screen: 'call', deviceId: seat.deviceId, name: seat.name })
    this.#startCall()
    this.#openPeer(seat)
    this.#peopleChanged()
    const { removeAfterMs, freezeAfterMs, cutMediaAfterMs, dialogs } = this.settings
    if (removeAfterMs !== null) seat.timers.after(removeAfterMs, () => this.remove(seat.name))
    if (freezeAfterMs !== null) seat.timers.after(freezeAfterMs, () => this.freeze())
    if (cutMediaAfterMs !== null) seat.timers.after(cutMediaAfterMs, () => this.cutMedia())
    for (const { kind, afterMs } of dialogs) {
      seat.timers.after(afterMs, () => this.#showDialogTo(seat, kind))
    }
  }

  /** The first entry starts the scenario's clock. */
  #startCall(): void {
    if (this.#callStarted) return
    this.#callStarted = true
    if (this.settings.endAfterMs !== null) this.#timers.after(this.settings.endAfterMs, () => this.end())
    for (const person of this.settings.participants) {
      if (person.joinAfterMs !== undefined) this.#timers.after(person.joinAfterMs, () => this.join(person))
      if (person.leaveAfterMs !== undefined)
        this.#timers.after(person.leaveAfterMs, () => this.leave(person.name))
    }
  }

  #left(seat: Seat, button: string): void {
    if (seat.phase === 'lobby' || seat.phase === 'call') this.#exit(seat, button, 'left')
  }

  #answered(seat: Seat, kind: DialogKind, button: string): void {
    this.log.add('dialog-answered', { kind, button, seat: seat.id })
    if (kind === 'alone') {
      seat.timers.cancel('alone-leave')
      if (button === 'stay') this.#watchAlone()
      else this.#exit(seat, 'alone-leave-now', 'left')
    }
    const isNotice = ['recording', 'transcription', 'gemini', 'third-party-notes'].includes(kind)
    if (!isNotice || !seat.isPresent) return
    if (button !== 'joinNow') this.#exit(seat, `dialog-${button}`, 'left')
    else if (kind === 'third-party-notes') this.#openPeer(seat)
  }

  #exit(seat: Seat, how: string, end: EndKind): void {
    const wasInCall = seat.isPresent
    seat.timers.clear()
    seat.phase = 'ended'
    this.#media.closePeer(seat.id)
    this.log.add('left', { name: seat.name, seat: seat.id, how, from: wasInCall ? 'call' : 'lobby' })
    seat.send({ type: 'screen', screen: 'end', kind: end })
    if (wasInCall) this.#peopleChanged()
  }

  #disconnected(seat: Seat): void {
    const how = seat.saidBye ? 'page-closed' : 'connection-lost'
    const forget = () => {
      this.#seats.delete(seat)
      if (seat.phase === 'lobby' || seat.phase === 'call') this.#exit(seat, how, 'left')
    }
    this.log.add('page-gone', { seat: seat.id, how, phase: seat.phase })
    if (how === 'connection-lost' && seat.isPresent && this.settings.ghostMs > 0) {
      this.#timers.after(this.settings.ghostMs, forget)
    } else forget()
  }

  #openPeer(seat: Seat): void {
    this.#media.openPeer(seat.id, this.code, signal => seat.send({ type: 'signal', signal }))
  }

  #showDialogTo(seat: Seat, kind: DialogKind, extra: Record<string, unknown> = {}): void {
    if (kind === 'third-party-notes') this.#media.closePeer(seat.id)
    this.log.add('dialog-shown', { kind, seat: seat.id })
    seat.send({ type: 'dialog', kind, extra })
  }

  #watchAlone(): void {
    const alone = this.#people().length === 1
    for (const seat of this.#seatsIn('call')) {
      if (!alone) {
        seat.timers.cancel('alone')
        if (seat.timers.has('alone-leave')) seat.send({ type: 'dialog-hide', kind: 'alone' })
        seat.timers.cancel('alone-leave')
      } else if (!seat.timers.has('alone') && !seat.timers.has('alone-leave')) {
        seat.timers.after(this.settings.alonePromptAfterMs, () => this.#promptAlone(seat), 'alone')
      }
    }
  }

  #promptAlone(seat: Seat): void {
    const minutes = Math.max(1, Math.round(this.settings.aloneLeaveAfterMs / 60_000))
    this.#showDialogTo(seat, 'alone', { minutes })
    const leave = () => this.#exit(seat, 'alone', 'everyone-left')
    seat.timers.after(this.settings.aloneLeaveAfterMs, leave, 'alone-leave')
  }

  #peopleChanged(): void {
    const people = this.#people()
    const playing = this.#seatsIn('call').length > 0 ? this.#participants.present : []
    this.#media.setParticipants(this.code, playing)
    this.#broadcast({ type: 'people', people }, 'call')
    this.log.add('people', { names: people.map(person => person.name) })
    this.#watchAlone()
  }

  #people() {
    const seats = this.#seatsIn('call').map(seat => ({
      id: seat.deviceId,
      name: seat.name,
      muted: true,
      cameraOn: false,
      presenting: false,
      visitor: seat.account === null,
      audioStream: -1,
    }))
    return [...this.#participants.people(), ...seats]
  }

  #seatsIn(phase: Seat['phase'], name?: string): Seat[] {
    return [...this.#seats].filter(seat => seat.phase === phase && (name === undefined || seat.name === name))
  }

  #otherSeatsOf(seat: Seat): Seat[] {
    const email = seat.account?.email
    if (email === undefined) return []
    return this.#seatsIn('call').filter(other => other !== seat && other.account?.email === email)
  }

  #toast(kind: string, name: string): void {
    this.#broadcast({ type: 'toast', kind, name }, 'call')
  }

  #broadcast(message: { type: string; [detail: string]: unknown }, phase?: Seat['phase']): void {
    for (const seat of this.#seats) if (phase === undefined || seat.phase === phase) seat.send(message)
  }
}
