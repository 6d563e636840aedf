import { isIP } from 'node:net'
import { cpus, hostname } from 'node:os'
import { z } from 'zod'

/**
 * Every setting of Testigo: one schema, read once per process, refused as a whole with sentences that say what to set.
 * Our names begin with TESTIGO_; an unknown one is refused, so that a misspelt setting is never silently ignored.
 * `.env.example` and the table in the README are generated from here (`npm run settings`).
 */

const text = z.string().trim().min(1)
const seconds = (from: number, to: number) => z.coerce.number().int().min(from).max(to)
const onOff = (unset: 'on' | 'off') =>
  z
    .enum(['on', 'off'])
    .default(unset)
    .transform(word => word === 'on')
const url = z.url({ protocol: /^https?$/ }).transform(value => value.replace(/\/+$/, ''))

const list = (fits: (entry: string) => boolean, message: string) =>
  z
    .string()
    .default('')
    .transform(given =>
      given
        .split(',')
        .map(entry => entry.trim())
        .filter(Boolean),
    )
    .refine(entries => entries.every(fits), message)

const SETTINGS = {
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    about: 'PostgreSQL to use. Without it an embedded PostgreSQL runs in the data folder',
    example: 'postgres://testigo:secret@db:5432/testigo',
  },
  PORT: { schema: z.coerce.number().int().min(0).max(65535).default(8080), about: 'Port of the API' },
  TESTIGO_HOST: {
    schema: text.default('127.0.0.1'),
    about: 'Address the API listens on (0.0.0.0 in a container)',
  },
  TESTIGO_DATA_DIR: {
    schema: text.default('.testigo'),
    about: 'Folder for the embedded database, profiles and work in progress',
  },
  TESTIGO_LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    about: 'Least level that is logged: debug, info, warn, error, silent',
  },
  TESTIGO_METRICS_TOKEN: {
    schema: z.string().trim().min(16, 'must be at least 16 characters long').optional(),
    about: 'Bearer token with which GET /metrics of the API is read (Prometheus); without it there is none',
  },
  TESTIGO_PUBLIC_URL: {
    schema: url.optional(),
    about:
      'Address under which callers reach the API: the issuer of access tokens, and where Google sends people back to',
    example: 'https://testigo.example.com',
  },
  TESTIGO_TRUSTED_PROXIES: {
    schema: list(
      entry => isProxy(entry),
      'must be addresses or networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal',
    ),
    about:
      'Proxies in front of the API whose X-Forwarded-For is believed, separated by commas; without it the caller is whoever connects',
    example: 'uniquelocal',
  },
  TESTIGO_CORS_ORIGINS: {
    schema: list(isOrigin, 'must be origins such as https://app.example.com'),
    about: 'Origins whose pages may call the API from a browser, separated by commas; without it none',
    example: 'https://app.example.com',
  },
  TESTIGO_RATE_LIMIT: {
    schema: z.coerce.number().int().min(0).max(1_000_000).default(1200),
    about: 'Requests a minute of one key or person, for each API process; 0: no limit',
  },
  TESTIGO_SIGN_IN_RATE_LIMIT: {
    schema: z.coerce.number().int().min(0).max(100_000).default(30),
    about:
      'Signings in and token requests a minute of one address, and as often keys that are refused, for each API process; 0: no limit',
  },

  TESTIGO_GOOGLE_KEY_FILE: {
    schema: text.optional(),
    about: 'Service account key (JSON) with domain-wide delegation',
    example: '/run/secrets/google-key.json',
  },
  TESTIGO_GOOGLE_SERVICE_ACCOUNT: {
    schema: z.email().optional(),
    about:
      'Service account to sign for without a key file (keyless, through signJwt of the runtime identity)',
    example: 'testigo@project.iam.gserviceaccount.com',
  },
  TESTIGO_GOOGLE_ORGANIZER: {
    schema: z.email().optional(),
    about: 'Workspace user in whose calendar the meetings are made',
    example: 'agenda@example.com',
  },
  TESTIGO_GOOGLE_DRIVE_USER: {
    schema: z.email().optional(),
    about: 'Workspace user who uploads to Drive (default: the organizer)',
    example: 'archivo@example.com',
  },
  TESTIGO_GOOGLE_DRIVE_FOLDER: {
    schema: text.optional(),
    about:
      'Id of the Drive folder or shared drive that takes the recordings; without it nothing goes to Drive',
  },
  TESTIGO_GOOGLE_TOKEN_URL: {
    schema: url.default('https://oauth2.googleapis.com/token'),
    about: 'OAuth token endpoint',
  },
  TESTIGO_GOOGLE_API_URL: {
    schema: url.default('https://www.googleapis.com'),
    about: 'Root of Calendar and Drive',
  },
  TESTIGO_GOOGLE_MEET_URL: {
    schema: url.default('https://meet.googleapis.com'),
    about: 'Root of the Meet REST API',
  },
  TESTIGO_GOOGLE_EVENTS_URL: {
    schema: url.default('https://workspaceevents.googleapis.com'),
    about: 'Root of the Workspace Events API',
  },
  TESTIGO_GOOGLE_CERTS_URL: {
    schema: url.default('https://www.googleapis.com/oauth2/v3/certs'),
    about: "Google's public keys, with which pushes of Pub/Sub are checked",
  },
  TESTIGO_GOOGLE_IAM_URL: {
    schema: url.default('https://iamcredentials.googleapis.com'),
    about: 'Root of IAM Credentials (signJwt)',
  },
  TESTIGO_GOOGLE_METADATA_URL: {
    schema: url.default('http://metadata.google.internal'),
    about: 'Where the runtime identity gets its token in keyless mode',
  },
  TESTIGO_GOOGLE_TIMEOUT_SECONDS: {
    schema: seconds(1, 300).default(20),
    about: 'Limit of one call to Google, retries included',
  },
  TESTIGO_GOOGLE_CLIENT_ID: {
    schema: text.optional(),
    about: 'OAuth client with which people sign in with Google; without it nobody does',
    example: '1234.apps.googleusercontent.com',
  },
  TESTIGO_GOOGLE_CLIENT_SECRET: { schema: text.optional(), about: 'Secret of that OAuth client' },
  TESTIGO_GOOGLE_ISSUER_URL: {
    schema: url.default('https://accounts.google.com'),
    about: "Issuer of Google's identity tokens (OpenID Connect)",
  },
  TESTIGO_CALENDAR_POLL_SECONDS: {
    schema: seconds(0, 86_400).default(120),
    about:
      'How long after a calendar was read it is read again where no push came (pushes need TESTIGO_PUBLIC_URL with https); 0: what people change in calendars is not followed',
  },
  TESTIGO_CAPTURE_CALENDARS: {
    schema: list(isEmail, 'must be e-mail addresses, separated by commas').transform(entries =>
      entries.map(entry => entry.toLowerCase()),
    ),
    about:
      'Workspace users, separated by commas, all of whose events with a Meet link are recorded, also those not made by Testigo',
    example: 'direccion@example.com,comite@example.com',
  },
  TESTIGO_CAPTURE_ORGANIZATION: {
    schema: text.optional(),
    about: "Organisation that gets these meetings; without it, the one with the calendar's Google domain",
    example: 'Clínica',
  },
  TESTIGO_PUBSUB_TOPIC: {
    schema: z
      .string()
      .trim()
      .regex(/^projects\/[\w.:-]+\/topics\/[\w.~+%-]+$/, 'must look like projects/my-project/topics/meet')
      .optional(),
    about:
      'Pub/Sub topic to which Workspace Events tells what happens in calls; without it nothing is subscribed',
    example: 'projects/my-project/topics/meet',
  },
  TESTIGO_PUBSUB_EMAIL: {
    schema: z.email().optional(),
    about: 'Service account as which the push subscription of that topic pushes; without it no push is taken',
    example: 'pusher@my-project.iam.gserviceaccount.com',
  },
  TESTIGO_PUBSUB_AUDIENCE: {
    schema: text.optional(),
    about: 'Audience of these pushes; default: TESTIGO_PUBLIC_URL and /v1/hooks/google/workspace-events',
  },
  TESTIGO_MEET_ACCESS: {
    schema: z.enum(['OPEN', 'TRUSTED', 'RESTRICTED']).default('TRUSTED'),
    about: 'Who joins without knocking: OPEN, TRUSTED or RESTRICTED',
  },
  TESTIGO_MEET_AUTO_RECORDING: {
    schema: onOff('on'),
    about: "Ask for Google's own recording as a second source where the edition has it: on or off",
  },

  TESTIGO_S3_BUCKET: { schema: text.default('testigo'), about: 'Bucket of the recordings' },
  TESTIGO_S3_ENDPOINT: {
    schema: url.optional(),
    about: 'S3-compatible endpoint (default: AWS)',
    example: 'http://127.0.0.1:9000',
  },
  TESTIGO_S3_PUBLIC_ENDPOINT: {
    schema: url.optional(),
    about: 'Endpoint written into download links, where it differs from the one above',
  },
  TESTIGO_S3_PREFIX: { schema: z.string().trim().default(''), about: 'Put before every object name' },
  TESTIGO_S3_LINK_SECONDS: {
    schema: seconds(60, 604_800).default(3600),
    about: 'How long a download link works',
  },
  TESTIGO_S3_LOCK_DAYS: {
    schema: z.coerce.number().int().min(0).max(36_500).default(0),
    about:
      'Days for which nobody can remove a video, its manifest and kept segments, where the bucket has Object Lock; 0: only its own default',
  },
  TESTIGO_S3_LOCK_MODE: {
    schema: z.enum(['COMPLIANCE', 'GOVERNANCE']).default('GOVERNANCE'),
    about:
      'How strictly: COMPLIANCE binds the owner of the account too, GOVERNANCE all but those with a special permission',
  },
  TESTIGO_KEEP_SEGMENTS: {
    schema: onOff('on'),
    about: "Keep the segments' own objects after the video is available: on or off",
  },
  TESTIGO_UPLOAD_TIMEOUT_SECONDS: {
    schema: seconds(5, 86_400).default(1500),
    about: 'Wall clock of one upload',
  },
  AWS_REGION: { schema: text.default('us-east-1'), about: 'AWS region' },
  AWS_ACCESS_KEY_ID: { schema: text.optional(), about: "AWS key (default: the machine's role)" },
  AWS_SECRET_ACCESS_KEY: { schema: text.optional(), about: 'AWS secret' },
  AWS_SESSION_TOKEN: { schema: text.optional(), about: 'AWS session token' },

  TESTIGO_RECORDER_SLOTS: {
    schema: z.coerce
      .number()
      .int()
      .min(1)
      .max(64)
      .default(Math.max(1, Math.floor(cpus().length / 2))),
    about: 'Meetings one recorder records at once',
    shownDefault: 'cores ÷ 2, at least 1',
  },
  TESTIGO_ADMISSION: {
    schema: z.enum(['load', 'slots']).default('load'),
    about:
      'What decides whether a recorder takes one more meeting: load (slots and the measured load of the machine) or slots alone',
  },
  TESTIGO_RECORDER_HOST: {
    schema: z
      .string()
      .trim()
      .regex(/^[\w.-]+$/, 'must be letters, digits, dots and hyphens')
      .optional(),
    about:
      'Name of the machine a recorder runs on; the two recorders of a redundant recording never share one',
    shownDefault: 'host name',
  },
  TESTIGO_DRAIN_SECONDS: {
    schema: seconds(0, 86_400).default(0),
    about: 'How long a recorder that gets SIGTERM stays in its calls before it calls others to take over',
  },
  TESTIGO_SPOOL_MB: {
    schema: z.coerce.number().int().min(16).max(1_000_000).default(4000),
    about:
      'Disk that segments of one call may fill while the bucket or the database is away, in megabytes; beyond it the oldest keep only their key frames',
  },
  TESTIGO_VIDEO_SIZE: {
    schema: z
      .string()
      .regex(/^\d{3,4}x\d{3,4}$/, 'must look like 1280x720')
      .default('1280x720')
      .transform(size => {
        const [width = 0, height = 0] = size.split('x').map(Number)
        return { width, height }
      }),
    about: 'Size of the picture',
  },
  TESTIGO_VIDEO_FPS: {
    schema: z.coerce.number().int().min(5).max(60).default(30),
    about: 'Frames per second',
  },
  TESTIGO_VIDEO_BITRATE: {
    schema: z.coerce.number().int().min(100_000).max(20_000_000).default(2_500_000),
    about: 'Bits per second of the picture',
  },
  TESTIGO_SEGMENT_SECONDS: { schema: seconds(2, 30).default(4), about: 'Length of a segment' },
  TESTIGO_BOT_EMAIL: {
    schema: z.email().optional(),
    about: 'Workspace account of the bot: invited to every meeting, signed in in its profile',
    example: 'testigo@example.com',
  },
  TESTIGO_BOT_PROFILE: {
    schema: text.optional(),
    about: "Folder of the bot's browser profile (made by npm run sign-in-bot)",
  },
  TESTIGO_SECOND_BOT_EMAIL: {
    schema: z.email().optional(),
    about: 'Workspace account of the second bot, for meetings with redundancy 2',
    example: 'testigo2@example.com',
  },
  TESTIGO_SECOND_BOT_PROFILE: {
    schema: text.optional(),
    about: "Folder of the second bot's browser profile",
  },
  TESTIGO_BOT_GUEST: {
    schema: onOff('off'),
    about: 'Join as a guest instead of the signed-in account: on or off',
  },
  TESTIGO_BOT_NAME: {
    schema: text.default('Testigo (grabación)'),
    about: 'Name of the bot when it joins as a guest',
  },
  TESTIGO_MEET_LANGUAGE: {
    schema: z.enum(['en', 'es']).default('en'),
    about: "Language asked of Meet's page",
  },
  CHROMIUM_PATH: { schema: text.default('/usr/bin/chromium'), about: 'Chromium to start' },
  CHROMIUM_ARGS: { schema: z.string().default(''), about: 'Extra flags, split as a shell splits words' },
  TESTIGO_CHROMIUM_SANDBOX: {
    schema: z.enum(['on', 'off', 'auto']).default('auto'),
    about: "Chromium's own sandbox: on, off, or auto (off only for root)",
  },

  TESTIGO_JOIN_LEAD_SECONDS: {
    schema: seconds(0, 900).default(60),
    about: 'How long before the start the bot joins',
  },
  TESTIGO_WAITING_ROOM_SECONDS: {
    schema: seconds(5, 3600).default(600),
    about: 'How long one knock waits before the bot knocks again',
  },
  TESTIGO_NOBODY_CAME_SECONDS: {
    schema: seconds(5, 86_400).default(900),
    about: 'How long after the start the bot waits for the first person',
  },
  TESTIGO_EVERYONE_LEFT_SECONDS: {
    schema: seconds(1, 3600).default(180),
    about: 'How long the bot stays after everyone left',
  },
  TESTIGO_ONLY_BOTS_SECONDS: {
    schema: seconds(1, 3600).default(180),
    about: 'How long the bot stays with other bots only',
  },
  TESTIGO_LONGEST_EXTRA_SECONDS: {
    schema: seconds(60, 86_400).default(14_400),
    about: 'How long past its scheduled end a call is recorded',
  },
  TESTIGO_COVERAGE_ALERT_PERCENT: {
    schema: z.coerce.number().min(0).max(100).default(99),
    about:
      'Part of the time with people in a call that must be in its recording; less raises an alert, 0 never',
  },
  TESTIGO_ENCRYPTION_KEY: {
    schema: z
      .string()
      .refine(isEncryptionKey, 'must be 32 bytes in base64, as "openssl rand -base64 32" prints them')
      .transform(key => Buffer.from(key, 'base64'))
      .optional(),
    about:
      'Key that webhook secrets and the keys of access tokens are encrypted with, 32 bytes in base64, the same for every API process. Without it one is made in the data folder',
  },
  TESTIGO_SMTP_URL: {
    schema: z.url({ protocol: /^smtps?$/, error: 'must look like smtp://user:password@host:587' }).optional(),
    about:
      'Mail server that mail goes through: smtp:// (STARTTLS where it has it, always with ?tls=required) or smtps://. Without it no mail is sent',
    example: 'smtp://testigo:secret@mail.example.com:587?tls=required',
  },
  TESTIGO_MAIL_FROM: {
    schema: text.optional(),
    about: 'Sender of mail; needed where there is a mail server',
    example: 'Testigo <testigo@example.com>',
  },
  TESTIGO_WEBHOOK_ALLOW_PRIVATE: {
    schema: onOff('off'),
    about: 'Let webhooks go to private and loopback addresses, and over plain http: on or off',
  },
  TESTIGO_WEBHOOK_TIMEOUT_SECONDS: {
    schema: seconds(1, 60).default(15),
    about: 'Wall clock of one post to a webhook, name look-up and answer included',
  },
  TESTIGO_WEBHOOK_DISABLE_AFTER_HOURS: {
    schema: z.coerce.number().int().min(1).max(720).default(24),
    about: 'A webhook that has only failed for this long is disabled',
  },
  TESTIGO_WEBHOOK_LOG_DAYS: {
    schema: z.coerce.number().int().min(1).max(400).default(30),
    about: 'How long webhook events and their deliveries are kept',
  },
} satisfies Record<string, Setting>

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text
}

