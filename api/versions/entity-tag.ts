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
 * Answers with a resource and its tag, or with 304 to a GET whose `If-None-Match` names the tag. Not left to Express,
 * which sends everything again where the request has `Cache-Control: no-cache`, as `fetch` adds by itself.
 * @param seen the resource as GET shows it, where the answer shows more
 */
export function sendVersioned(response: Response, view: object, seen = view): void {
  const { method } = response.req
  const tag = entityTag(seen)
  response.setHeader('ETag', tag)
  if ((method === 'GET' || method === 'HEAD') && isKnown(response.req.get('if-none-match'), tag))
    response.status(304).end()
  else response.json(view)
}

// RFC 9110 §13.1.2: compared weakly.
function isKnown(header: string | undefined, tag: string): boolean {
  if (header?.trim() === '*') return true
  return header?.match(/"[\x21\x23-\x7e\x80-\xff]*"/g)?.includes(tag) ?? false
}
