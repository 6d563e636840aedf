/**
 * `ok`: it is what it should be. `removed`: it went knowingly. `lost`: the manifest itself says, by a gap, that it was gone
 * when the video was made. `missing`, `different`: the proof fails. `not_checked`: nobody can say.
 */
export type FindingState = 'ok' | 'removed' | 'lost' | 'missing' | 'different' | 'not_checked'

/** What was found about one thing, in a sentence for people. */
export interface Finding {
  /** The kind of thing: those of one kind that are well share a line. */
  what: 'manifest' | 'audit log' | 'timeline' | 'rows' | 'file' | 'lock' | 'segment' | 'second source'
  state: FindingState
  sentence: string
  /** Name of the object in the bucket, where it is one. */
  key?: string
}

export type Verdict = 'holds' | 'fails' | 'not_all_checked'

/** What all findings together say. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.some(({ state }) => state === 'missing' || state === 'different')) return 'fails'
  return findings.some(({ state }) => state === 'not_checked') ? 'not_all_checked' : 'holds'
}

const VERDICTS: Record<Verdict, string> = {
  holds: 'Everything holds.',
  fails: 'It does not hold.',
  not_all_checked: 'What was checked holds, but not everything was checked.',
}
const MARKS: Record<FindingState, string> = {
  ok: 'ok         ',
  removed: 'removed    ',
  lost: 'lost       ',
  missing: 'MISSING    ',
  different: 'DIFFERENT  ',
  not_checked: 'not checked',
}

/** The findings as lines for a person; many segments that are alike in what was found share one. */
export function describeFindings(findings: readonly Finding[]): string {
  const lines: string[] = []
  const alike = new Map<string, Finding[]>()
  for (const finding of findings) {
    const shared = finding.what === 'segment' && finding.state !== 'missing' && finding.state !== 'different'
    const group = alike.get(finding.state) ?? []
    if (!shared) lines.push(`${MARKS[finding.state]}  ${finding.what}: ${finding.sentence}`)
    else alike.set(finding.state, [...group, finding])
  }
  for (const [state, group] of alike) {
    const words = group.length === 1 ? group[0]?.sentence : `${group.length} of them: ${SHARED[state]}`
    lines.push(`${MARKS[state as FindingState]}  segment: ${words}`)
  }
  return `${lines.join('\n')}\n${VERDICTS[verdictOf(findings)]}\n`
}

const SHARED: Record<string, string> = {
  ok: 'size and SHA-256 as in the manifest.',
  removed: 'removed after publishing, as set.',
  lost: 'gone when the video was made; gaps name their time.',
  not_checked: 'not looked at.',
}

/** A number with its noun. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
