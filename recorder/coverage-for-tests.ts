// For tests of what happens after a call: a meeting in real tables, and Google's record of it.
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Config } from '../config.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { type OpenJobs, openJobs } from '../db/jobs.ts'
import { attempts, meetings, organizations, presences, recordings } from '../db/schema.ts'
import { openTestDatabase } from '../db/test-database.ts'
import type { TestGoogle } from '../google/test-google.ts'
import type { Log } from '../log.ts'

export const ORGANIZER = 'agenda@clinica.example'
const BOT = 'testigo@clinica.example'

type Conference = TestGoogle['sandbox']['state']['conferences'][number]

export interface CoverageStage extends AsyncDisposable {
  database: OpenDatabase
  databaseUrl: string
  jobs: OpenJobs
  organizationId: string
  /** Minute 0 of every meeting: two hours ago. */
  begin: number
  at(minute: number): Date
  /** A meeting of minutes 0 to 60, recorded by one attempt unless told otherwise. */
  meeting(facts?: {
    recording?: Partial<typeof recordings.$inferInsert>
    meeting?: Partial<typeof meetings.$inferInsert>
    wasThere?: boolean
  }): Promise<{ meetingId: string; recordingId: string }>
  /** A stay of somebody whom the bot saw. */
  saw(meetingId: string, name: string, from: number, to: number): Promise<void>
  /** The recording in file time: these stretches, in minutes. */
  timeline(...stretches: [number, number][]): NonNullable<(typeof recordings.$inferInsert)['timeline']>
  /** Jobs of a name that wait for a recording. */
  queued(name: string, recordingId: string): Promise<{ data: Record<string, unknown>; startAfter: Date }[]>
}

/** Opens tables and a queue of their own. */
export async function openCoverageStage(): Promise<CoverageStage> {
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await openTestDatabase())
  const database = opened.use(openDatabase(server.url))
  const jobs = await openJobs(server.url, () => undefined)
  opened.defer(() => jobs.close(0))
  const organizationId = randomUUID()
  await database.db.insert(organizations).values({ id: organizationId, name: 'Clínica' })
  const begin = Date.now() - 2 * 3_600_000
  const at = (minute: number) => new Date(begin + minute * 60_000)
  const { db } = database

  const stage: Omit<CoverageStage, typeof Symbol.asyncDispose> = {
    database,
    databaseUrl: server.url,
    jobs,
    organizationId,
    begin,
    at,
    async meeting({ recording = {}, meeting = {}, wasThere = true } = {}) {
      const [meetingId, recordingId] = [randomUUID(), randomUUID()]
      await db.insert(meetings).values({
        id: meetingId,
        organizationId,
        topic: 'Consulta',
        startsAt: at(0),
        endsAt: at(60),
        timeZone: 'America/Bogota',
        status: 'ended',
        organizer: ORGANIZER,
        eventId: meetingId.replaceAll('-', ''),
        joinUrl: 'https://meet.google.com/abc-mnop-xyz',
        meetingCode: 'abc-mnop-xyz',
        spaceName: `spaces/${meetingId.replaceAll('-', '')}`,
        ...meeting,
      })
      await db.insert(recordings).values({
        id: recordingId,
        organizationId,
        meetingId,
        status: 'available',
        ending: 'everyone_left',
        endedAt: at(55),
        revision: 1,
        ...recording,
      })
      await db.insert(attempts).values({
        id: randomUUID(),
        organizationId,
        recordingId,
        number: 1,
        recorder: 'host:1',
        botAccount: BOT,
        startedAt: at(-1),
        ...(wasThere ? { admittedAt: at(-1) } : {}),
        endedAt: at(55),
      })
      return { meetingId, recordingId }
    },
    async saw(meetingId, name, from, to) {
      await db.insert(presences).values({
        id: randomUUID(),
        organizationId,
        meetingId,
        personKey: randomUUID(),
        name,
        joinedAt: at(from),
        leftAt: at(to),
      })
    },
    timeline(...stretches) {
      let fileMs = 0
      return stretches.map(([from, to], index) => {
        const fileStartMs = fileMs
        fileMs += (to - from) * 60_000
        const clock = { clockStart: at(from).toISOString(), clockEnd: at(to).toISOString() }
        return { fileStartMs, fileEndMs: fileMs, ...clock, attempt: index + 1 }
      })
    },
    async queued(name, recordingId) {
      const rows = (await db.execute(
        sql`select data, start_after from pgboss.job
            where name = ${name} and singleton_key = ${recordingId} and state < 'active'`,
      )) as unknown as { data: Record<string, unknown>; start_after: string }[]
      return rows.map(({ data, start_after }) => ({ data, startAfter: new Date(start_after) }))
    },
  }
  const held = opened.move()
  return Object.assign(stage, { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

/** Puts a conference into Google's memory; stays are in minutes, the bot's by its own name. */
export function holdConference(
  { sandbox }: TestGoogle,
  stage: CoverageStage,
  { meetingId }: { meetingId: string },
  people: Record<string, [number, number?][]>,
): Conference {
  const space = `spaces/${meetingId.replaceAll('-', '')}`
  const { state } = sandbox
  if (!state.spaces.has(space)) {
    const owner = { meetingCode: 'abc-mnop-xyz', meetingUri: '', owner: ORGANIZER, members: [] }
    state.spaces.set(space, { name: space, ...owner, madeBy: 'calendar', config: undefined as never })
  }
  const stays = Object.values(people).flat()
  const ends = stays.map(([, to]) => to)
  const name = `conferenceRecords/${randomUUID()}`
  const iso = (minute: number) => stage.at(minute).toISOString()
  const conference: Conference = {
    name,
    space,
    startTime: iso(Math.min(...stays.map(([from]) => from))),
    ...(!ends.includes(undefined) && { endTime: iso(Math.max(...(ends as number[]))) }),
    participants: Object.entries(people).map(([displayName, own], index) => ({
      name: `${name}/participants/p${index}`,
      displayName,
      ...(displayName === 'Testigo' && { email: BOT }),
      sessions: own.map(([from, to]) => ({
        startTime: iso(from),
        ...(to !== undefined && { endTime: iso(to) }),
      })),
    })),
    recordings: [],
  }
  state.conferences.push(conference)
  return conference
}

/** A log that keeps what is said at error level. */
export function errorsOf(): { log: Log; errors: { fields: object; message: string }[] } {
  const errors: { fields: object; message: string }[] = []
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields, message) => errors.push({ fields, message }),
    child: () => log,
  }
  return { log, errors }
}

/** The settings with another limit of the alert. */
export function withAlertAt(config: Config, alertPercent: number): Config {
  return { ...config, coverage: { alertPercent } }
}
