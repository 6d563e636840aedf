// Records one call now: no database, no S3, no Google API.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { readConfig, SettingsRefused } from '../config.ts'
import { ENDINGS, type Ending } from '../db/endings.ts'
import { createLog } from '../log.ts'
import { borrowProfile, NoBotProfile } from '../recorder/bot-profile.ts'
import { joinSegments } from '../recorder/capture/join-segments.ts'
import { checkRecording } from '../recorder/check-recording.ts'
import { planVisit } from '../recorder/plan-visit.ts'
import { botOfLane } from '../recorder/record-meeting.ts'
import { type VisitOutcome, visitCall } from '../recorder/visit-call.ts'

const USAGE = `npm run record -- <meet URL> --out file.mp4 [options]

  --name "…"         name of the bot (as a guest)
  --profile DIR      browser profile of the signed-in bot (default: TESTIGO_BOT_PROFILE)
  --guest            join as a guest
  --max-minutes N    leave after N minutes (default 240)
  --json             one JSON line per state change on standard output

Exit code: 0 recorded, 3 never admitted, 4 the call was not held, 1 failure.
`

class UsageAsked extends Error {}

interface RecordOptions {
  url: string
  out: string
  name: string | undefined
  profile: string | undefined
  guest: boolean
  maxMinutes: number
  json: boolean
}

function readOptions(args: string[]): RecordOptions {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      name: { type: 'string' },
      profile: { type: 'string' },
      guest: { type: 'boolean', default: false },
      'max-minutes': { type: 'string', default: '240' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [url] = positionals
  if (values.help) throw new UsageAsked(USAGE)
  if (!url || positionals.length > 1) throw new UsageAsked(`Name one call to record.\n\n${USAGE}`)
  if (!/^https:\/\/meet\.google\.com\/[\w-]+/.test(url))
    throw new UsageAsked(`${url} is no link of a Google Meet call (https://meet.google.com/abc-defg-hij)`)
  if (!values.out) throw new UsageAsked(`Say where the recording goes: --out file.mp4\n\n${USAGE}`)
  const maxMinutes = Number(values['max-minutes'])
  if (!(maxMinutes > 0 && maxMinutes <= 1440))
    throw new UsageAsked('--max-minutes takes a number from 1 to 1440 (fractions too)')
  return {
    url,
    out: resolve(values.out),
    name: values.name,
    profile: values.profile,
    guest: values.guest,
    maxMinutes,
    json: values.json,
  }
}

async function record(options: RecordOptions): Promise<{ code: number }> {
  const settings = readConfig(process.env)
  const bot = {
    ...settings.bot,
    guest: options.guest || settings.bot.guest,
    name: options.name ?? settings.bot.name,
    profileDir: options.profile ?? settings.bot.profileDir,
  }
  const config = { ...settings, bot }
  const log = createLog(options.json ? 'error' : config.logLevel, { process: 'record' })
  const startsAt = new Date(systemClock.now())
  const say = (fact: object, words: string) => {
    if (options.json)
      process.stdout.write(`${JSON.stringify({ at: new Date(systemClock.now()).toISOString(), ...fact })}\n`)
    else process.stderr.write(`${words}\n`)
  }

  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort('left_by_request' satisfies Ending))
  const workDir = await mkdtemp(join(tmpdir(), 'testigo-record-'))
  await using cleanUp = new AsyncDisposableStack()
  cleanUp.defer(() => rm(workDir, { recursive: true, force: true }))

  const endsAt = new Date(startsAt.getTime() + options.maxMinutes * 60_000)
  const plan = {
    ...planVisit(config, { joinUrl: options.url, startsAt, endsAt, patience: {} }),
    hardStopAt: endsAt,
  }
  const profile =
    plan.as.kind === 'signed_in' ? await borrowProfile(botOfLane(config, 0).profileDir, workDir) : undefined
  if (profile) plan.browser.profileDir = profile.dir
  const kept: { init: string; media: string[]; mediaMs: number } = { init: '', media: [], mediaMs: 0 }

  const outcome = await visitCall(
    plan,
    {
      state: async state => say({ state }, state === 'joining' ? 'joining' : 'in the waiting room'),
      recording: async admittedAt =>
        say({ state: 'recording', admittedAt: admittedAt.toISOString() }, 'recording'),
      segment: async segment => {
        const file = join(workDir, `${segment.kind}-${String(segment.number).padStart(6, '0')}`)
        await writeFile(file, segment.bytes)
        if (segment.kind === 'init') kept.init = file
        else {
          kept.media.push(file)
          kept.mediaMs += segment.durationMs
        }
      },
      people: async ({ name, change, at }) =>
        say({ state: 'recording', person: { name, change, at } }, `${name} ${change}`),
    },
    { clock: systemClock, log, signal: stop.signal },
  )
  if (kept.media.length === 0) {
    const artefacts = await keepArtefacts(outcome, options.out)
    say(
      { ending: outcome.ending, durationMs: 0, file: null, checks: null, ...artefacts },
      `${ENDINGS[outcome.ending].en}${outcome.detail ? ` (${outcome.detail})` : ''}`,
    )
    return { code: exitCode(outcome) }
  }
  say({ state: 'finishing' }, 'making the video')
  await mkdir(dirname(options.out), { recursive: true })
  try {
    await joinSegments([{ init: kept.init, media: kept.media }], options.out)
  } catch (error) {
    // A full disk, say: what was recorded must outlive the attempt to put it together.
    cleanUp.move()
    throw new Error(`The video could not be made; its segments are kept in ${workDir}`, { cause: error })
  }
  const { durationMs, checks } = await checkRecording(options.out, {
    expectedDurationMs: kept.mediaMs,
    lobbyMs: outcome.notInCallMs,
  })
  say(
    { ending: outcome.ending, durationMs, file: options.out, checks },
    `${ENDINGS[outcome.ending].en}\n${options.out}: ${(durationMs / 1000).toFixed(1)} s`,
  )
  if (!options.json)
    for (const [name, check] of Object.entries(checks))
      process.stderr.write(`  ${check.ok ? 'ok  ' : 'FAIL'} ${name}: ${check.detail}\n`)
  return { code: exitCode(outcome) }
}

