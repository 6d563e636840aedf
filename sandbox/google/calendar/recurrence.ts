import { GoogleError } from '../errors.ts'
import type { World } from '../world.ts'
import { type CalendarEvent, findEvent, touch } from './event.ts'
import { formatInZone, instantMs, localToMs } from './event-time.ts'

const dayMs = 86_400_000
const weekDays = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA']
/** More than Calendar itself expands. */
const mostInstances = 730

/** Refuses recurrence lines that RFC 5545 or Calendar do not allow, with 400 `invalid` (google-apis.md §1.5). */
export function checkRecurrence(lines: string[] | undefined): void {
  for (const line of lines ?? []) {
    const fine =
      /^(RRULE|EXRULE|RDATE|EXDATE)[;:]/.test(line) && (!line.startsWith('RRULE') || /FREQ=/.test(line))
    if (!fine) throw new GoogleError(400, 'Invalid recurrence rule.', { reason: 'invalid' })
  }
}

/**
 * The instances of a series that overlap `[fromMs, toMs)`, exceptions included, in order of time. Understood: daily
 * and weekly rules with INTERVAL, COUNT, UNTIL, BYDAY; anything else is 501, as the sandbox does not expand it.
 */
export function instancesOf(
  world: World,
  master: CalendarEvent,
  fromMs: number,
  toMs: number,
): CalendarEvent[] {
  const lengthMs =
    instantMs(master.resource.end, world.calendarTimeZone) -
    instantMs(master.resource.start, world.calendarTimeZone)
  return startsOf(world, master)
    .filter(startMs => startMs < toMs && startMs + lengthMs > fromMs)
    .map(startMs => instanceAt(world, master, startMs, lengthMs))
}

/**
 * The event behind an instance id `<series>_<UTC start>`. For writing it becomes an exception with a place of its own
 * in the state; for reading it is made up on the spot.
 */
export function instanceException(
  world: World,
  calendar: string,
  id: string,
  purpose: 'read' | 'write',
): CalendarEvent | undefined {
  const [, masterId = '', stamp = ''] = /^(.+)_(\d{8}T\d{6}Z)$/.exec(id) ?? []
  const master = masterId ? findEvent(world, calendar, masterId) : undefined
  if (!master?.resource.recurrence || master.resource.status === 'cancelled') return undefined
  const startMs = Date.parse(stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const instance = instancesOf(world, master, startMs, startMs + 1).find(event => event.resource.id === id)
  if (instance && purpose === 'write') {
    touch(world, instance)
    world.state.events.set(`${instance.organizer}/${id}`, instance)
  }
  return instance
}

function instanceAt(world: World, master: CalendarEvent, startMs: number, lengthMs: number): CalendarEvent {
  const stamp = new Date(startMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const id = `${master.resource.id}_${stamp}`
  const exception = world.state.events.get(`${master.organizer}/${id}`)
  if (exception) return exception
  const { recurrence: _recurrence, ...resource } = structuredClone(master.resource)
  const timeZone = master.resource.start.timeZone ?? world.calendarTimeZone
  const at = (ms: number) => ({ dateTime: formatInZone(ms, world.calendarTimeZone), timeZone })
  return {
    organizer: master.organizer,
    revision: master.revision,
    resource: {
      ...resource,
      id,
      recurringEventId: master.resource.id,
      originalStartTime: at(startMs),
      start: at(startMs),
      end: at(startMs + lengthMs),
    },
  }
}

function startsOf(world: World, master: CalendarEvent): number[] {
  const rule = readRule(master.resource.recurrence ?? [])
  const timeZone = master.resource.start.timeZone ?? world.calendarTimeZone
  const firstMs = instantMs(master.resource.start, world.calendarTimeZone)
  // Counting goes by the clock on the wall, so that a change of the clocks does not move the meeting.
  const first = new Date(`${formatInZone(firstMs, timeZone).slice(0, 19)}Z`)
  const days = rule.byDay ?? [first.getUTCDay()]
  const weekStart = first.getTime() - ((first.getUTCDay() + 6) % 7) * dayMs
  const starts: number[] = []
  for (let day = 0; starts.length < rule.count && day < mostInstances * 7 * rule.interval; day++) {
    const local = new Date(first.getTime() + day * dayMs)
    const week = Math.floor((local.getTime() - weekStart) / (7 * dayMs))
    const fits =
      rule.frequency === 'DAILY'
        ? day % rule.interval === 0
        : week % rule.interval === 0 && days.includes(local.getUTCDay())
    if (!fits) continue
    const startMs = localToMs(local.toISOString().slice(0, 19), timeZone)
    if (startMs > rule.untilMs) break
    starts.push(startMs)
  }
  return starts
}

function readRule(lines: string[]) {
  const parts = new Map(
    lines[0]
      ?.replace(/^RRULE:/, '')
      .split(';')
      .map(part => part.split('=') as [string, string]) ?? [],
  )
  const frequency = parts.get('FREQ')
  const known = ['FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'BYDAY', 'WKST']
  const understood = lines.length === 1 && [...parts.keys()].every(name => known.includes(name))
  if (!understood || (frequency !== 'DAILY' && frequency !== 'WEEKLY'))
    throw new GoogleError(501, `The sandbox does not expand ${lines.join(' ')}: use a daily or weekly RRULE`)
  const until = parts
    .get('UNTIL')
    ?.replace(/^(....)(..)(..)(?:T(..)(..)(..)Z)?$/, (_all, y, m, d, h, min, s) =>
      h === undefined ? `${y}-${m}-${d}T23:59:59Z` : `${y}-${m}-${d}T${h}:${min}:${s}Z`,
    )
  return {
    frequency,
    interval: Number(parts.get('INTERVAL') ?? 1),
    count: Math.min(Number(parts.get('COUNT') ?? mostInstances), mostInstances),
    untilMs: until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until),
    byDay: parts
      .get('BYDAY')
      ?.split(',')
      .map(day => weekDays.indexOf(day)),
  }
}
