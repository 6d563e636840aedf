import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Clock, systemClock } from '../clock.ts'
import { type Config, SettingsRefused } from '../config.ts'
import { startAuditChaining } from '../db/audit-notes.ts'
import { openDatabase } from '../db/connect.ts'
import { openJobs } from '../db/jobs.ts'
import { openMeetingLocks } from '../db/meeting-locks.ts'
import { createGoogle } from '../google/google.ts'
import { createPushTokens, type PushTokens } from '../google/push-token.ts'
import type { Log } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { followedCalendar } from './calendar-following/follow-first.ts'
import { EVENTS_HOOK, followingSettings } from './calendar-following/following-deps.ts'
import { startFollowing } from './calendar-following/start-following.ts'
import { startForgetting } from './idempotency/forget.ts'
import { openPostOffice } from './mail/post-office.ts'
import { startReminding } from './mail/remind.ts'
import { startMailSender } from './mail/sender.ts'
import { openGoogleSignIn } from './people/google-sign-in.ts'
import { createGoogleMeet } from './providers/google-meet.ts'
import { createProvisioning } from './provisioning.ts'
import { createRecordingLink } from './recording-link.ts'
import { createServer } from './server.ts'
import { openAccessTokens } from './tokens/access-tokens.ts'
import { openSigningKeys } from './tokens/signing-keys.ts'
import { createResolve } from './webhooks/destination.ts'
import { startDispatcher } from './webhooks/dispatcher.ts'
import { openVault } from './webhooks/vault.ts'

export interface RunningApi extends AsyncDisposable {
  /** Where it listens, e.g. `http://127.0.0.1:8080`. */
  url: string
  /** Ends requests and work on their way, each within limits, then closes everything. May be called twice. */
  close(): Promise<void>
}

/** The API could not listen; the message says what to set. */
export class CannotListen extends Error {
  readonly code = 'cannot_listen'
}

const CLOSE_LIMIT_MS = 10_000
// A request waits for Google a little longer than one call to Google may take; the rest is for the job.
const BEYOND_GOOGLE_MS = 5000

/**
 * Starts the API on a database whose tables are made (see `migrateDatabase`).
 * @param config `PORT` 0 takes any free port
 * @throws {SettingsRefused} without an organizer; {@link CannotListen}
 */
