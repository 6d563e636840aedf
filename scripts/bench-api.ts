// How fast the API answers with a million meetings in its database, and how fast meetings due at once are handed out.
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { handOut } from './bench-api/hand-out.ts'
import { type LoadResult, loadClosed, loadOpen, percentile } from './bench-api/http-load.ts'
import { createQuestions, getQuestions, listQuestions, type Question } from './bench-api/questions.ts'
import { type BenchWorld, openBenchWorld } from './bench-api/world.ts'

const USAGE = `npm run bench:api -- [options]

  --meetings N      meetings in the database (default 1000000)
  --data FOLDER     keeps the database there, and uses it again (default: all goes at the end)
  --seconds N       how long each load lasts (default 15)
  --connections N   requests on their way at once (default 50)
  --get-rate N      requests a second that arrive at random moments (default 200)
  --list-rate N     the same for lists (default 100)
  --create-rate N   the same for new meetings (default 20)
  --limit N         meetings of a page (default 50)
  --google-ms N     how long Google takes for each call (default 300)
  --due N           meetings due in the same minute (default 1000)
  --recorders N     recorders that take them (default 10)
  --json            one line of JSON instead of tables
`

const WARM_UP_SECONDS = 5

interface Figure {
  what: string
  /** `open`: requests arrive at a set rate; `closed`: each connection asks again as soon as it is answered. */
  way: 'open' | 'closed'
  perSecond: number
  requests: number
  p50Ms: number
  p95Ms: number
  p99Ms: number
  answerBytes: number
}

async function main(): Promise<void> {
  const options = readOptions()
  if (!options) {
    process.stdout.write(USAGE)
    return
  }
  const { json, data, ...of } = options
  const tell = (text: string) => process.stderr.write(`${text}\n`)
  await using world = await openBenchWorld({ ...of, ...(data && { data }), onProgress: tell })
  const figures = [...(await measureGet(world, of)), ...(await measureList(world, of))]
  const { figures: creating, google } = await measureCreate(world, of)
  figures.push(...creating)
  const due = await handOut(world.databaseUrl, world.env, { meetings: of.due, recorders: of.recorders })
  const result = {
    meetings: of.meetings,
    databaseBytes: world.databaseBytes,
    cores: cpus().length,
    connections: of.connections,
    figures,
    google,
    due,
  }
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : tablesOf(result))
}

type Load = Omit<Options, 'json' | 'data'>

interface Options {
  meetings: number
  data: string | undefined
  seconds: number
  connections: number
  getRate: number
  listRate: number
  createRate: number
  limit: number
  googleMs: number
  due: number
  recorders: number
  json: boolean
}

async function measureGet({ apiUrl: url, askers }: BenchWorld, of: Load): Promise<Figure[]> {
  const { connections, seconds } = of
  const next = getQuestions(askers)
  return [
    figureOf('get', 'open', await loadOpen({ url, connections, seconds, next, perSecond: of.getRate })),
    figureOf('get', 'closed', await loadClosed({ url, connections, seconds, next })),
  ]
}

async function measureList({ apiUrl: url, askers }: BenchWorld, of: Load): Promise<Figure[]> {
  const { connections, seconds, limit } = of
  const next = await listQuestions(url, askers, limit)
  const open = await loadOpen({ url, connections, seconds, next, perSecond: of.listRate })
  const closed = await loadClosed({ url, connections, seconds, next })
  return [
    figureOf('list', 'open', open),
    ...kindsOf(open).map(kind => figureOf(`list: ${kind}`, 'open', open, kind)),
    figureOf('list', 'closed', closed),
  ]
}

/**
 * What Google took is known exactly: every call to it is answered at a set time, and a request makes its calls one after the
 * other. What is beyond is ours, also where the sandbox was late.
 */