const NEVER_ADMITTED: ReadonlySet<Ending> = new Set([
  'join_denied',
  'waiting_room_timeout',
  'cannot_join',
  'meeting_full_or_locked',
  'sign_in_required',
  'bot_not_signed_in',
  'meeting_not_found',
])
const ENDED_WELL: ReadonlySet<Ending> = new Set([
  'call_ended_by_host',
  'everyone_left',
  'only_bots_left',
  'removed_from_call',
  'left_by_request',
  'longest_call_reached',
])

function exitCode({ ending, admittedAt }: VisitOutcome): number {
  if (ending === 'nobody_came') return 4
  if (!admittedAt) return NEVER_ADMITTED.has(ending) || ending === 'left_by_request' ? 3 : 1
  return ENDED_WELL.has(ending) ? 0 : 1
}

/** What the bot last saw, beside the place where the recording would be. */
async function keepArtefacts({ artefacts }: VisitOutcome, out: string): Promise<{ artefacts?: string[] }> {
  if (!artefacts) return {}
  await mkdir(dirname(out), { recursive: true })
  const kept: string[] = []
  for (const [suffix, content] of [
    ['png', artefacts.screenshot],
    ['html', artefacts.html],
  ] as const) {
    if (content === null) continue
    kept.push(`${out}.${suffix}`)
    await writeFile(`${out}.${suffix}`, content)
  }
  return { artefacts: kept }
}

try {
  const { code } = await record(readOptions(process.argv.slice(2)))
  process.exitCode = code
} catch (error) {
  const known =
    error instanceof UsageAsked ||
    error instanceof SettingsRefused ||
    error instanceof NoBotProfile ||
    (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  process.stderr.write(
    known
      ? `${(error as Error).message}\n`
      : `The recording broke: ${(error as Error).stack ?? String(error)}\n`,
  )
  process.exitCode = 1
}
