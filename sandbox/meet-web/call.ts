import type { EventLog } from './event-log.ts'
import type { MediaPlant } from './media-plant.ts'
import { Participants } from './participants.ts'
import type { DialogKind, EndKind, MeetingSettings, ParticipantSettings } from './scenarios.ts'
import type { PageText, Seat } from './seat.ts'
import { Timers } from './timers.ts'

/** Who is in one meeting's call, what plays, and the scenario's clock. */
export class Call {
  readonly code: string
  readonly settings: MeetingSettings
  readonly seats = new Set<Seat>()
  readonly timers = new Timers()
  readonly #log: EventLog
  readonly #media: MediaPlant
  readonly #participants: Participants
  #started = false

  constructor(code: string, settings: MeetingSettings, log: EventLog, media: MediaPlant) {
    this.code = code
    this.settings = settings
    this.#log = log
    this.#media = media
    this.#participants = new Participants(code, settings.participants)
  }

  /** A seat comes in: its page shows the call, media flows, the scenario's timers begin. */
  enter(seat: Seat, detail: Record<string, unknown> = { name: seat.name, seat: seat.id }): void {
    seat.timers.clear()
    seat.phase = 'call'
    seat.exitedHow = null
    seat.endKind = null
    seat.deviceId = this.#participants.newDeviceId()
    this.#log.add('joined', detail)
    seat.send({ type: 'dialog-hide', kind: 'lobby-still-there' })
    seat.send({ type: 'screen', screen: 'call', deviceId: seat.deviceId, name: seat.name })
    this.#start()
    this.openPeer(seat)
    this.peopleChanged()
    const { removeAfterMs, freezeAfterMs, cutMediaAfterMs, dialogs } = this.settings
    if (removeAfterMs !== null) seat.timers.after(removeAfterMs, () => this.remove(seat))
    if (freezeAfterMs !== null) seat.timers.after(freezeAfterMs, () => this.freeze(seat, oneHourMs))
    if (cutMediaAfterMs !== null) seat.timers.after(cutMediaAfterMs, () => this.cutMedia(seat))
    for (const { kind, afterMs } of dialogs) seat.timers.after(afterMs, () => this.showDialogTo(seat, kind))
  }

  /** A seat leaves the waiting room or the call; its page, if still there, shows that end screen. */
  exit(seat: Seat, how: string, end: EndKind): void {
    const wasInCall = seat.phase === 'call'
    seat.timers.clear()
    seat.phase = 'ended'
    // A page that lost its connection in the waiting room begins anew.
    const mayKnockAgain = !wasInCall && how === 'connection-lost'
    seat.exitedHow = mayKnockAgain ? null : how
    seat.endKind = mayKnockAgain ? null : end
    this.#media.closePeer(seat.id)
    this.#log.add('left', { name: seat.name, seat: seat.id, how, from: wasInCall ? 'call' : 'lobby' })
    seat.send({ type: 'screen', screen: 'end', kind: end })
    if (wasInCall) this.peopleChanged()
  }

  /** A page in the call came back over a new connection: it keeps its place and gets new media. */
  resume(seat: Seat): void {
    this.#log.add('resumed', { name: seat.name, seat: seat.id })
    seat.send({ type: 'resumed', deviceId: seat.deviceId, name: seat.name })
    this.openPeer(seat)
    this.peopleChanged()
  }

  remove(seat: Seat): void {
    this.#log.add('removed', { name: seat.name, seat: seat.id })
    this.exit(seat, 'removed', 'removed')
  }

  freeze(seat: Seat, durationMs: number): void {
    this.#log.add('frozen', { seat: seat.id, durationMs })
    seat.send({ type: 'freeze', durationMs })
  }

  cutMedia(seat: Seat): void {
    this.#log.add('media-cut', { seat: seat.id })
    this.#media.closePeer(seat.id)
  }

  openPeer(seat: Seat): void {
    this.#media.openPeer(seat.id, this.code, signal => seat.send({ type: 'signal', signal }))
  }

  signal(seat: Seat, signal: unknown): void {
    this.#media.signal(seat.id, signal)
  }

  /** The host ends it for everybody. */
  end(): void {
    this.#log.add('ended')
    this.timers.clear()
    this.#participants.clear()
    for (const phase of ['lobby', 'call'] as const) {
      for (const seat of this.seatsIn(phase)) this.exit(seat, 'host-ended', 'host-ended')
    }
    this.peopleChanged()
  }

