import { randomBytes } from 'node:crypto'
import type { ParticipantSettings } from './scenarios.ts'

/** A simulated person who is in the call. `index` (from 1) chooses picture and pitch. */
export type Participant = ParticipantSettings & { id: string; index: number; audioStream: number }

/** Meet hands out exactly three virtual audio streams, whatever the number of people (meet-web-facts.md §9). */
const audioStreamCount = 3
/** The test pattern knows the numbers 1 to 15. */
const patternCount = 15

/** The simulated people of one meeting and the device ids of its space. */
export class Participants {
  readonly #space: string
  readonly #present: Participant[] = []
  #devices = 0
  #added = 0

  constructor(code: string, settings: ParticipantSettings[]) {
    this.#space = `spaces/${code.replaceAll('-', '')}${randomBytes(3).toString('hex')}`
    for (const person of settings) if (person.joinAfterMs === undefined) this.add(person)
  }

  get present(): readonly Participant[] {
    return this.#present
  }

  newDeviceId(): string {
    this.#devices += 1
    return `${this.#space}/devices/${this.#devices}`
  }

  add(person: ParticipantSettings): void {
    const index = (this.#added % patternCount) + 1
    const audioStream = this.#added % audioStreamCount
    this.#added += 1
    this.#present.push({ ...person, id: this.newDeviceId(), index, audioStream })
  }

  /** Takes out the people of that name (everybody without one) and returns them. */
  remove(name?: string): Participant[] {
    const gone = this.#present.filter(person => name === undefined || person.name === name)
    for (const person of gone) this.#present.splice(this.#present.indexOf(person), 1)
    return gone
  }

  change(name: string, change: Partial<ParticipantSettings>): void {
    for (const person of this.#present) if (person.name === name) Object.assign(person, change)
  }

  clear(): void {
    this.#present.length = 0
  }

  /** As the page shows them. */
  people() {
    return this.#present.map(person => ({
      id: person.id,
      name: person.name,
      muted: person.muted ?? false,
      cameraOn: !(person.cameraOff ?? false),
      presenting: person.presenting ?? false,
      visitor: false,
      audioStream: person.audioStream,
    }))
  }
}
