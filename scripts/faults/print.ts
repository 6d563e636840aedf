import { readFile } from 'node:fs/promises'
import type { Line, Row } from './row.ts'

const figure = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(1))

/** A row's outcome for a person. */
export function personLine(row: Row, line: Line): string {
  const facts = [
    line.ok ? 'ok    ' : 'FAILED',
    row.fault.padEnd(52),
    `lost ${figure(line.lostSeconds).padStart(5)} s`,
    `again after ${figure(line.recoverySeconds).padStart(5)} s`,
    line.ending ?? '–',
    line.note ? `(${line.note})` : '',
  ]
  const why = (line.why ?? []).map(reason => `         ${reason}\n`)
  return `${facts.join('  ').trimEnd()}\n${why.join('')}`
}

/**
 * The table for a document.
 * @param figures file with lines of `--json`, for the measured columns
 */
export async function markdownTable(rows: readonly Row[], figures?: string): Promise<string> {
  const lines = figures === undefined ? [] : await readLines(figures)
  const head =
    '| fault | what happens | video lost | seconds until recording again |\n| --- | --- | --- | --- |\n'
  const body = rows.map(row => {
    const line = lines.findLast(({ fault }) => fault === row.name)
    const lost = line ? `${figure(line.lostSeconds)} s` : `at most ${row.mostLostSeconds} s`
    const again = line ? figure(line.recoverySeconds) : `at most ${row.mostRecoverySeconds}`
    return `| ${row.fault} | ${row.happens} | ${lost} | ${again} |\n`
  })
  return head + body.join('')
}

async function readLines(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8')
  return text
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Line)
}