export async function startApi(
  config: Config,
  deps: { databaseUrl: string; log: Log; clock?: Clock },
): Promise<RunningApi> {
  const { databaseUrl, log, clock = systemClock } = deps
  const { organizer } = config.google
  if (organizer === undefined)
    throw new SettingsRefused([
      'TESTIGO_GOOGLE_ORGANIZER is missing. Set it to: Workspace user in whose calendar the meetings are made.',
    ])
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(databaseUrl, { max: 10, prepared: true }))
  const chaining = startAuditChaining({ db: database.db, log })
  opened.defer(() => chaining.close())
  const locks = opened.use(
    openMeetingLocks(databaseUrl, error => log.error({ error }, 'a lock could not be given back')),
  )
  const jobs = opened.use(
    await openJobs(databaseUrl, error => log.error({ error }, 'the job queue complains')),
  )
  const store = opened.adopt(createStore(config.storage, log), open => open.close())
  const google = createGoogle(config.google, { log, clock })
  const provider = createGoogleMeet({
    google,
    settings: config.google,
  })
  const settings = followingSettings(config, organizer)
  const toFollow = config.following.pollMs > 0 && {
    ...{ db: database.db, jobs, locks, google, provider, clock, log, settings },
  }
  const provisioning = createProvisioning({
    db: database.db,
    jobs,
    locks,
    provider,
    settings: config.patience,
    clock,
    log,
    ...(toFollow && { calendar: followedCalendar(toFollow) }),
  })
  opened.defer(() => provisioning.close(CLOSE_LIMIT_MS))
  const vault = openVault({ key: config.encryptionKey, dataDir: config.dataDir, log })
  const signingKeys = openSigningKeys({ db: database.db, vault, clock, log })
  const { publicUrl } = config.api
  const app = createServer({
    ...config.api,
    publicUrl,
    signingKeys,
    tokens: openAccessTokens({ keys: signingKeys, issuer: publicUrl ?? 'urn:testigo', clock }),
    google: openGoogleSignIn({
      database: database.db,
      vault,
      clock,
      settings: { ...config.googleSignIn, publicUrl },
    }),
    pushTokens: pushTokensOf(config, clock),
    database: database.db,
    jobs,
    provider,
    provisioning,
    settings: config.patience,
    clock,
    log,
    organizer,
    hasSecondBot: config.google.secondBotEmail !== undefined || config.bot.guest,
    googleLimitMs: config.google.timeoutMs + BEYOND_GOOGLE_MS,
    recordingLink: createRecordingLink(store, { linkSeconds: config.storage.linkSeconds, clock }),
    vault,
    allowPrivateWebhooks: config.webhooks.allowPrivate,
  })
  const dispatcher = await startDispatcher({
    db: database.db,
    databaseUrl,
    vault,
    settings: config.webhooks,
    resolve: createResolve(config.webhooks.allowPrivate),
    clock,
    log,
  })
  opened.defer(() => dispatcher.close(CLOSE_LIMIT_MS))
  const mail = mailSettings(config)
  if (mail) {
    const sender = startMailSender({ db: database.db, postOffice: openPostOffice(mail), clock, log })
    opened.defer(() => sender.close(CLOSE_LIMIT_MS))
  } else log.warn({}, 'TESTIGO_SMTP_URL is not set: no mail is sent')
  const forgetting = startForgetting({ db: database.db, clock, log })
  opened.defer(() => forgetting.close(CLOSE_LIMIT_MS))
  const reminding = startReminding({ db: database.db, clock, log })
  opened.defer(() => reminding.close(CLOSE_LIMIT_MS))
  const server = createHttpServer(app)
  await listen(server, config.api)
  opened.defer(() => stopListening(server))
  await provisioning.start()
  opened.defer(() => jobs.stopTaking('provision-meeting'))
  opened.defer(() => jobs.stopTaking('provision-series'))
  if (toFollow) {
    const following = await startFollowing(toFollow)
    opened.defer(() => following.close(CLOSE_LIMIT_MS))
  } else log.warn({}, 'TESTIGO_CALENDAR_POLL_SECONDS is 0: what people change in calendars is not followed')

  const { port } = server.address() as AddressInfo
  const host = config.api.host.includes(':') ? `[${config.api.host}]` : config.api.host
  const parts = opened.move()
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= parts.disposeAsync()
    return closed
  }
  return { url: `http://${host}:${port}`, close, [Symbol.asyncDispose]: close }
}

/** Whose pushes of Pub/Sub are let in; nobody's, where it is not said as whom and to which audience they come. */
function pushTokensOf({ following, api }: Config, clock: Clock): PushTokens | undefined {
  const { pushEmail: email, certsUrl } = following
  const audience = following.pushAudience ?? (api.publicUrl && `${api.publicUrl}${EVENTS_HOOK}`)
  return email && audience ? createPushTokens({ audience, email, certsUrl }, { clock }) : undefined
}

/** @throws {SettingsRefused} for a mail server without a sender */
function mailSettings({ mail: { smtpUrl, from } }: Config): { smtpUrl: string; from: string } | undefined {
  if (smtpUrl === undefined) return undefined
  if (from === undefined)
    throw new SettingsRefused([
      'TESTIGO_MAIL_FROM is missing. Set it to: the sender of mail, such as Testigo <testigo@example.com>.',
    ])
  return { smtpUrl, from }
}

type HttpServer = ReturnType<typeof createHttpServer>

async function listen(server: HttpServer, { host, port }: Config['api']): Promise<void> {
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      {
        EADDRINUSE: `Port ${port} is taken by another program. Set PORT to a free one, or to 0 for any.`,
        EACCES: `Port ${port} needs more rights. Set PORT to one above 1023.`,
        EADDRNOTAVAIL: `This machine has no address ${host}. Set TESTIGO_HOST, for example to 0.0.0.0.`,
        ENOTFOUND: `The name ${host} is unknown. Set TESTIGO_HOST, for example to 0.0.0.0.`,
      }[code ?? ''] ?? `The API cannot listen on ${host}:${port}.`
    throw new CannotListen(why, { cause: error })
  }
}

/** Takes no more requests, lets those on their way end, and cuts off what takes too long. */
async function stopListening(server: HttpServer): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const cutOff = setTimeout(() => server.closeAllConnections(), CLOSE_LIMIT_MS)
  await closed
  clearTimeout(cutOff)
}
