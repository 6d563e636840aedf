// Breaks Testigo for real, one fault after another, and measures what is left of each recording in its own file.
import { createWriteStream, existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { playRows } from './faults/play.ts'
import { faultsDocument, personLine } from './faults/print.ts'
import type { Row } from './faults/row.ts'
import { ROWS } from './faults/table.ts'

const USAGE = `npm run faults -- [options]

  --only a,b     only these faults
  --json         one line of JSON for each fault
  --full         the durations named in the table, instead of the shortest that prove the point
  --list         names and words of all faults
  --at-once N    how many faults at the same time, each on a stage of its own (default 2)
  --tries N      how often a fault is played that fails (default 2): a machine with other work to do disturbs media
  --log FILE     what the services print (default: nowhere)
  --markdown     the table as a document; with figures from a file of --json lines (--figures FILE)
`

const MOST = 8

/** The command was typed in a way that means nothing; the usage says how. */
class BadUsage extends Error {}

interface Options {
  rows: Row[]
  json: boolean
  full: boolean
  atOnce: number
  tries: number
  log: string | undefined
}

function readOptions(
  args: string[],
): Options & { list: boolean; markdown: boolean; figures: string | undefined } {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      'at-once': { type: 'string', default: '2' },
      tries: { type: 'string', default: '2' },
      log: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      figures: { type: 'string' },
    },
  })
  const names = values.only?.split(',').map(name => name.trim())
  const unknown = names?.filter(name => !ROWS.some(row => row.name === name)) ?? []
  if (unknown.length > 0) throw new BadUsage(`there is no fault ${unknown.join(', ')}; --list shows them all`)
  const count = (name: 'at-once' | 'tries') => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < 1 || value > MOST)
      throw new BadUsage(`--${name} takes a whole number from 1 to ${MOST}`)
    return value
  }
  if (values.figures !== undefined && !existsSync(values.figures))
    throw new BadUsage(`--figures: there is no file ${values.figures}`)
  const { json, full, list, markdown, log, figures } = values
  const rows = ROWS.filter(row => !names || names.includes(row.name))
  return { rows, json, full, atOnce: count('at-once'), tries: count('tries'), log, list, markdown, figures }
}

async function play({ rows, json, full, atOnce, tries, log }: Options): Promise<boolean> {
  const output = log === undefined ? undefined : createWriteStream(log, { flags: 'a' })
  const onOutput = (text: string) => output?.write(text)
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
  const ok = await playRows(rows, { full, atOnce, tries, onOutput, signal: stop.signal }, (row, line) =>
    process.stdout.write(json ? `${JSON.stringify(line)}\n` : personLine(row, line)),
  )
  output?.end()
  return ok
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  const { list, markdown, figures } = options
  if (list) process.stdout.write(ROWS.map(row => `${row.name.padEnd(28)} ${row.fault}\n`).join(''))
  else if (markdown) process.stdout.write(await faultsDocument(ROWS, figures))
  else return (await play(options)) ? 0 : 1
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const badUsage =
    error instanceof BadUsage || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
  process.stderr.write(
    badUsage
      ? `${(error as Error).message}\n\n${USAGE}`
      : `The faults cannot be run: ${(error as Error).stack ?? String(error)}\n`,
  )
  process.exitCode = 1
}
