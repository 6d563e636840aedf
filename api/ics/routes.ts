import express, { type RequestHandler, type Response, Router } from 'express'
import { callerOf } from '../caller.ts'
import { meetingIdOf } from '../find-meeting.ts'
import type { MeetingDeps } from '../meetings.ts'
import { Problem } from '../problem.ts'
import { seriesIdOf } from '../series/find-series.ts'
import { exportMeeting, exportMeetings, exportSeries } from './export.ts'
import { importIcs } from './import.ts'

const CALENDAR = 'text/calendar'
const FILE_LIMIT_BYTES = 1024 * 1024

/**
 * Reads the body of an import, before anything that wants JSON. It goes on as text with one character for each byte, so
 * that it can be compared and hashed; {@link fileOf} turns it back.
 */
export function readCalendarFile(): RequestHandler[] {
  return [
    (request, _response, next) => {
      if (request.method === 'POST' && !request.is(CALENDAR))
        throw new Problem(
          'unsupported_media_type',
          'Send the ICS file as the body, with "Content-Type: text/calendar".',
        )
      next()
    },
    express.raw({ type: CALENDAR, limit: FILE_LIMIT_BYTES }),
    (request, _response, next) => {
      if (Buffer.isBuffer(request.body)) request.body = request.body.toString('latin1')
      next()
    },
  ]
}

function fileOf(body: unknown): Uint8Array {
  return Buffer.from(typeof body === 'string' ? body : '', 'latin1')
}

/** Meetings as ICS files, below `/v1/meetings`: to be asked before `/:id`. */
export function icsRoutes(deps: MeetingDeps): Router {
  const { db, clock } = deps
  const router = Router({ strict: false })
  router.get('/ics', async (request, response) => {
    const of = { caller: callerOf(response), now: clock.now() }
    sendFile(response, 'meetings', await exportMeetings(db, of, request.query))
  })
  router.get('/:id/ics', async (request, response) => {
    const of = { caller: callerOf(response), now: clock.now() }
    const id = meetingIdOf(request)
    sendFile(response, `meeting-${id}`, await exportMeeting(db, of, id))
  })
  router.post('/import', async (request, response) => {
    response.json(await importIcs(deps, callerOf(response), fileOf(request.body)))
  })
  return router
}

/** A series as an ICS file, below `/v1/series`. */
export function seriesIcsRoutes({ db, clock }: Pick<MeetingDeps, 'db' | 'clock'>): Router {
  const router = Router({ strict: false })
  router.get('/:id/ics', async (request, response) => {
    const of = { caller: callerOf(response), now: clock.now() }
    const id = seriesIdOf(request)
    sendFile(response, `series-${id}`, await exportSeries(db, of, id))
  })
  return router
}

function sendFile(response: Response, name: string, text: string): void {
  response.attachment(`${name}.ics`)
  response.type(`${CALENDAR}; charset=utf-8`)
  response.send(Buffer.from(text))
}
