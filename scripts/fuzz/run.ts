import fc from 'fast-check'
import { openApiDocument } from '../../api/openapi.ts'
import { type Ask, describeAsk } from './ask.ts'
import { asksOf } from './asks.ts'
import { createJudge } from './judge.ts'
import { learn } from './pool.ts'
import { type RawAnswer, writeRequest } from './send.ts'
import { type FuzzWorld, openFuzzWorld } from './world.ts'

const LONGEST_SEQUENCE = 100
const SEQUENCES_OF_A_CHUNK = 4
const SHRINK_LIMIT_MS = 240_000
const MOST_SHRINKS = 60

/** A defect, and the shortest sequence of requests that was found to show it. */
export interface FoundDefect {
  operationId: string
  name: string
  detail: string
  /** The last of them shows it. */
  requests: string[]
  /** What `--seed` and `--path` repeat. */
  seed: number
  path: string | null
  /** How often it was seen in all. */
  count: number
}

export interface FuzzReport {
  seed: number
  requests: number
  sequences: number
  /** How often each operation was answered how, by operation and by status with its reason. */
  answers: Record<string, Record<string, number>>
  defects: FoundDefect[]
  /** Nothing of the other organisation was changed. */
  foreignUntouched: boolean
}

/** A defect was seen: thrown, so that the sequence is shrunk. */
class DefectSeen extends Error {
  readonly signature: string
  constructor(signature: string, detail: string) {
    super(detail)
    this.name = 'DefectSeen'
    this.signature = signature
  }
}

interface FuzzOptions {
  /** At least so many requests. */
  requests: number
  seed: number
  /** One sequence of one chunk alone, as a report names it. */
  path?: string
  /** Sequences at once. */
  workers?: number
  onProgress?: (report: FuzzReport) => void
}

/**
 * Sends made-up requests, good and broken, in sequences that each have an organisation of their own, until there were enough.
 * A sequence that shows a defect is shrunk; after that, the same defect is only counted.
 */
export async function fuzz(
  google: Parameters<typeof openFuzzWorld>[0],
  options: FuzzOptions,
): Promise<FuzzReport> {
  const world = await openFuzzWorld(google)
  try {
    return await fuzzWorld(world, options)
  } finally {
    await world.close()
  }
}

async function fuzzWorld(world: FuzzWorld, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, path, workers = 4, onProgress } = options
  const before = await world.foreign.look()
  const report: FuzzReport = {
    seed,
    requests: 0,
    sequences: 0,
    answers: {},
    defects: [],
    foreignUntouched: true,
  }
  const known = new Map<string, FoundDefect>()
  const play = createPlay(world, report, known)
  const sequences = fc.array(asksOf(openApiDocument()), {
    minLength: 1,
    maxLength: LONGEST_SEQUENCE,
    size: 'max',
  })

  async function chunk(chunkSeed: number): Promise<void> {
    let signature = ''
    let tries = 0
    const property = fc.asyncProperty(sequences, async asks => {
      if (signature !== '' && ++tries > MOST_SHRINKS) return
      try {
        await play(asks)
      } catch (error) {
        // While one defect is shrunk, another one does not count.
        if (error instanceof DefectSeen && signature !== '' && error.signature !== signature) return
        if (error instanceof DefectSeen) signature = error.signature
        throw error
      }
    })
    const outcome = await fc.check(property, {
      seed: chunkSeed,
      numRuns: SEQUENCES_OF_A_CHUNK,
      interruptAfterTimeLimit: SHRINK_LIMIT_MS,
      ...(path !== undefined && { path }),
    })
    if (!outcome.failed) return
    const error = outcome.errorInstance
    if (!(error instanceof DefectSeen)) throw error ?? new Error('the fuzzer was interrupted')
    const [asks = []] = outcome.counterexample ?? []
    const [operationId = '', name = ''] = error.signature.split(': ', 2)
    known.set(error.signature, {
      operationId,
      name: error.signature.slice(operationId.length + 2) || name,
      detail: error.message,
      requests: asks.map(describeAsk),
      seed: chunkSeed,
      path: outcome.counterexamplePath,
      count: (known.get(error.signature)?.count ?? 0) + 1,
    })
    report.defects = [...known.values()]
  }

  let next = seed
  const work = async () => {
    while (report.requests < options.requests) {
      await chunk(next++)
      onProgress?.(report)
    }
  }
  if (path === undefined) await Promise.all(Array.from({ length: workers }, work))
  else await chunk(seed)
  report.foreignUntouched = (await world.foreign.look()) === before
  return report
}

/** Plays one sequence. @throws {DefectSeen} at the first defect that is not known yet */
function createPlay(world: FuzzWorld, report: FuzzReport, known: Map<string, FoundDefect>) {
  const judge = createJudge(openApiDocument(), world.foreign)
  return async (asks: Ask[]): Promise<void> => {
    const own = await world.openOwn()
    const recorded = new Set<string>()
    report.sequences += 1
    for (const ask of asks) {
      const sent = writeRequest(ask, own.credentials[ask.caller], own.references)
      const answer = await world.send(sent)
      report.requests += 1
      count(report, ask.operationId, answer)
      if (ask.operationId === 'exportAudit')
        for (const [id] of sent.target.matchAll(/[0-9a-f-]{36}/g)) recorded.add(id)
      const defect = judge({ ask, sent, answer }, recorded)
      if (defect) {
        const signature = `${ask.operationId}: ${defect.name}`
        const there = known.get(signature)
        if (!there) throw new DefectSeen(signature, defect.detail)
        there.count += 1
      }
      if (answer.status >= 200 && answer.status < 300) learn(own.pool, ask.path, answer, own.callerKeys)
    }
  }
}

function count({ answers }: FuzzReport, operationId: string, { status, text }: RawAnswer): void {
  const counts = answers[operationId] ?? {}
  const [, reason] = /"code":"(\w+)"/.exec(status >= 400 ? text : '') ?? []
  const name = reason ? `${status} ${reason}` : `${status}`
  answers[operationId] = { ...counts, [name]: (counts[name] ?? 0) + 1 }
}
