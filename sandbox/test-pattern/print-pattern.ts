/** `node sandbox/test-pattern/print-pattern.ts <recording> [--json]`: what a recording holds of the test pattern. */
import { parseArgs } from 'node:util'
import { PatternReadError } from './media-streams.ts'
import type { ParticipantReport } from './participant-report.ts'
import { type PatternReport, readPattern } from './read-pattern.ts'

const ms = (value: number) => `${Math.round(value)} ms`
const at = (value: number) => `${(value / 1000).toFixed(2)} s`

function describe(report: PatternReport): string {
  const { video, audio } = report
  const lines = [
    `${report.width}×${report.height}, ${at(report.durationMs)}, ${video.frames} frames, ${video.fps.toFixed(2)} fps; ` +
      `frame to frame ${ms(video.intervalMs.median)} median, ${ms(video.intervalMs.p95)} p95, ` +
      `${ms(video.intervalMs.max)} at most (at ${at(video.longestIntervalAtPtsMs)})`,
    audio
      ? `sound from ${at(audio.firstPtsMs)} to ${at(audio.endPtsMs)}, longest gap ${ms(audio.largestGapMs)}`
      : 'no sound',
    ...report.participants.flatMap(describeParticipant),
  ]
  if (report.participants.length === 0) lines.push('nobody seen or heard')
  return lines.join('\n')
}

function describeParticipant(one: ParticipantReport): string[] {
  const { offset, largestCodeGap, largestPtsGap, longestFreeze } = one
  return [
    `participant ${one.participant}`,
    `  picture: ${one.frames.length} frames, ${one.distinctCodes} distinct, ${one.unreadableFrames} unreadable, ` +
      `${one.misreadFrames} misread, ${one.stepsBack} steps back`,
    `  gaps: code ${ms(largestCodeGap.lengthMs)} at ${at(largestCodeGap.atPtsMs)}, ` +
      `out of sight ${ms(largestPtsGap.lengthMs)} at ${at(largestPtsGap.atPtsMs)}, ` +
      `frozen ${ms(longestFreeze.lengthMs)} at ${at(longestFreeze.atPtsMs)}`,
    `  ${one.flashes.length} flashes, missing ${one.missingFlashes.length}; ` +
      `${one.beeps.length} beeps, missing ${one.missingBeeps.length}`,
    offset
      ? `  sound after picture: ${offset.medianMs.toFixed(1)} ms median, ${offset.p95Ms.toFixed(1)} ms p95, ` +
        `${offset.minMs.toFixed(1)} to ${offset.maxMs.toFixed(1)} ms, drift ${offset.driftMs.toFixed(1)} ms, ${offset.pairs} pairs`
      : '  no flash with its beep',
  ]
}

const usage = 'usage: node sandbox/test-pattern/print-pattern.ts <recording> [--json]'

async function main(): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: 'boolean' } },
      allowPositionals: true,
    })
    const [file] = positionals
    if (!file || positionals.length > 1) throw new TypeError('one recording is to be named')
    const report = await readPattern(file)
    console.log(values.json ? JSON.stringify(report) : describe(report))
    return 0
  } catch (error) {
    if (error instanceof PatternReadError) console.error(error.message)
    else if (error instanceof TypeError) console.error(`${error.message}\n${usage}`)
    else throw error
    return 1
  }
}

process.exitCode = await main()
