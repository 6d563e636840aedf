import express, { Router } from 'express'
import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import {
  findBySubscription,
  findChannel,
  keepSoon,
  noteChannelResource,
} from '../../db/followed-calendars.ts'
import type { CallEvent, OpenJobs } from '../../db/jobs.ts'
import { isFromChannel, readCalendarPush } from '../../google/calendar-push.ts'
import { PushTokenError, type PushTokens } from '../../google/push-token.ts'
import { NotAWorkspaceEvent, readWorkspaceEvent, type WorkspaceEvent } from '../../google/workspace-event.ts'
import type { Log } from '../../log.ts'
import { Problem } from '../problem.ts'

interface HookDeps {
  /** With the rights of its owner: a calendar may hold meetings of several organisations. */
  database: Database
  jobs: Pick<OpenJobs, 'send'>
  clock: Clock
  log: Log
  /** Undefined where no push of Pub/Sub is expected. */
  pushTokens: PushTokens | undefined
}

// Events carry names only.
const BODY_LIMIT_BYTES = 64 * 1024

const KINDS: Record<string, CallEvent['kind']> = {
  'google.workspace.meet.conference.v2.started': 'conference_started',
  'google.workspace.meet.conference.v2.ended': 'conference_ended',
  'google.workspace.meet.participant.v2.joined': 'participant_joined',
  'google.workspace.meet.participant.v2.left': 'participant_left',
}

/** `/v1/hooks/google`: what Google pushes. Answered as soon as it is written down; jobs do the rest. */
export function hookRoutes(deps: HookDeps): Router {
  const router = Router({ strict: false })
  router.post('/calendar', async (request, response) => {
    const push = readCalendarPush(request.headers)
    if (!push)
      throw new Problem('not_a_push', 'The headers of a push channel of Google Calendar are missing.')
    const { database, jobs } = deps
    const channel = await findChannel(database, push.channelId)
    // One answer for both: whether a channel is there is nobody's business who does not know its secret.
    if (!channel || !isFromChannel(push, { ...channel, channelId: channel.id }))
      throw new Problem('channel_not_found', 'No channel of ours has this id, resource and token.')
    if (channel.resourceId === null) await noteChannelResource(database, channel.id, push.resourceId)
    const { calendar } = channel
    // The first one, `sync`, too: what changed before the channel was open is read by it.
    await database.transaction(tx =>
      jobs.send(tx, 'sync-calendar', { calendar, because: 'push' }, { key: calendar }),
    )
    response.status(204).end()
  })

  router.post(
    '/workspace-events',
    async (request, _response, next) => {
      await refuseForeign(deps, request.get('authorization'))
      next()
    },
    express.json({ limit: BODY_LIMIT_BYTES, type: 'application/json' }),
  )
  router.post('/workspace-events', async (request, response) => {
    const event = readEvent(deps, request.body)
    if (event) await takeEvent(deps, event)
    response.status(204).end()
  })
  return router
}

async function refuseForeign(
  { pushTokens, log }: HookDeps,
  authorization: string | undefined,
): Promise<void> {
  if (!pushTokens)
    throw new Problem(
      'push_refused',
      'Pushes of Pub/Sub are not expected here: TESTIGO_PUBSUB_EMAIL is not set.',
    )
  try {
    await pushTokens.verify(authorization)
  } catch (error) {
    if (!(error instanceof PushTokenError)) throw error
    log.warn({ reason: error.reason }, 'a push of Pub/Sub was not let in')
    if (error.retryable)
      throw new Problem('temporarily_unavailable', error.message, { retryAfterSeconds: 10 }, { cause: error })
    throw new Problem('push_refused', `${error.message}.`, {
      headers: { 'WWW-Authenticate': 'Bearer realm="testigo-hooks"' },
    })
  }
}

/** What nobody can read is taken all the same: Pub/Sub would send it again for days. */
function readEvent({ log }: HookDeps, body: unknown): WorkspaceEvent | undefined {
  try {
    return readWorkspaceEvent(body)
  } catch (error) {
    if (!(error instanceof NotAWorkspaceEvent)) throw error
    log.error({ error: error.message }, 'a push of Pub/Sub holds no event of Google Workspace')
    return undefined
  }
}

async function takeEvent(
  { database, jobs, clock, log }: HookDeps,
  { eventId: id, type, happenedAt, space, subscription, about }: WorkspaceEvent,
): Promise<void> {
  if ('lifecycle' in about) {
    const row = await findBySubscription(database, subscription)
    if (!row) return
    const { lifecycle, suspensionReason } = about
    log.warn(
      { calendar: row.calendar, lifecycle, suspensionReason },
      'a subscription to what happens in calls',
    )
    // Renewing also wakes one that was suspended; one that expired is made anew.
    const facts = lifecycle === 'expired' ? { subscription: null } : {}
    await keepSoon(database, row.calendar, new Date(clock.now()), { ...facts, subscriptionExpiresAt: null })
    return
  }
  const kind = KINDS[type]
  const name =
    'conference' in about ? about.conference : 'participantSession' in about ? about.participantSession : null
  if (!kind || name === null || space === null) return
  const event = { id, happenedAt: happenedAt.toISOString(), space, kind, name }
  await database.transaction(tx => jobs.send(tx, 'follow-call', { event }, { key: id }))
}