  participantJoins(settings: ParticipantSettings): void {
    this.#participants.add(settings)
    this.#log.add('participant-joined', { name: settings.name })
    this.broadcast({ type: 'toast', kind: 'joined', name: settings.name }, 'call')
    this.peopleChanged()
  }

  participantsLeave(name?: string): void {
    for (const gone of this.#participants.remove(name)) {
      this.#log.add('participant-left', { name: gone.name })
      this.broadcast({ type: 'toast', kind: 'left', name: gone.name }, 'call')
    }
    this.peopleChanged()
  }

  participantChanges(name: string, change: Partial<ParticipantSettings>): void {
    this.#participants.change(name, change)
    this.#log.add('participant-changed', { ...change, name })
    this.peopleChanged()
  }

  showDialogTo(seat: Seat, kind: DialogKind, extra: Record<string, unknown> = {}): void {
    // Nothing is heard or seen before that notice is accepted (meet-web-facts.md §7).
    if (kind === 'third-party-notes') this.#media.closePeer(seat.id)
    this.#log.add('dialog-shown', { kind, seat: seat.id })
    seat.send({ type: 'dialog', kind, extra })
  }

  /** Everybody in the call as the pages show them: participants first, then seats. */
  people() {
    const seats = this.seatsIn('call').map(seat => ({
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

  seatsIn(phase: Seat['phase'], name?: string): Seat[] {
    return [...this.seats].filter(seat => seat.phase === phase && (name === undefined || seat.name === name))
  }

  /** Seats in the call that belong to the same account. */
  otherSeatsOf(seat: Seat): Seat[] {
    const email = seat.account?.email
    if (email === undefined) return []
    return this.seatsIn('call').filter(other => other !== seat && other.account?.email === email)
  }

  broadcast(message: PageText, phase?: Seat['phase']): void {
    for (const seat of this.seats) if (phase === undefined || seat.phase === phase) seat.send(message)
  }

  /** Tells pages and players who is there now. Participants play only while somebody can see them. */
  peopleChanged(): void {
    const people = this.people()
    const isWatched = this.seatsIn('call').length > 0
    this.#media.setParticipants(this.code, isWatched ? this.#participants.present : [])
    this.broadcast({ type: 'people', people }, 'call')
    this.#log.add('people', { names: people.map(person => person.name) })
    this.watchAlone()
  }

  /** Who is alone is asked after a while whether they are still there, and put out when they do not answer. */
  watchAlone(): void {
    const isAlone = this.people().length === 1
    for (const seat of this.seatsIn('call')) {
      if (!isAlone) {
        if (seat.timers.has('alone-leave')) seat.send({ type: 'dialog-hide', kind: 'alone' })
        seat.timers.cancel('alone')
        seat.timers.cancel('alone-leave')
      } else if (!seat.timers.has('alone') && !seat.timers.has('alone-leave')) {
        seat.timers.after(this.settings.alonePromptAfterMs, () => this.#promptAlone(seat), 'alone')
      }
    }
  }

  stop(): void {
    this.timers.clear()
    for (const seat of this.seats) {
      seat.timers.clear()
      this.#media.closePeer(seat.id)
    }
    this.#media.setParticipants(this.code, [])
  }

  #promptAlone(seat: Seat): void {
    const minutes = Math.max(1, Math.round(this.settings.aloneLeaveAfterMs / 60_000))
    this.showDialogTo(seat, 'alone', { minutes })
    const leave = () => this.exit(seat, 'alone', 'everyone-left')
    seat.timers.after(this.settings.aloneLeaveAfterMs, leave, 'alone-leave')
  }

  /** The first entry starts the scenario's clock. */
  #start(): void {
    if (this.#started) return
    this.#started = true
    const { endAfterMs, participants } = this.settings
    if (endAfterMs !== null) this.timers.after(endAfterMs, () => this.end())
    for (const person of participants) {
      const { name, joinAfterMs, leaveAfterMs } = person
      if (joinAfterMs !== undefined) this.timers.after(joinAfterMs, () => this.participantJoins(person))
      if (leaveAfterMs !== undefined) this.timers.after(leaveAfterMs, () => this.participantsLeave(name))
    }
  }
}

const oneHourMs = 3_600_000