function isEmail(text: string): boolean {
  return z.email().safeParse(text).success
}

function isProxy(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address) as 0 | 4 | 6]
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most)
  return most > 0 && fits && rest.length === 0
}

function isEncryptionKey(text: string): boolean {
  return /^[A-Za-z0-9+/]{43}=$/.test(text)
}

interface Setting {
  schema: z.ZodType
  about: string
  example?: string
  shownDefault?: string
}

type Values = { [Name in keyof typeof SETTINGS]: z.output<(typeof SETTINGS)[Name]['schema']> }

/** The settings could not be used; `sentences` say what to set, one for each fault. */
export class SettingsRefused extends Error {
  readonly code = 'settings_refused'
  readonly sentences: readonly string[]
  constructor(sentences: readonly string[]) {
    super(`The settings are not usable:\n${sentences.map(line => `  - ${line}`).join('\n')}`)
    this.name = 'SettingsRefused'
    this.sentences = sentences
  }
}

/**
 * Reads the settings from an environment.
 * @throws {SettingsRefused} with every fault at once
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults = Object.keys(env)
    .filter(name => name.startsWith('TESTIGO_') && !(name in SETTINGS))
    .map(name => `${name} is not a setting of Testigo${nearest(name)}`)
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(SETTINGS)) {
    // An empty value is what an unset line of a compose file gives: the default applies.
    const given = env[name] === '' ? undefined : env[name]
    const parsed = setting.schema.safeParse(given)
    if (parsed.success) values[name] = parsed.data
    else
      faults.push(
        `${name}: ${parsed.error.issues.map(issue => issue.message).join('; ')}. Set it to: ${setting.about}.`,
      )
  }
  if (faults.length > 0) throw new SettingsRefused(faults)
  return shape(values as Values)
}

export type Config = ReturnType<typeof shape>

function shape(v: Values) {
  return {
    databaseUrl: v.DATABASE_URL,
    dataDir: v.TESTIGO_DATA_DIR,
    logLevel: v.TESTIGO_LOG_LEVEL,
    api: {
      host: v.TESTIGO_HOST,
      port: v.PORT,
      metricsToken: v.TESTIGO_METRICS_TOKEN,
      publicUrl: v.TESTIGO_PUBLIC_URL,
      trustedProxies: v.TESTIGO_TRUSTED_PROXIES,
      corsOrigins: v.TESTIGO_CORS_ORIGINS,
      requestsPerMinute: v.TESTIGO_RATE_LIMIT,
      signInsPerMinute: v.TESTIGO_SIGN_IN_RATE_LIMIT,
    },
    googleSignIn: {
      clientId: v.TESTIGO_GOOGLE_CLIENT_ID,
      clientSecret: v.TESTIGO_GOOGLE_CLIENT_SECRET,
      issuerUrl: v.TESTIGO_GOOGLE_ISSUER_URL,
    },
    google: {
      keyFile: v.TESTIGO_GOOGLE_KEY_FILE,
      serviceAccount: v.TESTIGO_GOOGLE_SERVICE_ACCOUNT,
      organizer: v.TESTIGO_GOOGLE_ORGANIZER,
      driveUser: v.TESTIGO_GOOGLE_DRIVE_USER ?? v.TESTIGO_GOOGLE_ORGANIZER,
      driveFolder: v.TESTIGO_GOOGLE_DRIVE_FOLDER,
      tokenUrl: v.TESTIGO_GOOGLE_TOKEN_URL,
      apiUrl: v.TESTIGO_GOOGLE_API_URL,
      meetUrl: v.TESTIGO_GOOGLE_MEET_URL,
      workspaceEventsUrl: v.TESTIGO_GOOGLE_EVENTS_URL,
      iamUrl: v.TESTIGO_GOOGLE_IAM_URL,
      metadataUrl: v.TESTIGO_GOOGLE_METADATA_URL,
      timeoutMs: v.TESTIGO_GOOGLE_TIMEOUT_SECONDS * 1000,
      accessType: v.TESTIGO_MEET_ACCESS,
      autoRecording: v.TESTIGO_MEET_AUTO_RECORDING,
      botEmail: v.TESTIGO_BOT_EMAIL,
      secondBotEmail: v.TESTIGO_SECOND_BOT_EMAIL,
    },
    following: {
      pollMs: v.TESTIGO_CALENDAR_POLL_SECONDS * 1000,
      captureCalendars: v.TESTIGO_CAPTURE_CALENDARS,
      captureOrganization: v.TESTIGO_CAPTURE_ORGANIZATION,
      topic: v.TESTIGO_PUBSUB_TOPIC,
      pushEmail: v.TESTIGO_PUBSUB_EMAIL,
      pushAudience: v.TESTIGO_PUBSUB_AUDIENCE,
      certsUrl: v.TESTIGO_GOOGLE_CERTS_URL,
    },
    storage: {
      bucket: v.TESTIGO_S3_BUCKET,
      endpoint: v.TESTIGO_S3_ENDPOINT,
      publicEndpoint: v.TESTIGO_S3_PUBLIC_ENDPOINT ?? v.TESTIGO_S3_ENDPOINT,
      prefix: v.TESTIGO_S3_PREFIX,
      linkSeconds: v.TESTIGO_S3_LINK_SECONDS,
      lockDays: v.TESTIGO_S3_LOCK_DAYS,
      lockMode: v.TESTIGO_S3_LOCK_MODE,
      keepSegments: v.TESTIGO_KEEP_SEGMENTS,
      uploadTimeoutMs: v.TESTIGO_UPLOAD_TIMEOUT_SECONDS * 1000,
      region: v.AWS_REGION,
      accessKeyId: v.AWS_ACCESS_KEY_ID,
      secretAccessKey: v.AWS_SECRET_ACCESS_KEY,
      sessionToken: v.AWS_SESSION_TOKEN,
    },
    recorder: {
      host: v.TESTIGO_RECORDER_HOST ?? hostname(),
      admission: v.TESTIGO_ADMISSION,
      drainMs: v.TESTIGO_DRAIN_SECONDS * 1000,
      spoolBytes: v.TESTIGO_SPOOL_MB * 1_000_000,
      slots: v.TESTIGO_RECORDER_SLOTS,
      width: v.TESTIGO_VIDEO_SIZE.width,
      height: v.TESTIGO_VIDEO_SIZE.height,
      fps: v.TESTIGO_VIDEO_FPS,
      videoBitsPerSecond: v.TESTIGO_VIDEO_BITRATE,
      segmentSeconds: v.TESTIGO_SEGMENT_SECONDS,
    },
    bot: {
      email: v.TESTIGO_BOT_EMAIL,
      profileDir: v.TESTIGO_BOT_PROFILE,
      second: { email: v.TESTIGO_SECOND_BOT_EMAIL, profileDir: v.TESTIGO_SECOND_BOT_PROFILE },
      guest: v.TESTIGO_BOT_GUEST,
      name: v.TESTIGO_BOT_NAME,
      language: v.TESTIGO_MEET_LANGUAGE,
    },
    chromium: { path: v.CHROMIUM_PATH, args: v.CHROMIUM_ARGS, sandbox: v.TESTIGO_CHROMIUM_SANDBOX },
    coverage: { alertPercent: v.TESTIGO_COVERAGE_ALERT_PERCENT },
    patience: {
      joinLeadSeconds: v.TESTIGO_JOIN_LEAD_SECONDS,
      waitingRoomSeconds: v.TESTIGO_WAITING_ROOM_SECONDS,
      nobodyCameSeconds: v.TESTIGO_NOBODY_CAME_SECONDS,
      everyoneLeftSeconds: v.TESTIGO_EVERYONE_LEFT_SECONDS,
      onlyBotsSeconds: v.TESTIGO_ONLY_BOTS_SECONDS,
      longestExtraSeconds: v.TESTIGO_LONGEST_EXTRA_SECONDS,
    },
    mail: { smtpUrl: v.TESTIGO_SMTP_URL, from: v.TESTIGO_MAIL_FROM },
    encryptionKey: v.TESTIGO_ENCRYPTION_KEY,
    webhooks: {
      allowPrivate: v.TESTIGO_WEBHOOK_ALLOW_PRIVATE,
      timeoutMs: v.TESTIGO_WEBHOOK_TIMEOUT_SECONDS * 1000,
      disableAfterMs: v.TESTIGO_WEBHOOK_DISABLE_AFTER_HOURS * 3_600_000,
      logDays: v.TESTIGO_WEBHOOK_LOG_DAYS,
    },
  }
}

/** One row per setting, for `.env.example` and the README. */
export function describeSettings(): {
  name: string
  about: string
  default: string
  example: string | undefined
}[] {
  return Object.entries(SETTINGS as Record<string, Setting>).map(([name, setting]) => ({
    name,
    about: setting.about,
    default: setting.shownDefault ?? plainDefault(setting.schema),
    example: setting.example,
  }))
}

function plainDefault(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { default?: unknown }
  return json.default === undefined ? '' : String(json.default)
}

function nearest(name: string): string {
  const words = new Set(name.split('_'))
  const overlap = (other: string) => other.split('_').filter(word => words.has(word)).length
  const [best] = Object.keys(SETTINGS)
    .filter(other => other.startsWith('TESTIGO_'))
    .sort((a, b) => overlap(b) - overlap(a))
  return best && overlap(best) > 1 ? `; did you mean ${best}?` : '.'
}
