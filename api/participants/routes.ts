import { Router } from 'express'
import { z } from 'zod'
import { asCaller, callerOf } from '../caller.ts'
import { meetingIdOf } from '../find-meeting.ts'
import { scopeQuerySchema } from '../meetings.schema.ts'
import type { MeetingDeps } from '../meetings.ts'
import { readBody, readQuery } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf } from '../versions/if-match.ts'
import {
  addParticipant,
  changeParticipant,
  removeParticipant,
  showParticipant,
  showParticipants,
} from './participants.ts'
import { newParticipantSchema, participantChangeSchema } from './schema.ts'

/** `/v1/meetings/{id}/participants`, behind the key check and the JSON parser. */
export function participantsRoutes(deps: MeetingDeps): Router {
  const { db } = deps
  const router = Router({ strict: false, mergeParams: true })

  router
    .route('/')
    .get(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      response.json(await asCaller(db, caller, tx => showParticipants(tx, caller.organizationId, id)))
    })
    .post(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      const { scope } = readQuery(scopeQuerySchema, request.query)
      const body = readBody(newParticipantSchema, request.body)
      const added = await addParticipant(deps, caller, id, body, scope)
      const location = `/v1/meetings/${id}/participants/${added.id}`
      sendVersioned(response.status(201).location(location), added)
    })

  router
    .route('/:participantId')
    .get(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      const participantId = participantIdOf(request)
      const view = await asCaller(db, caller, tx =>
        showParticipant(tx, caller.organizationId, id, participantId),
      )
      sendVersioned(response, view)
    })
    .patch(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      const participantId = participantIdOf(request)
      // Somebody unknown is said so before anything about the body.
      await asCaller(db, caller, tx => showParticipant(tx, caller.organizationId, id, participantId))
      const { scope } = readQuery(scopeQuerySchema, request.query)
      const body = readBody(participantChangeSchema, request.body)
      const ifMatch = ifMatchOf(response)
      sendVersioned(response, await changeParticipant(deps, caller, id, participantId, body, scope, ifMatch))
    })
    .delete(async (request, response) => {
      const { scope } = readQuery(scopeQuerySchema, request.query)
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      await removeParticipant(deps, caller, id, participantIdOf(request), scope, ifMatchOf(response))
      response.status(204).end()
    })

  return router
}

// What is no id at all is nobody's: the answer is that of an unknown one.
function participantIdOf(request: { params: Record<string, unknown> }): string {
  return z.uuid().safeParse(request.params.participantId).data ?? ''
}
