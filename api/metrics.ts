import { createHash, timingSafeEqual } from 'node:crypto'
import { Router } from 'express'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/connect.ts'
import { type Metrics, readMetrics } from '../db/metrics.ts'
import { Problem } from './problem.ts'

/** Whoever asks more often gets the same answer: the counts go over whole tables. */
const FRESH_MS = 5000
const CHALLENGE = { headers: { 'WWW-Authenticate': 'Bearer realm="testigo metrics"' } }

interface MetricsDeps {
  database: Database
  clock: Clock
  /** TESTIGO_METRICS_TOKEN; without it there is no such route. */
  metricsToken: string | undefined
}

/** `GET /metrics` in the Prometheus text format 0.0.4: numbers of all organisations together, no names. */
export function metricsRoutes({ database, clock, metricsToken }: MetricsDeps): Router {
  const router = Router()
  if (metricsToken === undefined) return router
  let last: { metrics: Promise<Metrics>; untilMs: number } | undefined
  const read = async () => {
    if (!last || performance.now() >= last.untilMs)
      last = { metrics: readMetrics(database, new Date(clock.now())), untilMs: performance.now() + FRESH_MS }
    try {
      return await last.metrics
    } catch (error) {
      last = undefined
      throw error
    }
  }
  router.get('/metrics', async (request, response) => {
    const [, token] = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '') ?? []
    if (token === undefined)
      throw new Problem(
        'missing_api_key',
        'Send the header "Authorization: Bearer <TESTIGO_METRICS_TOKEN>".',
        CHALLENGE,
      )
    if (!isSame(token, metricsToken))
      throw new Problem('wrong_api_key', 'This is not the token of TESTIGO_METRICS_TOKEN.', CHALLENGE)
    const text = metricsText(await read())
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
    response.send(text)
  })
  return router
}

// How long a comparison takes must not tell how much of a guess was right.
function isSame(one: string, other: string): boolean {
  const digest = (words: string) => createHash('sha256').update(words).digest()
  return timingSafeEqual(digest(one), digest(other))
}

type Sample = [labels: Record<string, string>, value: number]

/** The numbers as Prometheus reads them. */
function metricsText(metrics: Metrics): string {
  const each = (label: string, values: object): Sample[] =>
    Object.entries(values).map(([word, value]) => [{ [label]: word }, value as number])
  return [
    family('testigo_recordings', 'gauge', 'Recordings by status.', each('status', metrics.recordings)),
    family('testigo_attempts_living', 'gauge', 'Attempts that have not ended.', [
      [{}, metrics.attemptsLiving],
    ]),
    family(
      'testigo_waiting_seconds',
      'gauge',
      'How long the longest waiting has waited: the newest stored picture of a living attempt, a bot after the start, a recording to be taken up again, a video to be made or copied, a job to be taken, a note for the audit log to be chained.',
      each('what', metrics.waitingSeconds),
    ),
    family(
      'testigo_meetings_not_recorded',
      'gauge',
      'Meetings whose recording failed, by ending.',
      each('ending', metrics.notRecorded),
    ),
    family('testigo_coverage_alerts_total', 'counter', 'Recordings that lack too much of their call.', [
      [{}, metrics.coverageAlerts],
    ]),
    family(
      'testigo_jobs',
      'gauge',
      'Jobs by name and state.',
      metrics.jobs.map(({ name, state, jobs }): Sample => [{ name, state }, jobs]),
    ),
    family(
      'testigo_leftovers',
      'gauge',
      'Work that no job is going to do, until the sweep finds it; up to 500 of each kind.',
      each('kind', metrics.leftovers),
    ),
  ].join('')
}

function family(name: string, type: 'gauge' | 'counter', help: string, samples: Sample[]): string {
  const lines = samples.map(([labels, value]) => {
    const written = Object.entries(labels).map(
      ([label, word]) => `${label}="${word.replace(/[\\"\n]/g, '_')}"`,
    )
    return `${name}${written.length > 0 ? `{${written.join(',')}}` : ''} ${value}`
  })
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}
