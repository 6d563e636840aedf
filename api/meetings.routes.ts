import { Router } from 'express'
import { z } from 'zod'
import { listAttempts, listMeetings, listPresences, showMeeting, showRecording } from '../db/meeting-view.ts'
import { listInvited } from '../db/meetings.ts'
import { ownerOf } from './authenticate.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { listQuerySchema, meetingChangeSchema, newMeetingSchema } from './meetings.schema.ts'
import {
  createMeeting,
  type MeetingDeps,
  noSuchMeeting,
  updateMeeting,
  viewOf,
  withdrawMeeting,
} from './meetings.ts'
import { onlyMethods } from './only-methods.ts'
import { readBody, readQuery } from './read-input.ts'
import { type RecordingLink, recordingLinks } from './recording-link.ts'
import { listedMeeting, participantsView, recordingView } from './views.ts'

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
      const { organizationId } = ownerOf(response)
      const query = readQuery(listQuerySchema, request.query)
      const { limit, cursor, status, ...filter } = query
      const place = cursor === undefined ? undefined : readCursor(cursor)
      const after = place && { startsAt: place.at, id: place.id }
      const rows = await listMeetings(db, organizationId, { ...filter, statuses: status, after }, limit + 1)
      const items = rows.slice(0, limit)
      const last = rows.length > limit ? items.at(-1) : undefined
      response.json({
        items: items.map(listedMeeting),
        nextCursor: last ? writeCursor({ at: last.meeting.startsAt, id: last.meeting.id }) : null,
      })
    })
    .post(async (request, response) => {
      const body = readBody(newMeetingSchema, request.body)
      const meeting = await createMeeting(deps, ownerOf(response), body)
      response.status(201).location(`/v1/meetings/${meeting.id}`).json(meeting)
    })
    .all(onlyMethods('GET', 'POST'))

  router
    .route('/:id')
    .get(async (request, response) => {
      response.json(await viewOf(db, ownerOf(response).organizationId, meetingIdOf(request)))
    })
    .patch(async (request, response) => {
      const id = meetingIdOf(request)
      const owner = ownerOf(response)
      // An unknown meeting is said so before anything about the body.
      await viewOf(db, owner.organizationId, id)
      response.json(await updateMeeting(deps, owner, id, readBody(meetingChangeSchema, request.body)))
    })
    .delete(async (request, response) => {
      await withdrawMeeting(deps, ownerOf(response), meetingIdOf(request))
      response.status(204).end()
    })
    .all(onlyMethods('GET', 'PATCH', 'DELETE'))

  router
    .route('/:id/participants')
    .get(async (request, response) => {
      const { organizationId } = ownerOf(response)
      const row = await showMeeting(db, organizationId, meetingIdOf(request))
      if (!row) throw noSuchMeeting()
      const invited = await listInvited(db, row.meeting.id)
      const seen = await listPresences(db, organizationId, row.meeting.id)
      response.json(participantsView(invited, seen))
    })
    .all(onlyMethods('GET'))

  router
    .route('/:id/recording')
    .get(async (request, response) => {
      const { organizationId } = ownerOf(response)
      const found = await showRecording(db, organizationId, meetingIdOf(request))
      if (!found) throw noSuchMeeting()
      const { recording, meeting } = found
      const attempts = await listAttempts(db, organizationId, recording.id)
      const links = await recordingLinks(deps.recordingLink, meeting, recording)
      response.json(recordingView(recording, attempts, links))
    })
    .all(onlyMethods('GET'))

  return router
}

function meetingIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchMeeting()
  return parsed.data
}
