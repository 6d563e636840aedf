import type { RawAnswer } from './send.ts'

/** What an organisation has come to know by the answers it got: ids, tokens, cursors, by kind. */
export class Pool {
  readonly #things = new Map<string, string[]>()

  add(kind: string, value: unknown): void {
    if (typeof value !== 'string') return
    const there = this.#things.get(kind) ?? []
    if (!there.includes(value)) this.#things.set(kind, [...there, value].slice(-MOST))
  }

  /** Counted round; undefined where there is none. */
  at(kind: string, index: number): string | undefined {
    const there = this.#things.get(kind) ?? []
    return there[index % there.length]
  }
}

const MOST = 12

/** Takes up what an answer with 2xx names. @param ignored ids that are to be left alone */
export function learn(pool: Pool, path: string, answer: RawAnswer, ignored: ReadonlySet<string>): void {
  const body = objectIn(answer)
  if (!body) return
  const collection = path.split('/').findLast(segment => segment !== '' && !segment.startsWith('{')) ?? ''
  const items = Array.isArray(body.items) ? (body.items as Record<string, unknown>[]) : []
  const people = body.invited ?? body.participants
  const invited = Array.isArray(people) ? (people as Record<string, unknown>[]) : []
  for (const { id } of items.slice(0, MOST)) if (!ignored.has(String(id))) pool.add(collection, id)
  for (const { id } of invited) pool.add('participants', id)
  pool.add(collection, body.id)
  pool.add('series', (body.series as { id?: string } | null | undefined)?.id)
  pool.add('emails', body.email)
  pool.add('keySecrets', body.key)
  pool.add('passwordTokens', body.token)
  pool.add('refreshTokens', body.refreshToken)
  pool.add('cursors', body.nextCursor)
  pool.add('externalIds', body.externalId)
  pool.add('etags', answer.headers.etag)
}

/** The object that an answer with 2xx holds. */
function objectIn({ status, headers, text }: RawAnswer): Record<string, unknown> | undefined {
  if (status >= 300 || text === '' || !headers['content-type']?.startsWith('application/json'))
    return undefined
  const body: unknown = JSON.parse(text)
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined
}
