import type { World } from '../world.ts'
import { type CalendarEvent, findEvent, touch } from './event.ts'
import { formatInZone, instantMs, localIn } from './event-time.ts'
import { type Occurrence, occurrencesOf, type Series } from './recurrence-rule.ts'

/** More than Calendar itself expands of a series without end. */
const mostInstances = 730
const splitMark = /_R\d{8}(T\d{6})?$/

/** The instances of a series that overlap `[fromMs, toMs)`, exceptions where they are now, in order of time. */
export function instancesOf(
  world: World,
  master: CalendarEvent,
  fromMs: number,
  toMs: number,
): CalendarEvent[] {
  const lengthMs = lengthOf(world, master)
  const exceptions = exceptionsOf(world, master)
  const moved = new Set(exceptions.map(exception => exception.resource.id))
  const regular = occurrencesOf(seriesOf(world, master), fromMs - lengthMs + 1, toMs, mostInstances)
    .map(occurrence => instanceAt(world, master, occurrence, lengthMs))
    .filter(instance => !moved.has(instance.resource.id))
  const startMs = (event: CalendarEvent) => instantMs(event.resource.start, world.calendarTimeZone)
  const there = exceptions.filter(
    event => startMs(event) < toMs && instantMs(event.resource.end, world.calendarTimeZone) > fromMs,
  )
  return [...regular, ...there].sort((a, b) => startMs(a) - startMs(b))
}

/** The stored exceptions of a series, the cancelled ones too. */
export function exceptionsOf(world: World, master: CalendarEvent): CalendarEvent[] {
  return [...world.state.events.values()].filter(
    event => event.organizer === master.organizer && event.resource.recurringEventId === master.resource.id,
  )
}

/**
 * The event behind an instance id `<series>_<UTC start>`, made up on the spot: written to, it becomes an exception
 * with a place of its own in the state. A series that was split off shares the first part of its id with the series it
 * came from.
 */
export function instanceById(world: World, calendar: string, id: string): CalendarEvent | undefined {
  const [, base = '', stamp = ''] = /^(.+)_(\d{8}(?:T\d{6}Z)?)$/.exec(id) ?? []
  if (!base) return undefined
  for (const { resource } of world.state.events.values()) {
    if (!resource.recurrence || baseOf(resource.id) !== base || resource.status === 'cancelled') continue
    const master = findEvent(world, calendar, resource.id)
    const instance = master && instanceStamped(world, master, stamp)
    if (instance) return instance
  }
  return undefined
}

/** Whether a series still has a start at that time. */
function hasInstance(world: World, master: CalendarEvent, id: string): boolean {
  const [, stamp = ''] = /_(\d{8}(?:T\d{6}Z)?)$/.exec(id) ?? []
  return instanceStamped(world, master, stamp) !== undefined
}

/**
 * After a change of a series: exceptions whose time it no longer has are cancelled, as nothing is left that they could
 * be exceptions from. With the series itself all of them go.
 */
export function settleExceptions(world: World, master: CalendarEvent): void {
  for (const exception of exceptionsOf(world, master)) {
    const { resource } = exception
    const alive = master.resource.status !== 'cancelled' && hasInstance(world, master, resource.id)
    if (alive || resource.status === 'cancelled') continue
    resource.status = 'cancelled'
    touch(world, exception)
  }
}

/** The part of an id that instances are named by: that of the first series, also after it was split. */
export function baseOf(id: string): string {
  return id.replace(splitMark, '')
}

/** The text by which an instance is named: `20261207T140000Z`, or `20261207` for whole days. */
function stampOf(occurrence: Occurrence): string {
  return occurrence.local.length > 10
    ? new Date(occurrence.startMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    : occurrence.local.replaceAll('-', '')
}

function instanceStamped(world: World, master: CalendarEvent, stamp: string): CalendarEvent | undefined {
  const text = stamp.replace(/^(....)(..)(..)/, '$1-$2-$3').replace(/T(..)(..)(..)Z$/, 'T$1:$2:$3Z')
  if (Number.isNaN(Date.parse(text))) return undefined
  const startMs = instantMs(
    text.length > 10 ? { dateTime: text } : { date: text },
    seriesOf(world, master).timeZone,
  )
  const [occurrence] = occurrencesOf(seriesOf(world, master), startMs, startMs + 1, 1)
  if (!occurrence || stampOf(occurrence) !== stamp) return undefined
  return instanceAt(world, master, occurrence, lengthOf(world, master))
}

function instanceAt(
  world: World,
  master: CalendarEvent,
  occurrence: Occurrence,
  lengthMs: number,
): CalendarEvent {
  const { recurrence: _recurrence, ...resource } = structuredClone(master.resource)
  const { start } = master.resource
  const timeZone = start.timeZone ?? world.calendarTimeZone
  const whole = start.dateTime === undefined
  const at = (ms: number) =>
    whole
      ? { date: localIn(ms, world.calendarTimeZone).slice(0, 10) }
      : { dateTime: formatInZone(ms, world.calendarTimeZone), timeZone }
  // Days are counted as days: one of them may have 23 or 25 hours.
  const end = whole
    ? { date: new Date(Date.parse(occurrence.local) + daysOf(master)).toISOString().slice(0, 10) }
    : at(occurrence.startMs + lengthMs)
  return {
    organizer: master.organizer,
    revision: master.revision,
    resource: {
      ...resource,
      id: `${baseOf(master.resource.id)}_${stampOf(occurrence)}`,
      recurringEventId: master.resource.id,
      originalStartTime: at(occurrence.startMs),
      start: at(occurrence.startMs),
      end,
    },
  }
}

function seriesOf(world: World, master: CalendarEvent): Series {
  const { start, recurrence } = master.resource
  const lines = recurrence ?? []
  if (start.date !== undefined) return { lines, first: start.date, timeZone: world.calendarTimeZone }
  const timeZone = start.timeZone ?? world.calendarTimeZone
  return { lines, first: localIn(instantMs(start, world.calendarTimeZone), timeZone), timeZone }
}

function lengthOf(world: World, { resource }: CalendarEvent): number {
  return instantMs(resource.end, world.calendarTimeZone) - instantMs(resource.start, world.calendarTimeZone)
}

function daysOf({ resource }: CalendarEvent): number {
  return Date.parse(resource.end.date ?? '') - Date.parse(resource.start.date ?? '')
}
