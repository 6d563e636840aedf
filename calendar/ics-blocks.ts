/** A file that cannot be read at all; the message is for whoever sent it. */
export class IcsRefused extends Error {
  readonly code = 'ics_refused'
  readonly reason: 'not_ics' | 'too_large' | 'too_many_events' | 'no_events'

  constructor(reason: IcsRefused['reason'], message: string) {
    super(message)
    this.name = 'IcsRefused'
    this.reason = reason
  }
}

/** One VEVENT, its lines unfolded. */
export interface EventBlock {
  /** What the program meant by the file, such as `PUBLISH`, `REQUEST`, `CANCEL`. */
  method: string
  /** Rule and exceptions of the event. */
  recurrence: string[]
  /** All other lines, BEGIN and END among them. */
  lines: string[]
}

const LARGEST_ICS_BYTES = 1024 * 1024
const MOST_ICS_EVENTS = 500
// Descriptions are far shorter; exceptions of a long series are not.
const LONGEST_LINE = 64 * 1024
const RECURRENCE_LINE = /^(RRULE|RDATE|EXDATE|EXRULE)[;:]/i

/**
 * Takes the events out of an ICS file without judging them, so that one that is broken leaves the others alone.
 * @param file bytes or text, lines folded or not (RFC 5545 §3.1)
 * @throws {IcsRefused}
 */
export function eventBlocks(file: Uint8Array | string): EventBlock[] {
  const size = typeof file === 'string' ? Buffer.byteLength(file) : file.byteLength
  if (size > LARGEST_ICS_BYTES)
    throw new IcsRefused('too_large', `The file is larger than ${LARGEST_ICS_BYTES} bytes. Send it in parts.`)
  const lines = unfold(file)
  if (!/^BEGIN:VCALENDAR$/i.test(lines[0]?.trim() ?? ''))
    throw new IcsRefused('not_ics', 'The file does not begin with BEGIN:VCALENDAR: it is no ICS file.')
  const blocks = collect(lines)
  if (blocks.length === 0) throw new IcsRefused('no_events', 'The file holds no VEVENT.')
  return blocks
}

function collect(lines: readonly string[]): EventBlock[] {
  const blocks: EventBlock[] = []
  const open: string[] = []
  let method = 'PUBLISH'
  let block: EventBlock | undefined
  for (const line of lines) {
    const [, edge, name = ''] = /^(BEGIN|END):([A-Z-]+)\s*$/i.exec(line) ?? []
    const component = name.toUpperCase()
    if (edge?.toUpperCase() === 'BEGIN') {
      open.push(component)
      if (component === 'VCALENDAR') method = 'PUBLISH'
      if (component === 'VEVENT') block ??= { method, recurrence: [], lines: [] }
    }
    if (open.length === 1) method = /^METHOD:\s*([A-Z]+)\s*$/i.exec(line)?.[1]?.toUpperCase() ?? method
    if (line.length > LONGEST_LINE && !/^EXDATE[;:]/i.test(line))
      throw new IcsRefused('too_large', `The file has a line of more than ${LONGEST_LINE} characters.`)
    const own = block && open.at(-1) === 'VEVENT'
    if (own && RECURRENCE_LINE.test(line)) block?.recurrence.push(line)
    else block?.lines.push(line)
    if (edge?.toUpperCase() !== 'END') continue
    if (open.pop() !== component)
      throw new IcsRefused('not_ics', `The file is broken: END:${component.slice(0, 30)} ends nothing.`)
    if (component !== 'VEVENT' || !block) continue
    blocks.push(block)
    block = undefined
    if (blocks.length > MOST_ICS_EVENTS)
      throw new IcsRefused(
        'too_many_events',
        `A file has at most ${MOST_ICS_EVENTS} events. Send it in parts.`,
      )
  }
  if (open.length > 0)
    throw new IcsRefused('not_ics', `The file ends before END:${open.at(-1)}: it was cut off.`)
  return blocks
}

// Folding counts bytes and may cut a character in two: bytes are put together before they are read as text.
function unfold(file: Uint8Array | string): string[] {
  const bytes = Buffer.from(file as Uint8Array)
  const unfolded = bytes.toString('latin1').replace(/\r?\n[ \t]/g, '')
  const text = Buffer.from(unfolded, 'latin1').toString('utf8')
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .filter(line => line.trim() !== '')
}
