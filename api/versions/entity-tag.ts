import { createHash } from 'node:crypto'
import type { Response } from 'express'

const TAG_BYTES = 18

/**
 * The strong entity tag (RFC 9110 §8.8.3) of a resource as callers see it: the beginning of the SHA-256 of its JSON. So
 * it changes with everything that can be seen of the resource, whoever changed it: callers, jobs, Google, a recorder.
 */
export function entityTag(view: object): string {
  const hash = createHash('sha256').update(JSON.stringify(view)).digest()
  return `"${hash.subarray(0, TAG_BYTES).toString('base64url')}"`
}

/**
 * Answers with a resource and its tag; to a GET whose `If-None-Match` names the tag Express answers 304 instead.
 * @param seen the resource as GET shows it, where the answer shows more
 */
export function sendVersioned(response: Response, view: object, seen = view): void {
  response.setHeader('ETag', entityTag(seen))
  response.json(view)
}
