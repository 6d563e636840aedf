import type { World } from '../world.ts'
import { type CalendarEvent, touch } from './event.ts'
import { instantMs, localIn, localToMs } from './event-time.ts'
import { baseOf, exceptionsOf, instancesOf, settleExceptions } from './recurrence.ts'

/** Ends a series before one of its instances; exceptions from there on are cancelled with their instances. */
export function trimSeries(world: World, master: CalendarEvent, instance: CalendarEvent): void {
  shorten(world, master, instance)
  settleExceptions(world, master)
}

/**
 * What the calendar's pages do for "this and following events": the series ends the day before, and a second series
 * with an id of its own, `<series>_R<start>`, goes on from the instance, with the guests, the Meet link and all else of
 * the first. Exceptions from there on go over to it.
 */
export function splitSeries(world: World, master: CalendarEvent, instance: CalendarEvent): CalendarEvent {
  const originalMs = originalOf(world, instance)
  const { originalStartTime } = instance.resource
  const whole = originalStartTime?.date
  const stamp = whole
    ? whole.replaceAll('-', '')
    : new Date(originalMs).toISOString().replaceAll(/[-:]|\.\d+|Z/g, '')
  const id = `${baseOf(master.resource.id)}_R${stamp}`
  const rest = remaining(world, master, originalMs)
  const later = exceptionsOf(world, master).filter(event => originalOf(world, event) >= originalMs)
  const resource = structuredClone(master.resource)
  const { start, end } = unchanged(world, master, originalMs)
  const following: CalendarEvent = {
    organizer: master.organizer,
    revision: 0,
    resource: { ...resource, id, iCalUID: `${id}@google.com`, recurrence: rest, start, end },
  }
  world.state.events.set(`${master.organizer}/${id}`, following)
  touch(world, following)
  for (const exception of later) {
    exception.resource.recurringEventId = id
    exception.resource.iCalUID = following.resource.iCalUID
    touch(world, exception)
  }
  trimSeries(world, master, instance)
  return following
}

/** Start and end that the rule gives the instance, whatever was made of it since. */
function unchanged(world: World, master: CalendarEvent, originalMs: number) {
  const { start, end } = master.resource
  const zone = world.calendarTimeZone
  const byMs = originalMs - instantMs(start, zone)
  if (start.date !== undefined) {
    const day = (date: string | undefined) =>
      new Date(Date.parse(date ?? '') + Math.round(byMs / 86_400_000) * 86_400_000).toISOString().slice(0, 10)
    return { start: { date: day(start.date) }, end: { date: day(end.date) } }
  }
  const at = (time: typeof start) => ({
    ...time,
    dateTime: new Date(instantMs(time, zone) + byMs).toISOString(),
  })
  return { start: at(start), end: at(end) }
}

function originalOf(world: World, { resource }: CalendarEvent): number {
  return instantMs(resource.originalStartTime ?? resource.start, world.calendarTimeZone)
}

function shorten(world: World, master: CalendarEvent, instance: CalendarEvent): void {
  const { originalStartTime } = instance.resource
  const timeZone = master.resource.start.timeZone ?? world.calendarTimeZone
  const originalMs = originalOf(world, instance)
  const midnight = `${localIn(originalMs, timeZone).slice(0, 10)}T00:00:00`
  const until = originalStartTime?.date
    ? new Date(Date.parse(originalStartTime.date) - 1).toISOString().slice(0, 10).replaceAll('-', '')
    : new Date(localToMs(midnight, timeZone) - 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  master.resource.recurrence = (master.resource.recurrence ?? []).map(line =>
    line.startsWith('RRULE') ? `${line.replaceAll(/;(COUNT|UNTIL)=[^;]+/g, '')};UNTIL=${until}` : line,
  )
  master.resource.sequence++
  touch(world, master)
}

/** The lines of the second series: a COUNT is what the first one has left. */
function remaining(world: World, master: CalendarEvent, originalMs: number): string[] {
  const before = instancesOf(world, master, -8.64e15, 8.64e15).filter(
    event => originalOf(world, event) < originalMs,
  ).length
  return (master.resource.recurrence ?? []).map(line =>
    line.replace(
      /^(RRULE.*COUNT=)(\d+)/,
      (_all, head: string, count: string) => `${head}${Number(count) - before}`,
    ),
  )
}
