import { randomBytes, randomUUID } from 'node:crypto'
import {
  addChannel,
  type CalendarChannel,
  type FollowedCalendar,
  findFollowed,
  findSpaceOf,
  hasUpcoming,
  listChannels,
  listHosts,
  noteChannelOpened,
  noteUpkeep,
  removeChannel,
  unfollow,
} from '../../db/followed-calendars.ts'
import { channelTokenHash } from '../../google/calendar-push.ts'
import { GoogleFault, isFault } from '../../google/fault.ts'
import type { EventSubscription, MeetEventKind } from '../../google/workspace-events.ts'
import { CALENDAR_HOOK, type FollowingDeps } from './following-deps.ts'

const RENEW_BEFORE_MS = 86_400_000
const LOOK_EVERY_MS = 3_600_000
const FIRST_RETRY_MS = 30_000
/** What a person has to change first is tried again this rarely. */
const REFUSED_RETRY_MS = 900_000
const KINDS: readonly MeetEventKind[] = [
  'conference.v2.started',
  'conference.v2.ended',
  'participant.v2.joined',
  'participant.v2.left',
]

/** Every calendar that has to be followed now. */
export async function wantedCalendars({ db, settings }: FollowingDeps): Promise<Set<string>> {
  return new Set([settings.organizer, ...settings.captureCalendars, ...(await listHosts(db))])
}

/**
 * The job `keep-calendar`: sees to it that a calendar has a push channel that does not end soon, and no other one, and
 * that Workspace Events tells what happens in its owner's calls. A calendar that nobody needs any more loses both.
 */
export async function keepCalendar(
  deps: FollowingDeps,
  calendar: string,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, log } = deps
  const row = await findFollowed(db, calendar)
  if (!row) return
  if (!(await wantedCalendars(deps)).has(calendar) && !(await hasUpcoming(db, calendar)))
    return letGo(deps, row, signal)
  const faults: unknown[] = []
  const channelEnds = await keepChannel(deps, row, signal).catch(error => void faults.push(error))
  const kept = await keepSubscription(deps, row, signal).catch(error => void faults.push(error))
  signal.throwIfAborted()
  const now = clock.now()
  const [fault] = faults
  if (fault !== undefined) {
    const waitMs = retryMs(row, fault)
    log.warn(
      { calendar, error: fault, waitMs },
      'Google does not push what happens in a calendar; it is polled',
    )
    const error = fault instanceof Error ? fault.message.slice(0, 500) : String(fault)
    await noteUpkeep(db, row, { ...kept, next: new Date(now + waitMs), error })
    return
  }
  const ends = [channelEnds, kept?.subscriptionExpiresAt].flatMap(at => at?.getTime() ?? [])
  const next = Math.min(
    now + LOOK_EVERY_MS,
    ...ends.map(at => Math.max(now + FIRST_RETRY_MS, at - RENEW_BEFORE_MS)),
  )
  await noteUpkeep(db, row, { ...kept, next: new Date(next), error: null })
}

/** @returns when the channel ends; undefined where there is none to have */
async function keepChannel(
  deps: FollowingDeps,
  { calendar }: FollowedCalendar,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const { db, clock, settings } = deps
  const address = settings.pushTo === undefined ? undefined : `${settings.pushTo}${CALENDAR_HOOK}`
  const channels = await listChannels(db, calendar)
  const until = clock.now() + RENEW_BEFORE_MS
  let good = channels.find(
    one => address !== undefined && one.address === address && (one.expiresAt?.getTime() ?? 0) > until,
  )
  if (!good && address !== undefined) good = await openChannel(deps, calendar, address, signal)
  for (const other of channels) if (other.id !== good?.id) await stopChannel(deps, other, good, signal)
  return good?.expiresAt ?? undefined
}

