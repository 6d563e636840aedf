import type { Ground } from './ground.ts'

const LONGEST_WHY = 600
const GOOD = ['available', 'partial']

/** One fault of the table: how it is caused, and what must be left of the recording. */
export interface Row {
  /** For `--only`. */
  name: string
  /** Several bots at once: played while no other row is. */
  alone?: boolean
  /** What is broken. */
  fault: string
  /** What Testigo does about it. */
  happens: string
  /** Captured before the fault and absent from the file, at most. */
  mostLostSeconds: number
  /** From the fault, or from the return of what was away, until pictures are recorded again, at most. */
  mostRecoverySeconds: number
  run(ground: Ground): Promise<Seen>
}

/** What a run of a row has shown. */
export interface Seen {
  lostSeconds: number
  recoverySeconds: number
  /** Word of the recording's ending. */
  ending: string
  status: string
  /** Endings of its attempts, first to last. */
  attempts: string[]
  /** What the recording itself says is missing: its reasons. */
  gaps: string[]
  /** Where nothing new is to be seen in the file: seconds from the fault, from and to. */
  holes: [number, number][]
  /** The recording's own checks that failed. */
  failedChecks: string[]
  /** What is not as it should be. */
  why: string[]
  /** Said of this run, such as a way taken because the machine forbids another. */
  note?: string
}

/** The line of `--json`. */
export interface Line
  extends Partial<Pick<Seen, 'status' | 'attempts' | 'gaps' | 'holes' | 'failedChecks' | 'note'>> {
  fault: string
  ok: boolean
  lostSeconds: number | undefined
  recoverySeconds: number | undefined
  ending: string | undefined
  /** What failed. */
  why?: string[]
  /** How often it was played, where more than once. */
  tries?: number
  /** The whole row, from the request to the measured file. */
  tookSeconds: number
}

/** Holds what was seen against the row's limits. */
export function judge(row: Row, seen: Seen, tookSeconds: number): Line {
  const why = [...seen.why]
  if (seen.lostSeconds > row.mostLostSeconds)
    why.push(`${seen.lostSeconds} s of video are lost, at most ${row.mostLostSeconds} s may be`)
  if (seen.recoverySeconds > row.mostRecoverySeconds)
    why.push(
      `recording again took ${seen.recoverySeconds} s, at most ${row.mostRecoverySeconds} s are allowed`,
    )
  if (!seen.status.split(', ').every(status => GOOD.includes(status)))
    why.push(`the recording ended as "${seen.status}"`)
  const { why: _, ...facts } = seen
  return { fault: row.name, ok: why.length === 0, ...facts, ...(why.length > 0 ? { why } : {}), tookSeconds }
}

/** The line of a row that could not be carried through. */
export function broken(row: Row, error: unknown, tookSeconds: number): Line {
  const why = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_WHY)
  return {
    fault: row.name,
    ok: false,
    lostSeconds: undefined,
    recoverySeconds: undefined,
    ending: undefined,
    why: [why],
    tookSeconds,
  }
}

/** Several calls of one row as one: the worst of each. */
export function together(all: readonly Seen[]): Seen {
  const words = (of: (seen: Seen) => string) => [...new Set(all.map(of))].join(', ')
  return {
    lostSeconds: Math.max(...all.map(seen => seen.lostSeconds)),
    recoverySeconds: Math.max(...all.map(seen => seen.recoverySeconds)),
    ending: words(seen => seen.ending),
    status: all.find(seen => !GOOD.includes(seen.status))?.status ?? words(seen => seen.status),
    attempts: all.flatMap(seen => seen.attempts),
    gaps: all.flatMap(seen => seen.gaps),
    holes: all.flatMap(seen => seen.holes),
    failedChecks: all.flatMap(seen => seen.failedChecks),
    why: all.flatMap(seen => seen.why),
  }
}
