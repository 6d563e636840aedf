import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expireChannels, tellChannels } from './calendar/channels.ts'
import { expireSyncTokens } from './calendar/list-page.ts'
import { type PersonAction, personDoes } from './calendar/people.ts'
import { dispatch } from './dispatch.ts'
import type { SharedDrive } from './drive/file.ts'
import { Faults } from './faults.ts'
import { type DomainUser, Identity, type NewUser, type ServiceAccountKeyFile } from './identity.ts'
import { ConferenceLife, type ConferenceTimes, type PersonInCall } from './meet/conference-life.ts'
import { type IdentityClaims, OidcSigner } from './oidc.ts'
import { emptyState, type GoogleState } from './state.ts'
import { OwnedTimers } from './timers.ts'
import { type PushSubscription, subscribeTopic } from './workspace-events/pubsub.ts'
import { type Lifecycle, passLifecycle, tellSubscriptions } from './workspace-events/subscription.ts'
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
  /** How long a push gathers changes before it leaves, and the first wait before it is tried again. */
  pushTimes?: Partial<World['pushTimes']>
  /** Hosts besides loopback that calendar channels may push to without TLS. */
  plainPushHosts?: readonly string[]
  /** The sandbox's clock, in milliseconds since 1970. */
  nowMs?: () => number
  /** Called before an answer leaves, which waits for it: a Google that is far away. */
  beforeAnswer?: World['beforeAnswer']
}

/** Google on loopback: every API at one origin with Google's own paths. */
export interface GoogleSandbox extends AsyncDisposable {
  /** Origin, without a trailing slash. */
  url: string
  /** Origins to put in the place of Google's hosts; `token` and `certs` (a JWKS) are whole addresses. */
  baseUrls: Record<
    | 'token'
    | 'certs'
    | 'calendar'
    | 'meet'
    | 'drive'
    | 'driveUpload'
    | 'iam'
    | 'metadata'
    | 'workspaceEvents',
    string
  >
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
  /** Does what a person does in the calendar's own pages; answers with the id of the event it ended up at. */
  personDoes(action: PersonAction): Promise<{ eventId: string }>
  /** Lets every push channel on a calendar run out now: nobody is told. */
  expireChannels(): void
  /** Adds a push subscription to a Pub/Sub topic of the project and returns its name. */
  subscribeTopic(subscription: PushSubscription): string
  /** Suspends, ends or reminds of the end of every subscription of the Workspace Events API. */
  passLifecycle(happening: Lifecycle, suspensionReason?: string): void
  /** An identity token signed by accounts.google.com, with these claims in place of the usual ones. */
  identityToken(claims: IdentityClaims): string
  /** Signs identity tokens with another key from now on. */
  rotateIdentityKeys(earlier?: 'kept' | 'withdrawn'): Promise<void>
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
  const oidc = await OidcSigner.create()
  const state = emptyState()
  for (const drive of options.sharedDrives ?? []) state.sharedDrives.set(drive.id, drive)
  const world: World = {
    origin: '',
    driveDir: options.driveDir,
    conferencePendingMs: options.conferencePendingMs ?? 300,
    calendarTimeZone: options.calendarTimeZone ?? 'America/Mexico_City',
    pushTimes: { delayMs: 20, retryMs: 200, ...options.pushTimes },
    plainPushHosts: ['127.0.0.1', 'localhost', '[::1]', ...(options.plainPushHosts ?? [])],
    state,
    identity,
    oidc,
    faults: new Faults(),
    timers: new OwnedTimers(),
    nowMs,
    beforeAnswer: options.beforeAnswer ?? (() => {}),
    onConference: options.onConference ?? (() => {}),
    onCancelled: options.onCancelled ?? (() => {}),
    onCalendarChange: calendars => tellChannels(world, calendars),
    onMeetEvent: event => tellSubscriptions(world, event),
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
      certs: `${url}/oauth2/v3/certs`,
      calendar: url,
      meet: url,
      drive: url,
      driveUpload: url,
      iam: url,
      metadata: url,
      workspaceEvents: url,
    },
    keyFile: identity.keyFile(url),
    users: identity.users,
    state,
    faults: world.faults,
    peopleAre: (code, people) => conferences.peopleAre(code, people),
    revokeTokens: () => identity.revokeTokens(),
    expireSyncTokens: () => expireSyncTokens(state),
    personDoes: action => personDoes(world, action),
    expireChannels: () => expireChannels(world),
    subscribeTopic: subscription => subscribeTopic(world, subscription),
    passLifecycle: (happening, reason = 'USER_SCOPE_REVOKED') => {
      for (const subscription of [...state.subscriptions.values()])
        passLifecycle(world, subscription, happening, reason)
    },
    identityToken: claims => oidc.token(claims, nowMs()),
    rotateIdentityKeys: earlier => oidc.rotate(earlier),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
