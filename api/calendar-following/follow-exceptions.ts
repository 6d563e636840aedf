import { findInstance } from '../../db/find-followed.ts'
import { listDifferent } from '../../db/series.ts'
import type { CalendarEvent } from '../../google/calendar-event.ts'
import { followMeeting } from './follow-meeting.ts'
import type { FollowingDeps } from './following-deps.ts'

/** Follows instances that say something else than their series, and those that did when they were followed last. */
export async function followExceptions(
  deps: FollowingDeps,
  calendar: string,
  seriesId: string,
  instances: readonly CalendarEvent[],
  signal: AbortSignal,
): Promise<void> {
  const [usual] = mostCommon(instances)
  const different = await listDifferent(deps.db, seriesId)
  const own = new Set(different.map(({ originalStart }) => originalStart?.getTime()))
  for (const instance of instances) {
    const { originalStart, start } = instance
    if (instance.status === 'cancelled' || !originalStart) continue
    const isUsual = start?.getTime() === originalStart.getTime() && wordsOf(instance) === usual
    if (isUsual && !own.has(originalStart.getTime())) continue
    const { eventId } = instance
    const meeting = await findInstance(deps.db, calendar, seriesId, { eventId, originalStart })
    if (meeting) await followMeeting(deps, calendar, instance, meeting, signal)
  }
}

function wordsOf({ topic, description, attendees, start, end, conference }: CalendarEvent): string {
  const lengthMs = start && end ? end.getTime() - start.getTime() : 0
  const guests = attendees.map(({ email }) => email).sort()
  const code = conference.status === 'success' ? conference.meetingCode : null
  return JSON.stringify([topic, description, guests, lengthMs, code])
}

function mostCommon(instances: readonly CalendarEvent[]): string[] {
  const counts = Map.groupBy(
    instances.filter(({ status }) => status !== 'cancelled'),
    wordsOf,
  )
  return [...counts].sort((a, b) => b[1].length - a[1].length).map(([words]) => words)
}
