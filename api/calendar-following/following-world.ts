import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'drizzle-orm'
import type { Log } from '../../log.ts'
import { type Answer, newMeeting, openTestApi, type TestApi, until } from '../test-api.ts'

/** For tests: the API beside a Google whose calendars people change, and what Google pushes on its way between them. */

export const HOST = 'agenda@clinica.example'
export const TOPIC = 'projects/clinica-sandbox/topics/meet'
export const PUSHER = 'pusher@clinica-sandbox.iam.gserviceaccount.com'

/** What stands in for Google, as far as this needs to know it. */
interface PeopledGoogle {
  keyFile: object
  baseUrls: Record<'token' | 'calendar' | 'meet' | 'workspaceEvents' | 'certs', string>
  state: { requests: { method: string }[] }
  stop(): Promise<void>
}

/** Settings of the simulated Google for these tests: pushes leave at once, calls end soon. */
export const QUICK_GOOGLE = {
  pushTimes: { delayMs: 10, retryMs: 100 },
  conferences: { endShowsAfterMs: 50, fileAfterMs: 50 },
  users: [
    HOST,
    'direccion@clinica.example',
    { email: 'testigo@clinica.example', name: 'Testigo' },
    'testigo2@clinica.example',
  ],
}

export interface FollowingWorld<Google extends PeopledGoogle> extends AsyncDisposable {
  google: Google
  api: TestApi
  /** Everything that was pushed, with its headers and what it was answered. */
  pushed: { path: string; headers: IncomingHttpHeaders; body: string; status: number }[]
  /** Address under which Google reaches the API. */
  publicUrl: string
  /** A meeting in some days, made through the API. */
  make(changes?: Record<string, unknown>): Promise<Answer['body']>
  read(id: string): Promise<Answer['body']>
  /** Waits for a meeting to become so. */
  becomes(id: string, is: (meeting: Answer['body']) => boolean, limitMs?: number): Promise<Answer['body']>
  /** Actions in the audit log about a meeting, once all of them are chained. */
  audited(id: string): Promise<{ action: string; actor: string; detail: Record<string, unknown> }[]>
  eventOf(id: string): Promise<string>
  /** Waits until Google pushes: a channel is open and the calendar was read. */
  ready(): Promise<void>
  asked(method: string): number
}

/**
 * Opens it, for several tests: each with meetings of its own.
 * @param options.pushes without them the calendar is polled only
 */
