import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { canonicalJson } from '../../db/canonical-json.ts'
import { Problem } from '../problem.ts'

const LONGEST_KEY = 255
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/**
 * The key that a request came with: 1 to 255 visible ASCII characters. The draft has it as a string of RFC 8941, in
 * quotation marks (draft-ietf-httpapi-idempotency-key-header-07 §2.1); without them it means the same.
 * @throws {Problem} `bad_idempotency_key`
 */
export function readIdempotencyKey(header: string): string {
  const key = header.startsWith('"') ? unquoted(header) : header
  if (key === undefined || key.length > LONGEST_KEY || !VISIBLE_ASCII.test(key))
    throw new Problem(
      'bad_idempotency_key',
      `Idempotency-Key has to be 1 to ${LONGEST_KEY} visible ASCII characters without spaces, sent once; a UUID is best.`,
    )
  return key
}

// RFC 8941 §3.3.3: only " and \ are escaped.
function unquoted(header: string): string | undefined {
  const [, inner] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header) ?? []
  return inner?.replace(/\\(["\\])/g, '$1')
}

/**
 * SHA-256 of what makes a request this one and no other: method, address, body whatever the order of its members, and
 * what it expects to find.
 * @throws {Problem} `invalid_request` for a body that is nested beyond all measure
 */
export function requestHash(request: Pick<Request, 'method' | 'originalUrl' | 'body' | 'get'>): string {
  const { method, originalUrl, body } = request
  const parts = [method, originalUrl, spelled(body), request.get('if-match') ?? '']
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function spelled(body: unknown): string {
  if (body === undefined) return ''
  try {
    return canonicalJson(body)
  } catch (error) {
    // The stack was too small for it; what follows would refuse it too.
    if (error instanceof RangeError)
      throw new Problem('invalid_request', 'The body is nested too deeply.', {}, { cause: error })
    throw error
  }
}