async function measureCreate({ apiUrl: url, askers, googleCalls }: BenchWorld, of: Load) {
  const { connections, seconds, googleMs } = of
  const next = createQuestions(askers)
  const measure = async (way: Figure['way'], run: () => Promise<LoadResult<Question>>) => {
    await googleCalls()
    const load = await run()
    const { calls, lateMs } = await googleCalls()
    const callsOfEach = calls / load.answers.length
    const google = { msOfOneCall: googleMs, callsOfEach, lateMsOfOneCall: lateMs / calls }
    const beyond = load.answers.map(({ latencyMs }) => latencyMs - Math.round(callsOfEach) * googleMs)
    if (Math.min(...beyond) < 0)
      throw new Error('requests were answered before Google was: its time is not known')
    const what = 'create, Google’s time taken out'
    return { figure: { ...figureOf(what, way, load), ...percentilesOf(beyond) }, google }
  }
  const common = { url, connections, seconds, next, warmUpSeconds: 0 }
  // Each connection of the process has its statements planned before.
  await loadOpen({ ...common, seconds: WARM_UP_SECONDS, perSecond: of.createRate })
  const open = await measure('open', () => loadOpen({ ...common, perSecond: of.createRate }))
  const closed = await measure('closed', () => loadClosed(common))
  return { figures: [open.figure, closed.figure], google: open.google }
}

const percentilesOf = (times: readonly number[]) => ({
  p50Ms: percentile(times, 50),
  p95Ms: percentile(times, 95),
  p99Ms: percentile(times, 99),
})

const kindsOf = (load: LoadResult<Question>) =>
  [...new Set(load.answers.map(({ request }) => request.kind))].sort()

function figureOf(what: string, way: Figure['way'], load: LoadResult<Question>, kind?: string): Figure {
  const answers = load.answers.filter(({ request }) => kind === undefined || request.kind === kind)
  const times = answers.map(({ latencyMs }) => latencyMs)
  return {
    what,
    way,
    requests: answers.length,
    perSecond: (load.perSecond * answers.length) / load.answers.length,
    ...percentilesOf(times),
    answerBytes: Math.round(answers.reduce((sum, { bytes }) => sum + bytes, 0) / answers.length),
  }
}

function tablesOf(result: {
  meetings: number
  databaseBytes: number
  cores: number
  connections: number
  figures: Figure[]
  google: { msOfOneCall: number; callsOfEach: number; lateMsOfOneCall: number }
  due: { meetings: number; recorders: number; tookMs: number }
}): string {
  const { meetings, databaseBytes, cores, connections, figures, google, due } = result
  const ms = (value: number) => `${value.toFixed(1)} ms`
  const rows = figures.map(figure =>
    [
      figure.what,
      figure.way,
      `${figure.perSecond.toFixed(0)}/s`,
      ms(figure.p50Ms),
      ms(figure.p95Ms),
      ms(figure.p99Ms),
      `${(figure.answerBytes / 1024).toFixed(1)} KiB`,
    ].join(' | '),
  )
  return `${meetings} meetings, ${(databaseBytes / 2 ** 30).toFixed(1)} GiB; API, PostgreSQL, Google and whoever asks on the same ${cores} cores;
at most ${connections} requests on their way. Open: requests arrive at random moments at the rate shown, and their time counts
from then. Closed: every connection asks again as soon as it is answered, as fast as the machine goes.

| what | way | requests | p50 | p95 | p99 | answer |
| --- | --- | --- | --- | --- | --- | --- |
${rows.map(row => `| ${row} |`).join('\n')}

Google answered each call after ${google.msOfOneCall} ms (${google.callsOfEach.toFixed(2)} calls for each meeting, late by ${ms(google.lateMsOfOneCall)}).
${due.meetings} meetings due at once were handed to ${due.recorders} recorders within ${(due.tookMs / 1000).toFixed(2)} s.
`
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      meetings: { type: 'string', default: '1000000' },
      data: { type: 'string' },
      seconds: { type: 'string', default: '15' },
      connections: { type: 'string', default: '50' },
      'get-rate': { type: 'string', default: '200' },
      'list-rate': { type: 'string', default: '100' },
      'create-rate': { type: 'string', default: '20' },
      limit: { type: 'string', default: '50' },
      'google-ms': { type: 'string', default: '300' },
      due: { type: 'string', default: '1000' },
      recorders: { type: 'string', default: '10' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { json, help, data, ...words } = values
  const of = Object.fromEntries(
    Object.entries(words).map(([name, word]) => [
      name.replace(/-(.)/, (_, letter) => letter.toUpperCase()),
      Number(word),
    ]),
  ) as unknown as Load
  const usable = Object.values(of).every(value => Number.isInteger(value) && value >= 1)
  return help || !usable || of.meetings < 10_000 ? undefined : { ...of, data, json }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).stack}\n`)
  process.exitCode = 1
}
