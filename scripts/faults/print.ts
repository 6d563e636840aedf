import { readFile } from 'node:fs/promises'
import type { Line, Row } from './row.ts'

const figure = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(1))

/** A row's outcome for a person. */
export function personLine(row: Row, line: Line): string {
  const facts = [
    line.ok ? 'ok    ' : 'FAILED',
    row.name.padEnd(26),
    `lost ${figure(line.lostSeconds).padStart(5)} s`,
    `again after ${figure(line.recoverySeconds).padStart(5)} s`,
    `${line.status ?? '–'}: ${line.ending ?? '–'}`,
    line.tries ? `(played ${line.tries} times)` : '',
    line.note ? `(${line.note})` : '',
  ]
  const why = (line.why ?? []).map(reason => `         ${reason}\n`)
  return `${facts.join('  ').trimEnd()}\n${why.join('')}`
}

const INTRODUCTION = `# Faults

What happens when something breaks during a call, and what it costs. Every row is played by \`npm run faults\`: the part is
really killed, stopped, filled or cut while a call is being recorded by the real services, and the finished file is
downloaded and measured. Every simulated participant shows the time in its picture, so the file itself says which
moments of the call are in it; no log is asked.

- **Video lost**: captured before the fault and absent from the file.
- **Seconds until recording again**: from the fault, or from the return of what was away, to the next moment in the file.
  0: there is no hole of more than half a second.

A row also fails when the recording does not end as \`available\` or \`partial\`, ends with another word than it should, has
a hole that its gaps do not name, shows something twice, has no sound, or states other times than those of the real clock.

\`npm run faults -- --only NAME[,NAME]\` plays some of them, \`--list\` names them, \`--json\` writes one line for each,
\`--full\` takes the durations named here; without it outages are shortened to what still proves the point. A row that
fails is played once more (\`--tries\`), because other work on the machine disturbs real media; its line then says so.
`

/**
 * The table as a document.
 * @param figures file with lines of `--json`, for the measured columns; the limits stand there otherwise
 */
export async function faultsDocument(rows: readonly Row[], figures?: string): Promise<string> {
  const lines = figures === undefined ? [] : await readLines(figures)
  const head =
    '| fault | what happens | video lost | seconds until recording again |\n| --- | --- | --- | --- |\n'
  const body = rows.map(row => {
    const line = lines.findLast(({ fault, ok }) => ok && fault === row.name)
    const lost = line ? `${figure(line.lostSeconds)} s` : `at most ${row.mostLostSeconds} s`
    const again = line ? figure(line.recoverySeconds) : `at most ${row.mostRecoverySeconds}`
    return `| ${row.fault} (\`${row.name}\`) | ${row.happens} | ${lost} | ${again} |\n`
  })
  return `${INTRODUCTION}\n${head}${body.join('')}`
}

async function readLines(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8')
  return text
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Line)
}
