import { Router } from 'express'
import { listAttempts, showRecording } from '../db/meeting-view.ts'
import { asCaller, callerOf } from './caller.ts'
import { updateMeeting } from './change-meeting.ts'
import { meetingIdOf, noSuchMeeting, viewOf } from './find-meeting.ts'
import { listPage } from './listing/list-meetings.ts'
import { meetingChangeSchema, newMeetingSchema, scopeQuerySchema } from './meetings.schema.ts'
import { createMeeting, type MeetingDeps } from './meetings.ts'
import { participantsRoutes } from './participants/routes.ts'
import { readBody, readQuery } from './read-input.ts'
import { type RecordingLink, recordingLinks } from './recording-link.ts'
import { sendVersioned } from './versions/entity-tag.ts'
import { ifMatchOf } from './versions/if-match.ts'
import { recordingView } from './views.ts'
import { withdrawMeeting } from './withdraw-meeting.ts'

export interface RouteDeps extends MeetingDeps {
  recordingLink: RecordingLink
}

/** `/v1/meetings` and all below it, behind the key check and the JSON parser. */
export function meetingsRoutes(deps: RouteDeps): Router {
  const { db } = deps
  const router = Router({ strict: false })

  router
    .route('/')
    .get(async (request, response) => {
      const caller = callerOf(response)
      response.json(await listPage(db, caller, request.query))
    })
    .post(async (request, response) => {
      const body = readBody(newMeetingSchema, request.body)
      const meeting = await createMeeting(deps, callerOf(response), body)
      sendVersioned(response.status(201).location(`/v1/meetings/${meeting.id}`), meeting)
    })

  router
    .route('/:id')
    .get(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      const meeting = await asCaller(db, caller, tx => viewOf(tx, caller.organizationId, id))
      sendVersioned(response, meeting)
    })
    .patch(async (request, response) => {
      const id = meetingIdOf(request)
      const caller = callerOf(response)
      // An unknown meeting is said so before anything about the body.
      await asCaller(db, caller, tx => viewOf(tx, caller.organizationId, id))
      const { scope } = readQuery(scopeQuerySchema, request.query)
      const body = readBody(meetingChangeSchema, request.body)
      sendVersioned(response, await updateMeeting(deps, caller, id, body, scope, ifMatchOf(response)))
    })
    .delete(async (request, response) => {
      const { scope } = readQuery(scopeQuerySchema, request.query)
      const caller = callerOf(response)
      await withdrawMeeting(deps, caller, meetingIdOf(request), scope, ifMatchOf(response))
      response.status(204).end()
    })

  router.use('/:id/participants', participantsRoutes(deps))

  router.route('/:id/recording').get(async (request, response) => {
    const caller = callerOf(response)
    const { organizationId } = caller
    const id = meetingIdOf(request)
    const { recording, meeting, attempts } = await asCaller(db, caller, async tx => {
      const found = await showRecording(tx, organizationId, id)
      if (!found) throw noSuchMeeting()
      return { ...found, attempts: await listAttempts(tx, organizationId, found.recording.id) }
    })
    const links = await recordingLinks(deps.recordingLink, meeting, recording)
    response.json(recordingView(recording, attempts, links))
  })

  return router
}