export async function openFollowingWorld<Google extends PeopledGoogle>(
  google: Google,
  options: { pushes?: boolean; pollSeconds?: number; env?: Record<string, string>; log?: Log } = {},
): Promise<FollowingWorld<Google>> {
  const { pushes = true, pollSeconds = 3600 } = options
  const pushed: FollowingWorld<Google>['pushed'] = []
  let target = ''
  const door = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece: string) => (body += piece))
    request.on('end', () => {
      const { host: _, connection: __, ...headers } = request.headers
      fetch(`${target}${request.url}`, {
        method: request.method ?? 'POST',
        headers: headers as Record<string, string>,
        ...(body && { body }),
      }).then(
        answer => {
          pushed.push({ path: request.url ?? '', headers: request.headers, body, status: answer.status })
          response.writeHead(answer.status).end()
        },
        () => response.destroy(),
      )
    })
  })
  await new Promise<void>(resolve => door.listen(0, '127.0.0.1', resolve))
  const publicUrl = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  const api = await openTestApi(google, undefined, {
    ...(options.log && { log: options.log }),
    env: {
      TESTIGO_CALENDAR_POLL_SECONDS: String(pollSeconds),
      TESTIGO_GOOGLE_EVENTS_URL: google.baseUrls.workspaceEvents,
      TESTIGO_GOOGLE_CERTS_URL: google.baseUrls.certs,
      ...(pushes && { TESTIGO_PUBLIC_URL: publicUrl }),
      ...options.env,
    },
  })
  target = api.url
  const close = async () => {
    await api.close()
    await google.stop()
    door.closeAllConnections()
    await new Promise(resolve => door.close(resolve))
  }
  const read = async (id: string) => (await api.call('GET', `/v1/meetings/${id}`)).body
  return {
    ...{ google, api, pushed, publicUrl, read },
    [Symbol.asyncDispose]: close,
    make: async (changes = {}) => {
      const answer = await api.call('POST', '/v1/meetings', {
        body: newMeeting({ ...inDays(3), ...changes }),
      })
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
      return answer.body
    },
    becomes: (id, is, limitMs = 5000) =>
      until(
        'what was waited for',
        async () => {
          const meeting = await read(id)
          return is(meeting) && meeting
        },
        limitMs,
      ),
    audited: async id => {
      const rows = await api.db.execute<{ action: string; actor: string; detail: Record<string, unknown> }>(
        sql`select action, actor, detail from (
          select action, actor, detail, seq, 0 as id from audit_log where subject = ${`meeting:${id}`}
          union all select action, actor, detail, 9e15, id from audit_pending where subject = ${`meeting:${id}`}
        ) as all_of_it order by seq, id`,
      )
      return [...rows]
    },
    eventOf: async id => {
      const [row] = await api.db.execute<{ event_id: string }>(
        sql`select event_id from meetings where id = ${id}`,
      )
      return row?.event_id ?? ''
    },
    ready: () =>
      until('the calendar is followed', async () => {
        const [row] = await api.db.execute<{ ready: boolean }>(
          sql`select synced_at is not null and ${
            pushes
              ? sql`exists (select from calendar_channels c
            where c.calendar = f.calendar and c.expires_at is not null)`
              : sql`true`
          } as ready
            from followed_calendars f where calendar = ${HOST}`,
        )
        const jobs = await api.db.execute(
          sql`select from pgboss.job where name = 'sync-calendar' and state in ('created', 'active')`,
        )
        return row?.ready && jobs.length === 0
      }).then(() => {}),
    asked: method => google.state.requests.filter(request => request.method.endsWith(method)).length,
  }
}

// Once: what begins at the same time does so too when the hour changes in between.
const NEXT_HOUR = Math.ceil(Date.now() / 3_600_000) * 3_600_000

/** Start and end of an hour in some days. */
export function inDays(days: number, hours = 0): { start: string; end: string } {
  const start = NEXT_HOUR + days * 86_400_000 + hours * 3_600_000
  return { start: new Date(start).toISOString(), end: new Date(start + 3_600_000).toISOString() }
}

/** Start and end of half an hour that begins in some minutes. */
export function soon(minutes: number): { start: string; end: string } {
  // Google keeps whole seconds.
  const start = Math.ceil(Date.now() / 1000) * 1000 + minutes * 60_000
  return { start: new Date(start).toISOString(), end: new Date(start + 1_800_000).toISOString() }
}

/** Waits until nothing of a calendar is being read or about to be. */
export function nothingLeft({ db }: TestApi): Promise<void> {
  return until('nothing is left to follow', async () => {
    const jobs = await db.execute(
      sql`select from pgboss.job where name = 'sync-calendar' and state in ('created', 'active')`,
    )
    return jobs.length === 0
  }).then(() => {})
}

/** Somebody is in the call of a meeting that has begun. */
export async function somebodyCame({ db }: TestApi, meetingId: string): Promise<void> {
  await db.execute(sql`update meetings set status = 'in_progress' where id = ${meetingId}`)
  await db.execute(sql`insert into presences (id, organization_id, meeting_id, source, person_key, joined_at)
    select gen_random_uuid(), organization_id, id, 'told', 'alguien', now() from meetings where id = ${meetingId}`)
}

export interface MeetingAt extends Record<string, unknown> {
  id: string
  event_id: string
  status: string
  topic: string
  join_url: string | null
  series_id: string | null
  starts_at: string
  original_start: string | null
}

/** Meetings of the database, the earliest first. */
export async function meetingsWhere({ db }: TestApi, where: ReturnType<typeof sql>): Promise<MeetingAt[]> {
  return [
    ...(await db.execute<MeetingAt>(
      sql`select * from meetings where ${where} order by starts_at, created_at`,
    )),
  ]
}
