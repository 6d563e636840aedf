import type { WebSocket } from 'ws'
import type { Account } from './accounts.ts'
import type { Call } from './call.ts'
import type { EventLog } from './event-log.ts'
import { pageModel } from './page-model.ts'
import type { DialogKind } from './scenarios.ts'
import { type PageMessage, Seat } from './seat.ts'

/** Pages coming and going: opening, asking to join, waiting, answering dialogs, vanishing. */
export class Door {
  readonly #call: Call
  readonly #log: EventLog
  /** Every seat there ever was, for pages that come back. */
  readonly #known = new Map<string, Seat>()
  /** While true, pages vanish because the network is cut. */
  networkIsCut = false

  constructor(call: Call, log: EventLog) {
    this.#call = call
    this.#log = log
  }

  /** A page opened this meeting. */
  connect(socket: WebSocket, account: Account | null, hl: string, seatId: string | null = null): void {
    const known = this.#known.get(seatId ?? '')
    if (known && this.#comesBack(known, socket)) return
    const seat = new Seat(socket, account)
    const { settings, code } = this.#call
    this.#known.set(seat.id, seat)
    this.#call.seats.add(seat)
    this.#log.add('page-opened', { seat: seat.id, account: account?.email ?? null, hl })
    this.#listen(seat, socket)
    seat.send({ type: 'seat', id: seat.id })
    const sameAccount = this.#call.otherSeatsOf(seat).length > 0
    seat.send({ type: 'hello', model: pageModel(code, settings, account, sameAccount) })
    if (settings.opensWith === 'not-found' || settings.opensWith === 'cannot-join') return
    if (settings.permissionModal) this.#call.showDialogTo(seat, 'permission')
    if (settings.signInPromo && account === null) this.#call.showDialogTo(seat, 'sign-in-promo')
    if (settings.gotItPopup) this.#call.showDialogTo(seat, 'others-see-differently')
  }

  /** False when the page was not in the call: it begins anew at the door. */
  #comesBack(seat: Seat, socket: WebSocket): boolean {
    const inCall = seat.phase === 'call'
    const lostItsPlace = seat.exitedHow === 'connection-lost'
    if (!inCall && seat.endKind === null) return false
    seat.attach(socket)
    this.#listen(seat, socket)
    this.#log.add('page-back', { seat: seat.id, phase: seat.phase })
    if (inCall) {
      this.#call.timers.cancel(`ghost ${seat.id}`)
      this.#call.resume(seat)
    } else if (lostItsPlace) {
      this.#call.seats.add(seat)
      this.#call.enter(seat)
    } else seat.send({ type: 'screen', screen: 'end', kind: seat.endKind })
    return true
  }

  #listen(seat: Seat, socket: WebSocket): void {
    socket.on('message', data => this.#receive(seat, JSON.parse(String(data)) as PageMessage))
    socket.on('close', () => seat.isOn(socket) && this.#disconnected(seat))
    socket.on('error', error => this.#log.add('socket-error', { seat: seat.id, message: error.message }))
  }

  admit(seat: Seat): void {
    this.#log.add('admitted', { name: seat.name, seat: seat.id })
    this.#call.enter(seat)
  }

  deny(seat: Seat): void {
    this.#log.add('denied', { name: seat.name, seat: seat.id })
    this.#call.exit(seat, 'denied', 'denied')
  }

  #receive(seat: Seat, message: PageMessage): void {
    if (message.type === 'signal') this.#call.signal(seat, message.signal)
    else if (message.type === 'join') this.#askedToJoin(seat, message)
    else if (message.type === 'leave') this.#left(seat, message.button)
    else if (message.type === 'dialog-answer') this.#answered(seat, message.kind, message.button)
    else if (message.type === 'bye') seat.saidBye = true
    else if (message.type === 'chat') this.#log.add('chat-sent', { seat: seat.id, text: message.text })
    else if (message.type === 'did') this.#log.add(message.what, { ...message.detail, seat: seat.id })
  }

  #askedToJoin(seat: Seat, message: Extract<PageMessage, { type: 'join' }>): void {
    if (seat.phase !== 'pre-join') return
    if (seat.account === null) seat.name = message.name
    const { button, micMuted, cameraMuted } = message
    const detail = { name: seat.name, seat: seat.id, button, micMuted, cameraMuted }
    if (button === 'switchHere') {
      for (const other of this.#call.otherSeatsOf(seat)) this.#call.exit(other, 'switched', 'switched')
    }
    if (button === 'askToJoin') this.#wait(seat, detail)
    else this.#call.enter(seat, detail)
  }

  #wait(seat: Seat, detail: Record<string, unknown>): void {
    seat.phase = 'lobby'
    this.#log.add('knock', detail)
    seat.send({ type: 'screen', screen: 'lobby' })
    const { admitAfterMs, denyAfterMs, lobbyPromptAfterMs, knockTimeoutMs } = this.#call.settings
    if (admitAfterMs !== null) seat.timers.after(admitAfterMs, () => this.admit(seat))
    if (denyAfterMs !== null) seat.timers.after(denyAfterMs, () => this.deny(seat))
    if (lobbyPromptAfterMs !== null) {
      seat.timers.after(lobbyPromptAfterMs, () => this.#call.showDialogTo(seat, 'lobby-still-there'))
    }
    seat.timers.after(knockTimeoutMs, () => {
      this.#log.add('knock-expired', { name: seat.name, seat: seat.id })
      this.#call.exit(seat, 'no-response', 'no-response')
    })
  }

  #left(seat: Seat, button: string): void {
    if (seat.phase !== 'lobby' && seat.phase !== 'call') return
    if (button === 'end-for-everyone') this.#call.end()
    else this.#call.exit(seat, button, button === 'banner-hidden' ? 'removed' : 'left')
  }

  #answered(seat: Seat, kind: DialogKind, button: string): void {
    this.#log.add('dialog-answered', { kind, button, seat: seat.id })
    if (seat.phase !== 'call') return
    if (kind === 'alone') {
      seat.timers.cancel('alone-leave')
      if (button === 'stay') this.#call.watchAlone()
      else this.#call.exit(seat, 'alone-leave-now', 'left')
    }
    if (!['recording', 'transcription', 'gemini', 'third-party-notes'].includes(kind)) return
    if (button !== 'joinNow') this.#call.exit(seat, `dialog-${button}`, 'left')
    else if (kind === 'third-party-notes') this.#call.openPeer(seat)
  }

  /** A page that goes away says so; one whose browser dies does not, and may stay a while as a ghost. */
  #disconnected(seat: Seat): void {
    const how = seat.saidBye ? 'page-closed' : 'connection-lost'
    const { ghostMs, cutOffSeatMs } = this.#call.settings
    const staysMs = this.networkIsCut ? Math.max(ghostMs, cutOffSeatMs) : ghostMs
    const forget = () => {
      this.#call.seats.delete(seat)
      if (seat.phase === 'lobby' || seat.phase === 'call') this.#call.exit(seat, how, 'left')
      seat.timers.clear()
    }
    this.#log.add('page-gone', { seat: seat.id, how, phase: seat.phase })
    if (how === 'connection-lost' && seat.phase === 'call' && staysMs > 0)
      this.#call.timers.after(staysMs, forget, `ghost ${seat.id}`)
    else forget()
  }
}
