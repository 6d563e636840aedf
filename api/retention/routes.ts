import { randomUUID } from 'node:crypto'
import { Router } from 'express'
import { z } from 'zod'
import { erasePerson } from '../../db/erase-person.ts'
import { asCaller, callerOf } from '../caller.ts'
import { noSuchMeeting } from '../find-meeting.ts'
import { readBody, readQuery } from '../read-input.ts'
import { sendVersioned } from '../versions/entity-tag.ts'
import { ifMatchOf } from '../versions/if-match.ts'
import {
  changeMeetingRetention,
  previewRetention,
  type RetentionDeps,
  showMeetingRetention,
} from './retention.ts'
import { erasureRequestSchema, meetingRetentionChangeSchema, previewQuerySchema } from './schema.ts'

/** How long things are kept, and the erasing of people's data: below `/v1`, behind the key check and the JSON parser. */
export function retentionRoutes(deps: RetentionDeps): Router {
  const { db } = deps
  const router = Router({ strict: false })

  router.get('/retention', async (request, response) => {
    response.json(
      await previewRetention(deps, callerOf(response), readQuery(previewQuerySchema, request.query)),
    )
  })

  router
    .route('/meetings/:id/retention')
    .get(async (request, response) => {
      sendVersioned(response, await showMeetingRetention(deps, callerOf(response), meetingIdOf(request)))
    })
    .patch(async (request, response) => {
      const caller = callerOf(response)
      const id = meetingIdOf(request)
      // An unknown meeting is said so before anything about the body.
      await showMeetingRetention(deps, caller, id)
      const body = readBody(meetingRetentionChangeSchema, request.body)
      sendVersioned(response, await changeMeetingRetention(deps, caller, id, body, ifMatchOf(response)))
    })

  router.post('/erasures', async (request, response) => {
    const caller = callerOf(response)
    const body = readBody(erasureRequestSchema, request.body)
    const id = randomUUID()
    const { recordings, ...done } = await asCaller(db, caller, tx => erasePerson(tx, caller, { id, ...body }))
    response.status(201).json({
      id,
      ...done,
      recordings: recordings.map(({ startedAt, ...recording }) => ({
        ...recording,
        startedAt: startedAt?.toISOString() ?? null,
      })),
    })
  })

  return router
}

function meetingIdOf(request: { params: Record<string, unknown> }): string {
  const parsed = z.uuid().safeParse(request.params.id)
  if (!parsed.success) throw noSuchMeeting()
  return parsed.data
}
