import type { Manifest } from '../../recorder/manifest.ts'
import { CONTIGUOUS_MS, isCovered, segmentSpans, spanBetween } from './clock-spans.ts'
import { count, type Finding } from './findings.ts'

// Where the joining put a piece, against where its segments' lengths put it.
const FILE_SLACK_MS = 50

const clock = (instant: string) => Date.parse(instant)
const different = (what: Finding['what'], sentence: string): Finding => ({
  what,
  state: 'different',
  sentence,
})

/** Does a manifest agree with itself? Needs nothing but the manifest. */
export function checkInnerConsistency(manifest: Manifest): Finding[] {
  const faults = [
    ...timelineFaults(manifest),
    ...gapFaults(manifest),
    ...segmentFaults(manifest),
    ...(manifest.files.length === 0 ? [different('file', 'The manifest names no video.')] : []),
  ]
  if (faults.length > 0) return faults
  const lastMs = manifest.timeline.at(-1)?.fileEndMs ?? 0
  return [
    {
      what: 'timeline',
      state: 'ok',
      sentence: `${(lastMs / 1000).toFixed(3)} s without a hole in the file, from ${count(manifest.timeline.length, 'stretch', 'stretches')} of the call, with ${count(manifest.gaps.length, 'named gap')}.`,
    },
  ]
}

function timelineFaults({ timeline, gaps, attempts }: Manifest): Finding[] {
  const faults: Finding[] = []
  const say = (sentence: string) => faults.push(different('timeline', sentence))
  const numbers = new Set(attempts.map(({ number }) => number))
  const named = gaps.map(gap => spanBetween(gap.from, gap.to))
  if (timeline.length === 0) say('The timeline is empty.')
  timeline.forEach((entry, index) => {
    const place = `Stretch ${index + 1} of the timeline`
    const before = timeline[index - 1]
    const fileMs = entry.fileEndMs - entry.fileStartMs
    if (!numbers.has(entry.attempt))
      say(`${place} is of attempt ${entry.attempt}, which the manifest does not have.`)
    if (fileMs <= 0) say(`${place} does not end after it begins.`)
    if (Math.abs(clock(entry.clockEnd) - clock(entry.clockStart) - fileMs) > FILE_SLACK_MS)
      say(`${place} is longer or shorter in the file than by the clock.`)
    const due = before?.fileEndMs ?? 0
    if (Math.abs(entry.fileStartMs - due) > FILE_SLACK_MS)
      say(`${place} begins at ${entry.fileStartMs} ms of the file instead of at ${due} ms.`)
    if (!before) return
    const jump = spanBetween(before.clockEnd, entry.clockStart)
    if (jump.toMs - jump.fromMs < -CONTIGUOUS_MS) say(`${place} was recorded before the one in front of it.`)
    if (!isCovered(jump, named))
      say(
        `Before stretch ${index + 1} of the timeline the clock jumps from ${before.clockEnd} to ${entry.clockStart}, and no gap names it.`,
      )
  })
  return faults
}

function gapFaults({ gaps, timeline }: Manifest): Finding[] {
  return gaps.flatMap(gap => {
    const { fromMs, toMs } = spanBetween(gap.from, gap.to)
    const faults: Finding[] = []
    if (toMs - fromMs !== gap.ms || gap.ms <= 0)
      faults.push(different('timeline', `The gap from ${gap.from} to ${gap.to} is not ${gap.ms} ms long.`))
    const overlapMs = timeline.map(
      entry => Math.min(toMs, clock(entry.clockEnd)) - Math.max(fromMs, clock(entry.clockStart)),
    )
    if (overlapMs.some(ms => ms > CONTIGUOUS_MS))
      faults.push(
        different('timeline', `The gap from ${gap.from} to ${gap.to} lies where something was recorded.`),
      )
    return faults
  })
}

function segmentFaults({ segments, attempts, timeline, gaps }: Manifest): Finding[] {
  const faults: Finding[] = []
  const say = (sentence: string) => faults.push(different('segment', sentence))
  const known = new Set(attempts.map(({ number }) => number))
  const keys = new Set(segments.map(({ key }) => key))
  if (keys.size < segments.length) say('Two segments of the manifest have the same object.')
  for (const [attempt, own] of Map.groupBy(segments, segment => segment.attempt)) {
    if (!known.has(attempt))
      say(`There are segments of attempt ${attempt}, which the manifest does not have.`)
    const elsewhere = [
      ...gaps.map(gap => spanBetween(gap.from, gap.to)),
      ...timeline
        .filter(entry => entry.attempt !== attempt)
        .map(entry => spanBetween(entry.clockStart, entry.clockEnd)),
    ]
    const spans = segmentSpans(own)
    const media = own.filter(({ number }) => number > 0).sort((a, b) => a.number - b.number)
    if (media.length === own.length && media.length > 0)
      say(`Attempt ${attempt} has no initialisation segment.`)
    media.forEach((segment, index) => {
      const before = media[index - 1]
      if (!before) return
      if (segment.number === before.number) say(`Attempt ${attempt} has segment ${segment.number} twice.`)
      const hole = { fromMs: spans.get(before)?.toMs ?? 0, toMs: spans.get(segment)?.fromMs ?? 0 }
      if (segment.number > before.number + 1 && !isCovered(hole, elsewhere))
        say(
          `Segments ${before.number + 1} to ${segment.number - 1} of attempt ${attempt} are not in the manifest, and no gap names their time.`,
        )
    })
  }
  return faults
}
