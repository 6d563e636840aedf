/** A request as the fuzzer makes it up: plain data, so that it can be shown, shrunk and sent again. */
export interface Ask {
  operationId: string
  /** The operation's own, or another one. */
  method: string
  /** As in the document, with `{parameters}`. */
  path: string
  caller: CallerName
  /** What the path's parameters are, one for each: see {@link References}. */
  ids: string[]
  query: [name: string, value: string][]
  headers: Record<string, string>
  /** What is sent, as JSON. */
  body?: unknown
  /** Sent as it is in the place of `body`. */
  text?: string
}

export const CALLERS = [
  'admin',
  'service',
  'auditor',
  'external',
  'client',
  'person',
  'limited',
  'nobody',
  'stranger',
] as const
export type CallerName = (typeof CALLERS)[number]

/**
 * Words in an {@link Ask} that stand for what is known only when it is sent: `§own:meetings:3§` is the fourth meeting
 * that the organisation has (counted round), `§other:meetings:0§` one of the other organisation.
 */
export const referenceTo = (whose: 'own' | 'other', kind: string, at: number) => `§${whose}:${kind}:${at}§`

/** What references stand for. Undefined: there is no such thing. */
export type References = (whose: 'own' | 'other', kind: string, at: number) => string | undefined

const REFERENCE = /§(own|other):(\w+):(\d+)§/g

/** A text with what its references stand for; a stranger's id where there is nothing. */
export function filledIn(text: string, references: References): string {
  return text.replace(
    REFERENCE,
    (_all, whose, kind, at) => references(whose, kind, Number(at)) ?? '00000000-0000-4000-8000-000000000000',
  )
}

/** An {@link Ask} as one reads it. */
export function describeAsk({ method, path, caller, ids, query, headers, body, text }: Ask): string {
  const at = fillPath(path, ids)
  const search = query.length > 0 ? `?${query.map(pair => pair.join('=')).join('&')}` : ''
  const lines = [`${method} ${at}${search}   as ${caller}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`  ${name}: ${value}`)
  if (text !== undefined) lines.push(`  ${JSON.stringify(text.slice(0, 500))}`)
  else if (body !== undefined) lines.push(`  ${JSON.stringify(body).slice(0, 1500)}`)
  return lines.join('\n')
}

/** A path of the document with its parameters put in, in their order. */
export function fillPath(path: string, values: string[]): string {
  let at = 0
  return path.replaceAll(/\{\w+\}/g, () => values[at++] ?? '')
}

/** The names of the collections that a path's parameters belong to: `/v1/webhooks/{id}/deliveries/{deliveryId}` has two. */
export function collectionsOf(path: string): string[] {
  const segments = path.split('/')
  return segments.flatMap((segment, at) => (segment.startsWith('{') ? [segments[at - 1] ?? ''] : []))
}