async function openChannel(
  { db, google }: FollowingDeps,
  calendar: string,
  address: string,
  signal: AbortSignal,
): Promise<CalendarChannel> {
  const id = randomUUID()
  const token = randomBytes(32).toString('base64url')
  const tokenHash = channelTokenHash(token)
  // First: its first push may be here before the answer.
  await addChannel(db, { id, calendar, tokenHash, address })
  try {
    const opened = await google.watch.watch({ subject: calendar }, { channelId: id, address, token }, signal)
    await noteChannelOpened(db, id, opened)
    return { id, calendar, tokenHash, address, ...opened, createdAt: new Date() }
  } catch (error) {
    // Refused: there is none. After a lost answer there may be one, which is stopped when the next one is open.
    if (error instanceof GoogleFault && !error.retryable) await removeChannel(db, id)
    throw error
  }
}

async function stopChannel(
  { db, google }: FollowingDeps,
  { id, calendar, ...channel }: CalendarChannel,
  beside: CalendarChannel | undefined,
  signal: AbortSignal,
): Promise<void> {
  // All channels of a calendar are of one resource, also the one whose answer was lost.
  const resourceId = channel.resourceId ?? beside?.resourceId
  if (resourceId) await google.watch.stop(calendar, { channelId: id, resourceId }, signal)
  await removeChannel(db, id)
}

type Kept = Pick<FollowedCalendar, 'googleUserId' | 'subscription' | 'subscriptionExpiresAt'>

async function keepSubscription(
  deps: FollowingDeps,
  row: FollowedCalendar,
  signal: AbortSignal,
): Promise<Kept | undefined> {
  const { google, clock, settings } = deps
  const { calendar, subscription: name, subscriptionExpiresAt: expiresAt } = row
  const { topic } = settings
  if (topic === undefined) {
    if (name !== null) await google.subscriptions.remove(calendar, name, signal)
    return { googleUserId: row.googleUserId, subscription: null, subscriptionExpiresAt: null }
  }
  if (name !== null && expiresAt !== null && expiresAt.getTime() > clock.now() + RENEW_BEFORE_MS)
    return undefined
  const kept = name === null ? undefined : await renewed(deps, calendar, name, signal)
  if (kept) return asKept(kept, row)
  const userId = row.googleUserId ?? (await learnUserId(deps, calendar, topic, signal))
  if (userId === undefined) return undefined
  const made = await google.subscriptions.subscribe(
    calendar,
    { target: { userId }, kinds: KINDS, topic },
    signal,
  )
  return asKept(made, { googleUserId: userId })
}

function asKept(
  { name, expiresAt }: EventSubscription,
  { googleUserId }: Pick<FollowedCalendar, 'googleUserId'>,
): Kept {
  return { googleUserId, subscription: name, subscriptionExpiresAt: expiresAt }
}

async function renewed(
  { google }: FollowingDeps,
  calendar: string,
  name: string,
  signal: AbortSignal,
): Promise<EventSubscription | undefined> {
  try {
    const kept = await google.subscriptions.renew(calendar, name, signal)
    return kept.state === 'suspended' ? await google.subscriptions.reactivate(calendar, name, signal) : kept
  } catch (error) {
    if (isFault(error, 'not_found')) return undefined
    throw error
  }
}

/**
 * All calls of a user are named by Google's number of that user, which the user's subscription to one room tells. That
 * one is needed no longer then.
 */
async function learnUserId(
  { db, google }: FollowingDeps,
  calendar: string,
  topic: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const space = await findSpaceOf(db, calendar)
  if (space === undefined) return undefined
  const one = await google.subscriptions.subscribe(
    calendar,
    { target: { space }, kinds: KINDS, topic },
    signal,
  )
  await google.subscriptions.remove(calendar, one.name, signal)
  return one.userId ?? undefined
}

async function letGo(deps: FollowingDeps, row: FollowedCalendar, signal: AbortSignal): Promise<void> {
  const { db, google, log } = deps
  const { calendar, subscription } = row
  for (const channel of await listChannels(db, calendar)) await stopChannel(deps, channel, undefined, signal)
  if (subscription !== null) await google.subscriptions.remove(calendar, subscription, signal)
  await unfollow(db, calendar)
  log.info({ calendar }, 'a calendar is not followed any more')
}

function retryMs({ upkeepFailures }: FollowedCalendar, fault: unknown): number {
  if (fault instanceof GoogleFault && !fault.retryable) return REFUSED_RETRY_MS
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(8, upkeepFailures), LOOK_EVERY_MS)
}
