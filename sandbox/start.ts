import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConferenceTimes, PersonInCall } from './google/meet/conference-life.ts'
import { type GoogleSandbox, startGoogle } from './google/server.ts'
import type { Meeting } from './meet-web/meeting.ts'
import { type CreateMeeting, type MeetWeb, startMeetWeb } from './meet-web/server.ts'
import { type ObjectStore, startObjectStore } from './s3.ts'
import { signInProfile } from './sign-in.ts'

/** The outside world on this machine: Meet's web app, Google's APIs, an object store. */
export interface Sandbox extends AsyncDisposable {
  meetWeb: MeetWeb
  google: GoogleSandbox
  s3: ObjectStore
  /** Settings that make Testigo talk to this world instead of the real one. */
  env: Record<string, string>
  stop(): Promise<void>
}

export type Calls = Omit<CreateMeeting, 'code'>

export interface SandboxOptions {
  /** Where keys, profiles and objects are kept. */
  dir: string
  chromiumPath?: string
  /** What calls are like that are made through the Calendar; settings of `createMeeting`, or by the event's title. */
  calls?: Calls | ((title: string) => Calls)
  /** Picture of each participant. */
  fps?: number
  tileSize?: { width: number; height: number }
  /** Without a signed-in bot account: guests only. */
  signIn?: boolean
  /** How Google's conference records follow the calls; `nativeRecording` for an edition that records by itself. */
  conferences?: Partial<ConferenceTimes>
  /** Where Google reaches the API, to push what people change in calendars and what happens in calls. */
  publicUrl?: string
  /** For services on other machines or in other containers; without it everything is on free loopback ports. */
  network?: SandboxNetwork
}

export interface SandboxNetwork {
  /** Name of this machine that the others know it by. */
  hostName: string
  ports: { google: number; s3: number; meetWeb: number; control: number }
  /** Where a person's browser reaches the object store. */
  publicS3Endpoint: string
}

const ORGANIZER = 'agenda@clinica.example'
const BOT = { email: 'testigo@clinica.example', name: 'Testigo (grabación)' }
const UPLOADER = 'archivo@clinica.example'
const PUSH_PATH = '/v1/hooks/google/workspace-events'
const BUCKET = 'testigo'
const SHARED_DRIVE = '0AGrabacionesUk9PVA'

