import type { WebSocket } from 'ws'
import type { Account } from './accounts.ts'
import { Call } from './call.ts'
import { Door } from './door.ts'
import { EventLog, type EventMatch, type MeetingEvent } from './event-log.ts'
import type { MediaPlant } from './media-plant.ts'
import type { DialogKind, MeetingSettings, ParticipantSettings } from './scenarios.ts'
import { Timers } from './timers.ts'

/** One simulated meeting, from the outside: what can be done to it and what happened in it. */
export class Meeting {
  readonly code: string
  readonly settings: MeetingSettings
  readonly log = new EventLog()
  readonly #call: Call
  readonly #door: Door
  readonly #network = new Timers()

  constructor(code: string, settings: MeetingSettings, media: MediaPlant) {
    this.code = code
    this.settings = settings
    this.#call = new Call(code, settings, this.log, media)
    this.#door = new Door(this.#call, this.log)
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
    return this.#call.people().map(person => person.name)
  }

  /** All of it as JSON: settings, people, pages and events. */
  state() {
    return {
      code: this.code,
      url: this.url,
      settings: this.settings,
      people: this.#call.people(),
      seats: [...this.#call.seats].map(({ id, name, phase, account }) => ({ id, name, phase, account })),
      events: this.events,
    }
  }

  /** Signed-in visitors with that address may join without knocking from now on. */
  invite(email: string): void {
    this.settings.invited.push(email)
  }

  /** Lets everybody in who is knocking, or only those of that name. */
  admit(name?: string): void {
    for (const seat of this.#call.seatsIn('lobby', name)) this.#door.admit(seat)
  }

  /** Refuses everybody who is knocking, or only those of that name. */
  deny(name?: string): void {
    for (const seat of this.#call.seatsIn('lobby', name)) this.#door.deny(seat)
  }

  /** Removes all seats from the call; with a name, that seat or that participant. */
  remove(name?: string): void {
    for (const seat of this.#call.seatsIn('call', name)) this.#call.remove(seat)
    if (name !== undefined) this.leave(name)
  }

  /** The host ends the call for everybody. */
  end(): void {
    this.#call.end()
  }

  /** Meet puts out everybody who is alone in the call, as after an unanswered prompt. */
  emptyCall(): void {
    for (const seat of this.#call.seatsIn('call')) this.#call.exit(seat, 'alone', 'everyone-left')
  }

  /** A simulated participant comes in. */
  join(participant: string | ParticipantSettings): void {
    this.#call.participantJoins(typeof participant === 'string' ? { name: participant } : participant)
  }

  /** The simulated participants of that name leave; all of them without a name. */
  leave(name?: string): void {
    this.#call.participantsLeave(name)
  }

  /** Changes a participant's microphone, camera or presentation during the call. */
  change(name: string, change: Partial<ParticipantSettings>): void {
    this.#call.participantChanges(name, change)
  }

  /** Opens a dialog on every page that has not ended; `extra` goes into its text (`minutes`). */
  showDialog(kind: DialogKind, extra: Record<string, unknown> = {}): void {
    for (const seat of this.#call.seats)
      if (seat.phase !== 'ended') this.#call.showDialogTo(seat, kind, extra)
  }

  /** Closes that dialog, or all, on every page. */
  hideDialog(kind?: DialogKind): void {
    this.log.add('dialog-hidden', { kind: kind ?? 'all' })
    this.#call.broadcast({ type: 'dialog-hide', kind: kind ?? null })
  }

  /** A toast of a known kind ("joined", "left", "hand", "chat", "external"), or with any other text. */
  toast(kind: string, name = ''): void {
    this.#call.broadcast({ type: 'toast', kind, name }, 'call')
  }

  /** Somebody says something: pages with captions on show it. */
  caption(name: string, text: string): void {
    this.#call.broadcast({ type: 'caption', name, text }, 'call')
  }

  /** A chat message of a participant. */
  chat(name: string, text: string): void {
    this.#call.broadcast({ type: 'chat', name, text }, 'call')
  }

  /** Every page stops responding (a busy loop) for `durationMs`. */
  freeze(durationMs = 3_600_000): void {
    for (const seat of this.#call.seats) this.#call.freeze(seat, durationMs)
  }

  /** Every page takes memory until its renderer may not have more. Limit it (`--js-flags=--max-old-space-size`). */
  exhaustMemory(): void {
    this.log.add('memory-exhausted')
    this.#call.broadcast({ type: 'exhaust-memory' })
  }

  /** The media path goes dead without a word, the page stays. `restoreMedia` brings it back. */
  cutMedia(): void {
    for (const seat of this.#call.seatsIn('call')) this.#call.cutMedia(seat)
  }

  restoreMedia(): void {
    this.log.add('media-restored')
    for (const seat of this.#call.seatsIn('call')) this.#call.openPeer(seat)
  }

  /** Nothing of this meeting gets through to its pages, nor from them. */
  get networkIsCut(): boolean {
    return this.#door.networkIsCut
  }

  /**
   * Cuts the network between this meeting and its visitors: open connections are destroyed, new ones refused, media
   * stops. `restoreNetwork` or `forMs` ends it. Their seats stay for `cutOffSeatMs`, as nobody says goodbye.
   */
  cutNetwork(forMs?: number): void {
    this.log.add('network-cut', { forMs: forMs ?? null })
    this.#door.networkIsCut = true
    for (const seat of this.#call.seats) {
      if (seat.phase === 'call') this.#call.cutMedia(seat)
      seat.drop()
    }
    this.#network.cancel('restore')
    if (forMs !== undefined) this.#network.after(forMs, () => this.restoreNetwork(), 'restore')
  }

  /** The pages may come back, and do so by themselves. */
  restoreNetwork(): void {
    if (!this.networkIsCut) return
    this.#network.cancel('restore')
    this.#door.networkIsCut = false
    this.log.add('network-restored')
  }

  /** Every page reloads itself. */
  reload(): void {
    this.log.add('reloaded')
    this.#call.broadcast({ type: 'reload' })
  }

  /** A page opened this meeting. */
  connect(socket: WebSocket, account: Account | null, hl: string, seatId: string | null = null): void {
    this.#door.connect(socket, account, hl, seatId)
  }

  /** Something went wrong with the media of all meetings, such as the death of the participants' browser. */
  mediaFault(message: string): void {
    this.log.add('media-fault', { message })
  }

  /** Stops all timers and media; its pages stay where they are. */
  stop(): void {
    this.#network.clear()
    this.#call.stop()
  }
}
