import { randomUUID } from 'node:crypto'
import type { WebSocket } from 'ws'
import type { Account } from './accounts.ts'
import type { DialogKind, EndKind } from './scenarios.ts'
import { Timers } from './timers.ts'

export type SeatPhase = 'pre-join' | 'lobby' | 'call' | 'ended'

/** What the page tells the server. */
export type PageMessage =
  | { type: 'join'; name: string; button: string; micMuted: boolean; cameraMuted: boolean }
  | { type: 'leave'; button: string }
  | { type: 'bye' }
  | { type: 'dialog-answer'; kind: DialogKind; button: string }
  | { type: 'signal'; signal: unknown }
  | { type: 'chat'; text: string }
  | { type: 'did'; what: string; detail: Record<string, unknown> }

/** What the server tells the page. */
export type PageText = { type: string; [detail: string]: unknown }

/** One open page of one visitor (a bot or a person), from pre-join to the end screen. */
export class Seat {
  readonly id = randomUUID()
  readonly timers = new Timers()
  readonly account: Account | null
  #socket: WebSocket
  phase: SeatPhase = 'pre-join'
  name: string
  deviceId = ''
  saidBye = false
  /** How its stay ended: a seat that only lost its connection may come back. */
  exitedHow: string | null = null
  endKind: EndKind | null = null

  constructor(socket: WebSocket, account: Account | null) {
    this.#socket = socket
    this.account = account
    this.name = account?.name ?? ''
  }

  /** The page came back over a new connection. */
  attach(socket: WebSocket): void {
    this.#socket = socket
    this.saidBye = false
  }

  isOn(socket: WebSocket): boolean {
    return this.#socket === socket
  }

  /** The connection breaks without a word on either side. */
  drop(): void {
    this.#socket.terminate()
  }

  /** Sends to the page; a page that is gone is told nothing (its leaving is handled where its socket closes). */
  send(message: PageText): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message))
  }
}
