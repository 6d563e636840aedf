import { type EventBlock, eventBlocks } from './ics-blocks.ts'
import {
  type IcsCancellation,
  type IcsEvent,
  IcsEventRefused,
  type IcsReason,
  readEvent,
  uidIn,
} from './ics-event.ts'
import { isOccurrence, parseRecurrence, type Recurrence } from './recurrence.ts'
import { RecurrenceRefused } from './recurrence-rule.ts'

/** A meeting, or a series, that an ICS file asks for. */
export interface IcsWish extends Omit<IcsEvent, 'recurrence' | 'cancelled' | 'originalStart'> {
  recurrence: Recurrence | undefined
  /** Meetings of the series that the file says something else of. */
  changes: (Omit<IcsEvent, 'recurrence' | 'cancelled' | 'originalStart'> & { originalStart: Date })[]
}

export interface IcsRefusal {
  /** Place of the VEVENT in the file, from 0. */
  index: number
  uid: string | null
  reason: IcsReason
  message: string
}

export interface IcsImport {
  wishes: IcsWish[]
  /** One meeting of a series which is not in this file. */
  changes: IcsWish['changes']
  /** Meetings that the file takes back: a whole series, or with `originalStart` one of its meetings. */
  cancellations: IcsCancellation[]
  refused: IcsRefusal[]
}

const METHODS = ['PUBLISH', 'REQUEST', 'ADD', 'CANCEL']

/**
 * Reads an ICS file as wished meetings. What cannot be is refused event by event, with a reason; the others are read.
 * @param file bytes or text, at most 1 MiB and 500 events
 * @throws {IcsRefused} for a file that cannot be read at all
 */
export function readIcs(file: Uint8Array | string): IcsImport {
  const found: IcsImport = { wishes: [], changes: [], cancellations: [], refused: [] }
  const places = new Map<object, { index: number; block: EventBlock }>()
  const refusing = (at: { index: number; block: EventBlock }, work: () => void) => {
    try {
      work()
    } catch (error) {
      found.refused.push({ index: at.index, uid: uidIn(at.block), ...reasonOf(error) })
    }
  }
  const masters = new Map<string, IcsEvent>()
  const instances: (IcsEvent & { originalStart: Date })[] = []
  for (const [index, block] of eventBlocks(file).entries())
    refusing({ index, block }, () => {
      const event = readBlock(block)
      if ('cancellation' in event) {
        found.cancellations.push(event.cancellation)
        return
      }
      places.set(event, { index, block })
      const { originalStart } = event
      if (originalStart) instances.push(Object.assign(event, { originalStart }))
      else if (masters.has(event.uid))
        throw new IcsEventRefused('twice', 'The file holds another event with this UID.')
      else masters.set(event.uid, event)
    })
  for (const master of masters.values()) {
    const place = places.get(master)
    if (place) refusing(place, () => found.wishes.push(wishOf(master, found.cancellations)))
  }
  const wishes = new Map(found.wishes.map(wish => [wish.uid, wish]))
  for (const instance of instances) {
    const place = places.get(instance)
    if (place) refusing(place, () => placeChange(instance, wishes.get(instance.uid), masters, found))
  }
  // What a series of this file leaves out is no news to anybody else.
  found.cancellations = found.cancellations.filter(
    ({ uid, originalStart }) => !(originalStart && wishes.has(uid)),
  )
  found.refused.sort((a, b) => a.index - b.index)
  return found
}

function readBlock(block: EventBlock): ReturnType<typeof readEvent> {
  if (!METHODS.includes(block.method))
    throw new IcsEventRefused(
      'unsupported_method',
      `METHOD:${block.method.slice(0, 30)} asks for no meeting. Send PUBLISH, REQUEST or CANCEL.`,
    )
  return readEvent(block)
}

/** The series without the meetings that the file itself cancels. */
function wishOf(event: IcsEvent, cancellations: readonly IcsCancellation[]): IcsWish {
  const { recurrence: lines, cancelled: _, originalStart: __, ...fields } = event
  if (lines.length === 0) return { ...fields, recurrence: undefined, changes: [] }
  const { start, timeZone } = event
  const left = cancellations
    .filter(one => one.uid === event.uid && one.originalStart)
    .map(({ originalStart }) => `EXDATE:${utc(originalStart)}`)
  const recurrence = parseRecurrence(
    [...lines, ...left],
    { start, timeZone },
    // Files keep exceptions of rules they had before.
    { strayExceptions: 'drop' },
  )
  return { ...fields, recurrence, changes: [] }
}

function placeChange(
  instance: IcsEvent & { originalStart: Date },
  series: IcsWish | undefined,
  masters: ReadonlyMap<string, IcsEvent>,
  found: IcsImport,
): void {
  const { recurrence, cancelled: _, ...change } = instance
  if (recurrence.length > 0)
    throw new IcsEventRefused('bad_recurrence', 'One meeting of a series has no recurrence of its own.')
  if (!series && masters.has(instance.uid))
    throw new IcsEventRefused('bad_recurrence', 'The series of this meeting is refused, and it with it.')
  if (!series) found.changes.push(change)
  else if (series.recurrence && isOccurrence(series.recurrence, change.originalStart))
    series.changes.push(change)
  else
    throw new IcsEventRefused(
      'bad_recurrence',
      `The series has no meeting at its RECURRENCE-ID ${change.originalStart.toISOString()}.`,
    )
}

function reasonOf(error: unknown): Pick<IcsRefusal, 'reason' | 'message'> {
  if (error instanceof IcsEventRefused) return { reason: error.reason, message: error.message }
  if (error instanceof RecurrenceRefused) return { reason: 'bad_recurrence', message: error.message }
  throw error
}

function utc(at: Date | undefined): string {
  return (at ?? new Date(0)).toISOString().replace(/[-:]|\.\d{3}/g, '')
}
