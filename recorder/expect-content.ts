import type { Attempt } from '../db/attempts.ts'
import type { ContentExpectation, Stretch } from './capture/content-checks.ts'
import type { MadeVideo } from './make-video.ts'

/** What a finished video must be like, from the rows it was made of: how long, how much lobby, when somebody spoke. */
export function expectationOf(
  { plan, places }: Pick<MadeVideo, 'plan' | 'places'>,
  attempts: readonly Attempt[],
  signal: AbortSignal,
): ContentExpectation {
  const shown = new Set(plan.pieces.map(({ attemptId }) => attemptId))
  const speech: Stretch[] = []
  for (const [index, piece] of plan.pieces.entries()) {
    const shiftMs = (places[index]?.startMs ?? 0) - piece.startMs
    const spoken = attempts.find(({ id }) => id === piece.attemptId)?.speech ?? []
    for (const { fromMs, toMs } of spoken) {
      const [from, to] = [Math.max(fromMs, piece.startMs), Math.min(toMs, piece.endMs)]
      if (to > from) speech.push({ fromMs: from + shiftMs, toMs: to + shiftMs })
    }
  }
  return {
    expectedDurationMs: plan.pieces.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0),
    lobbyMs: attempts
      .filter(({ id }) => shown.has(id))
      .reduce((sum, { notInCallMs }) => sum + notInCallMs, 0),
    speech,
    pieces: places.map(({ startMs, endMs }) => ({ fromMs: startMs, toMs: endMs })),
    signal,
  }
}
