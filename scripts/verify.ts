// npm run verify -- <recording id | manifest file>: proves a recording's files against its manifest, and the manifest
// against the audit log.
import { access, readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { sql } from 'drizzle-orm'
import { readConfig, SettingsRefused } from '../config.ts'
import { type Database, openDatabase } from '../db/connect.ts'
import { EmbeddedPostgresFailed, startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { createLog } from '../log.ts'
import { createStore } from '../storage/s3.ts'
import { describeFindings, type Verdict, verdictOf } from './verify/findings.ts'
import { NoManifest, type ReadManifest, readManifest } from './verify/read-manifest.ts'
import { checkLocalVideo, verifyOffline } from './verify/verify-offline.ts'
import { type Proof, verifyManifest, verifyRecording } from './verify/verify-recording.ts'

const USAGE = `npm run verify -- <recording id | meeting id | manifest file> [options]

  --video FILE   a copy of the video on this machine is compared too
  --offline      ask neither database nor bucket: only what the manifest file and --video prove by themselves
  --json         one JSON object on standard output

Exit code: 0 everything holds, 1 something does not, 3 nothing is wrong but not everything could be checked,
2 nothing could be checked.
`
const EXIT: Record<Verdict, number> = { holds: 0, fails: 1, not_all_checked: 3 }
const COULD_NOT = 2
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Nothing could be checked; the message says what to do. */
class CannotVerify extends Error {}

interface Options {
  of: { id: string } | ReadManifest
  video: string | undefined
  offline: boolean
  json: boolean
}

async function readOptions(args: string[]): Promise<Options> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      video: { type: 'string' },
      offline: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [of, ...more] = positionals
  if (values.help || of === undefined || more.length > 0)
    throw new CannotVerify(values.help ? USAGE : `Name one recording or one manifest file.\n\n${USAGE}`)
  const { video, offline, json } = values
  if (video !== undefined) await access(video).catch(unreadable(video))
  if (!UUID.test(of))
    return {
      of: readManifest(await readFile(of).catch(unreadable(of, ' is no id, and')), of),
      video,
      offline,
      json,
    }
  if (offline) throw new CannotVerify('--offline needs a manifest file, not an id.')
  return { of: { id: of.toLowerCase() }, video, offline, json }
}

function unreadable(file: string, words = '') {
  return (error: Error): never => {
    throw new CannotVerify(`${file}${words} cannot be read: ${error.message}`, { cause: error })
  }
}

async function verify({ of, video, offline }: Options): Promise<Proof> {
  if (offline && !('id' in of)) return verifyOffline(of, video)
  const config = readConfig(process.env)
  await using opened = new AsyncDisposableStack()
  const server = config.databaseUrl ? undefined : opened.use(await startEmbeddedPostgres(config.dataDir))
  const database = opened.use(openDatabase(config.databaseUrl ?? server?.url ?? '', { max: 2 }))
  const store = opened.adopt(createStore(config.storage, createLog('error')), open => open.close())
  await askDatabase(database.db)
  const sources = { db: database.db, store }
  const proof = 'id' in of ? await verifyRecording(sources, of.id) : await verifyManifest(sources, of)
  if (!proof) throw new CannotVerify(`There is no recording and no meeting ${'id' in of ? of.id : ''}.`)
  if (video !== undefined && proof.manifest) proof.findings.push(await checkLocalVideo(proof.manifest, video))
  return proof
}

async function askDatabase(db: Database): Promise<void> {
  try {
    await db.execute(sql`select 1 from audit_log limit 1`)
  } catch (error) {
    const { cause = error } = error as Error
    throw new CannotVerify(
      `The database cannot be asked: ${(cause as Error).message}. Set DATABASE_URL, or check a manifest file with --offline.`,
      { cause },
    )
  }
}

async function main(): Promise<void> {
  const options = await readOptions(process.argv.slice(2))
  const { recordingId, manifestSha256, findings } = await verify(options)
  const verdict = verdictOf(findings)
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ recordingId, manifestSha256, verdict, findings })}\n`
      : `Recording ${recordingId}\n${describeFindings(findings)}`,
  )
  process.exitCode = EXIT[verdict]
}

const KNOWN = [CannotVerify, NoManifest, SettingsRefused, EmbeddedPostgresFailed]

try {
  await main()
} catch (error) {
  const { message, stack, code } = error as Error & { code?: string }
  const known = KNOWN.some(kind => error instanceof kind) || code?.startsWith('ERR_PARSE_ARGS')
  process.stderr.write(known ? `${message}\n` : `The check broke: ${stack ?? message}\n`)
  process.exitCode = COULD_NOT
}
