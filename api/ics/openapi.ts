import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { exportQuerySchema } from '../listing/query.ts'
import { json, refusals } from '../openapi-answers.ts'
import { importSchema } from './schema.ts'

const FILE_EXAMPLE = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Clinica Andina//Agenda//ES',
  'METHOD:PUBLISH',
  'BEGIN:VEVENT',
  'UID:comite-17@clinica.example',
  'DTSTAMP:20261120T130000Z',
  'DTSTART:20261123T150000Z',
  'DTEND:20261123T160000Z',
  'SUMMARY:Comité clínico',
  'ATTENDEE;CN=Ana Ruiz;ROLE=CHAIR:mailto:ana@clinica.example',
  'END:VEVENT',
  'END:VCALENDAR',
  '',
].join('\r\n')

const file = z.string().meta({ id: 'CalendarFile', description: 'RFC 5545, in UTF-8' })
const content = { 'text/calendar': { schema: file, example: FILE_EXAMPLE } }
const headers = z.object({
  'Content-Disposition': z.string().meta({ example: 'attachment; filename="meeting.ics"' }),
})
const answer = (description: string) => ({ description, headers, content })

/** The paths of ICS files, for the OpenAPI document. */
export function icsPaths(): ZodOpenApiPathsObject {
  return {
    '/v1/meetings/{id}/ics': {
      get: {
        operationId: 'exportMeeting',
        summary: 'One meeting as an ICS file',
        requestParams: { path: z.object({ id: z.uuid().meta({ description: "The meeting's id" }) }) },
        responses: { 200: answer('The file'), ...refusals('meeting_not_found') },
      },
    },
    '/v1/meetings/ics': {
      get: {
        operationId: 'exportMeetings',
        summary: 'Meetings as an ICS file, with the filters of the list',
        description:
          'At most 1,000 meetings, each for itself; those of a series too, whose rule is in GET /v1/series/{id}/ics.',
        requestParams: { query: exportQuerySchema },
        responses: { 200: answer('The file'), ...refusals('invalid_query', 'export_too_large') },
      },
    },
    '/v1/series/{id}/ics': {
      get: {
        operationId: 'exportSeries',
        summary: 'A series as an ICS file: its rule, its exceptions, and the meetings that differ from it',
        requestParams: { path: z.object({ id: z.uuid().meta({ description: "The series' id" }) }) },
        responses: { 200: answer('The file'), ...refusals('series_not_found') },
      },
    },
    '/v1/meetings/import': {
      post: {
        operationId: 'importMeetings',
        summary: 'Make meetings of an ICS file',
        description:
          'The answer says of each event what became of it. Each is written wholly or not at all, and one that cannot be, such as an all-day event, leaves the others alone. Events are known by their UID, which becomes the externalId: sent again, what is new is changed and the rest left alone; METHOD:CANCEL and STATUS:CANCELLED cancel. The calendar is told afterwards: links are there a little later ("google": "pending" until then). At most 1 MiB, 500 events, and about 2,000 meetings with those of series.',
        requestBody: { required: true, content },
        responses: {
          200: json('What became of each event', importSchema),
          ...refusals('unsupported_media_type', 'body_too_large', 'ics_refused'),
        },
      },
    },
  }
}