/** Starts all of it, on free loopback ports unless told otherwise. Stop it with `stop()` or `await using`. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { network } = options
  await using opened = new AsyncDisposableStack()
  await mkdir(options.dir, { recursive: true })
  const meetWeb = opened.use(
    await startMeetWeb({
      ...(options.chromiumPath ? { chromiumPath: options.chromiumPath } : {}),
      ...(options.fps ? { fps: options.fps } : {}),
      ...(options.tileSize ? { tileSize: options.tileSize } : {}),
      ...(network
        ? { host: '0.0.0.0', port: network.ports.meetWeb, controlPort: network.ports.control }
        : {}),
    }),
  )
  const google = opened.use(
    await startGoogle({
      // Google's answers name its own address, so it listens under the name that the others use.
      ...(network ? { host: network.hostName, port: network.ports.google } : {}),
      driveDir: join(options.dir, 'drive'),
      ...(options.publicUrl ? { plainPushHosts: [new URL(options.publicUrl).hostname] } : {}),
      users: [ORGANIZER, BOT, UPLOADER],
      ...(options.conferences ? { conferences: options.conferences } : {}),
      calendarTimeZone: 'America/Bogota',
      sharedDrives: [{ id: SHARED_DRIVE, name: 'Grabaciones', members: { [UPLOADER]: 'fileOrganizer' } }],
      onConference: ({ code, attendees, summary }) => {
        const calls = typeof options.calls === 'function' ? options.calls(summary) : options.calls
        const call = meetWeb.createMeeting({ access: 'trusted', invited: attendees, ...calls, code })
        call.log.listen(({ type }) => {
          if (type === 'people') google.peopleAre(code, peopleIn(call))
        })
      },
    }),
  )
  const s3 = await startObjectStore({
    dir: join(options.dir, 's3'),
    bucket: BUCKET,
    ...(network ? { host: '0.0.0.0', port: network.ports.s3 } : {}),
  })
  opened.defer(() => s3.stop())
  const keyFile = join(options.dir, 'service-account.json')
  await writeFile(keyFile, JSON.stringify(google.keyFile), { mode: 0o600 })
  const profileDir = join(options.dir, 'bot-profile')
  if (options.signIn !== false) {
    await signInProfile({
      profileDir,
      ...BOT,
      chromiumArgs: meetWeb.chromiumArgs,
      ...(options.chromiumPath ? { chromiumPath: options.chromiumPath } : {}),
    })
  }
  const env = {
    TESTIGO_GOOGLE_KEY_FILE: keyFile,
    TESTIGO_GOOGLE_ORGANIZER: ORGANIZER,
    TESTIGO_GOOGLE_DRIVE_USER: UPLOADER,
    TESTIGO_GOOGLE_DRIVE_FOLDER: SHARED_DRIVE,
    TESTIGO_GOOGLE_TOKEN_URL: google.baseUrls.token,
    TESTIGO_GOOGLE_API_URL: google.url,
    TESTIGO_GOOGLE_MEET_URL: google.url,
    TESTIGO_GOOGLE_EVENTS_URL: google.url,
    TESTIGO_GOOGLE_CERTS_URL: google.baseUrls.certs,
    ...(options.publicUrl ? pushesTo(google, options.publicUrl) : {}),
    TESTIGO_GOOGLE_IAM_URL: google.url,
    TESTIGO_GOOGLE_METADATA_URL: google.url,
    TESTIGO_S3_ENDPOINT: network ? `http://${network.hostName}:${network.ports.s3}` : s3.endpoint,
    ...(network ? { TESTIGO_S3_PUBLIC_ENDPOINT: network.publicS3Endpoint } : {}),
    TESTIGO_S3_BUCKET: BUCKET,
    AWS_ACCESS_KEY_ID: 'sandbox',
    AWS_SECRET_ACCESS_KEY: 'sandbox',
    TESTIGO_BOT_EMAIL: BOT.email,
    TESTIGO_BOT_PROFILE: profileDir,
    CHROMIUM_ARGS: shellQuote(network ? meetWeb.chromiumArgsFor(network.hostName) : meetWeb.chromiumArgs),
    ...(options.chromiumPath ? { CHROMIUM_PATH: options.chromiumPath } : {}),
  }
  const world = opened.move()
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= world.disposeAsync()
    return stopped
  }
  return { meetWeb, google, s3, env, stop, [Symbol.asyncDispose]: stop }
}

/** Has Google push there, as its administrator sets it up, and says so in settings. */
function pushesTo(google: GoogleSandbox, publicUrl: string): Record<string, string> {
  const project = google.keyFile.project_id
  const topic = `projects/${project}/topics/meet`
  const serviceAccountEmail = `pusher@${project}.iam.gserviceaccount.com`
  google.subscribeTopic({ topic, endpoint: `${publicUrl}${PUSH_PATH}`, serviceAccountEmail })
  return {
    TESTIGO_PUBLIC_URL: publicUrl,
    TESTIGO_PUBSUB_TOPIC: topic,
    TESTIGO_PUBSUB_EMAIL: serviceAccountEmail,
  }
}

/** Everybody in a call as Google's records name them: visitors with their account, simulated people as guests. */
function peopleIn(call: Meeting): PersonInCall[] {
  const { people, seats } = call.state()
  const visitors = seats.filter(seat => seat.phase === 'call')
  return [
    ...people.filter(person => person.audioStream >= 0).map(({ id, name }) => ({ id, displayName: name })),
    ...visitors.map(({ id, name, account }) => ({
      id,
      displayName: name,
      ...(account && { email: account.email }),
    })),
  ]
}

const shellQuote = (words: readonly string[]) =>
  words.map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
