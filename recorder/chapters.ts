// What a viewer reads in the list of chapters of a finished video.
import { ENDINGS } from '../db/endings.ts'
import type { Gap } from '../db/schema.ts'
import type { Chapter } from './capture/mp4-chapters.ts'
import type { TimelinePlan } from './timeline.ts'

/**
 * A chapter for each piece of a video: its title says the time of the clock (UTC) at which it begins and, after a gap,
 * what is missing before it and why. Empty for a video of one piece, which needs none.
 */
export function chaptersOf(
  { pieces, gaps }: Pick<TimelinePlan, 'pieces' | 'gaps'>,
  places: readonly { part: number; startMs: number }[],
): Chapter[] {
  if (places.length < 2) return []
  let toldUntilMs = Number.NEGATIVE_INFINITY
  return places.map(({ part, startMs }) => {
    const clockStartMs = pieces[part]?.clockStartMs ?? 0
    const missing = gaps.filter(
      ({ ms, from, to }) => ms > 0 && Date.parse(from) >= toldUntilMs && Date.parse(to) <= clockStartMs,
    )
    toldUntilMs = clockStartMs
    return { startMs, title: [`${timeOf(clockStartMs)} UTC`, ...missing.map(tell)].join(' · ') }
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
