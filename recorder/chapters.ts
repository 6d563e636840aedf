// What a viewer reads in the list of chapters of a finished video.
import { ENDINGS } from '../db/endings.ts'
import type { Gap } from '../db/schema.ts'
import type { TimelinePlan } from './timeline.ts'

/**
 * Titles of the pieces of a video, in their order: the time of the clock (UTC) at which each begins and, after a gap,
 * what is missing before it and why. Empty for a video of one piece, which needs no chapters.
 */
export function chaptersOf({ pieces, gaps }: Pick<TimelinePlan, 'pieces' | 'gaps'>): string[] {
  if (pieces.length < 2) return []
  return pieces.map((piece, index) => {
    const before = pieces[index - 1]
    const begins = `${timeOf(piece.clockStartMs)} UTC`
    const fromMs =
      before === undefined ? Number.NEGATIVE_INFINITY : before.clockStartMs + before.endMs - before.startMs
    const missing = gaps.filter(
      gap => gap.ms > 0 && Date.parse(gap.from) >= fromMs && Date.parse(gap.to) <= piece.clockStartMs,
    )
    return [begins, ...missing.map(tell)].join(' · ')
  })
}

function tell({ ms, reason, from, to }: Gap): string {
  const span = `${timeOf(Date.parse(from))}–${timeOf(Date.parse(to))}`
  return `${(ms / 1000).toFixed(1)} s missing (${span}): ${sentence(reason)}`
}

function sentence(reason: Gap['reason']): string {
  if (reason === 'segment_lost') return 'stored pieces of it are lost'
  if (reason === 'not_yet_recording') return 'nobody was recording yet'
  if (reason === 'ended_too_early') return 'the recording had ended'
  return ENDINGS[reason].en.replace(/\.$/, '')
}

const timeOf = (ms: number) => new Date(ms).toISOString().slice(11, 19)
