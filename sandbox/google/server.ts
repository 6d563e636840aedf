import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dispatch } from './dispatch.ts'
import type { SharedDrive } from './drive/file.ts'
import { Faults } from './faults.ts'
import { type DomainUser, Identity, type NewUser, type ServiceAccountKeyFile } from './identity.ts'
import { ConferenceLife, type ConferenceTimes, type PersonInCall } from './meet/conference-life.ts'
import { emptyState, type GoogleState } from './state.ts'
import { OwnedTimers } from './timers.ts'
import type { NewConference, World } from './world.ts'

const scope = (name: string) => `https://www.googleapis.com/auth/${name}`

export interface GoogleOptions {
  /** Folder that keeps the bytes of uploaded files; made if absent. */
  driveDir: string
  host?: string
  /** 0 picks a free one. */
  port?: number
  domain?: string
  /** The domain's users. */
  users?: NewUser[]
  /** Scopes the domain's administrator has granted to the service account. */
  delegatedScopes?: string[]
  sharedDrives?: SharedDrive[]
  /** How long a new conference stays `pending`; 0 makes it ready in the answer to the insert. */
  conferencePendingMs?: number
  /** Time zone of every calendar. */
  calendarTimeZone?: string
  /** How conference records follow what happens in calls, where `peopleAre` tells of it. */
  conferences?: Partial<ConferenceTimes>
  /** Called when a conference has been made, before the event shows it. */
  onConference?: (conference: NewConference) => void | Promise<void>
  /** Called when an event with a conference has been cancelled. */
  onCancelled?: (cancelled: { code: string; eventId: string }) => void | Promise<void>
  /** The sandbox's clock, in milliseconds since 1970. */
  nowMs?: () => number
}

/** Google on loopback: every API at one origin with Google's own paths. */
export interface GoogleSandbox extends AsyncDisposable {
  /** Origin, without a trailing slash. */
  url: string
  /** Origins to put in the place of Google's hosts; `token` is the whole address of the token endpoint. */
  baseUrls: Record<'token' | 'calendar' | 'meet' | 'drive' | 'driveUpload' | 'iam' | 'metadata', string>
  keyFile: ServiceAccountKeyFile
  users: readonly DomainUser[]
  state: GoogleState
  faults: Faults
  /** Says who is in the call with this meeting code now: the conference records follow. */
  peopleAre(code: string, people: readonly PersonInCall[]): void
  /** Makes every access token invalid at once. */
  revokeTokens(): void
  /** Makes every sync token given out so far answer 410. */
  expireSyncTokens(): void
  /** Ends all connections and pending work; throws what failed in callbacks. Stopping twice is fine. */
  stop(): Promise<void>
}

const defaultScopes = [
  'calendar.events',
  'calendar.events.readonly',
  'meetings.space.settings',
  'meetings.space.readonly',
  'meetings.space.created',
  'drive',
  'drive.file',
  'drive.meet.readonly',
].map(scope)

const clientGone = new Set<string | undefined>(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'])

/** Starts the sandbox and resolves when it listens. */
export async function startGoogle(options: GoogleOptions): Promise<GoogleSandbox> {
  const { host = '127.0.0.1', port = 0, domain = 'clinica.example', nowMs = Date.now } = options
  const users = options.users ?? [`agenda@${domain}`, `testigo@${domain}`, `archivo@${domain}`]
  await mkdir(options.driveDir, { recursive: true })
  const identity = await Identity.create(domain, users, options.delegatedScopes ?? defaultScopes)
  const state = emptyState()
  for (const drive of options.sharedDrives ?? []) state.sharedDrives.set(drive.id, drive)
  const world: World = {
    origin: '',
    driveDir: options.driveDir,
    conferencePendingMs: options.conferencePendingMs ?? 300,
    calendarTimeZone: options.calendarTimeZone ?? 'America/Mexico_City',
    state,
    identity,
    faults: new Faults(),
    timers: new OwnedTimers(),
    nowMs,
    onConference: options.onConference ?? (() => {}),
    onCancelled: options.onCancelled ?? (() => {}),
  }
  const conferences = new ConferenceLife(world, {
    endShowsAfterMs: 3000,
    fileAfterMs: 3000,
    nativeRecording: false,
    ...options.conferences,
  })
  const server = createServer((request, response) => {
    dispatch(world, request, response).catch((error: unknown) => {
      // A reader that went away in the middle of a download ends its connection, and nothing else.
      if (!clientGone.has((error as NodeJS.ErrnoException).code)) world.timers.failures.push(error)
      response.destroy()
    })
  })
  // Large uploads take as long as they take.
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  world.origin = `http://${host}:${(server.address() as AddressInfo).port}`
  const url = world.origin
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= (async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await world.timers.stop()
    })()
    return stopping
  }
  return {
    url,
    baseUrls: {
      token: `${url}/token`,
      calendar: url,
      meet: url,
      drive: url,
      driveUpload: url,
      iam: url,
      metadata: url,
    },
    keyFile: identity.keyFile(url),
    users: identity.users,
    state,
    faults: world.faults,
    peopleAre: (code, people) => conferences.peopleAre(code, people),
    revokeTokens: () => identity.revokeTokens(),
    expireSyncTokens: () => {
      state.calendarRevision++
      state.oldestSyncRevision = state.calendarRevision
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
