import type { RequestHandler, Response } from 'express'
import type { OperationId } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { entityTag } from './entity-tag.ts'

/** The versions of a resource that a request may change; `*`: any. */
export type IfMatch = '*' | ReadonlySet<string>

/** Operations that change a resource whose version GET tells. */
export const VERSIONED: ReadonlySet<OperationId> = new Set<OperationId>([
  'changeMeeting',
  'cancelMeeting',
  'changeMeetingRetention',
  'changeOrganization',
  'setCustomFields',
  'changeWebhook',
  'deleteWebhook',
  'changeUser',
  'changeParticipant',
  'removeParticipant',
])

const CHANGES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
// RFC 9110 §8.8.3: a list of entity tags, of which only strong ones can match (§13.1.1).
const TAG = '"[\\x21\\x23-\\x7e\\x80-\\xff]*"'
const STRONG_TAGS = new RegExp(`^[ \\t]*${TAG}(?:[ \\t]*,[ \\t]*${TAG})*[ \\t]*$`)
const WEAK_TAG = /(^|,)[ \t]*W\//

/**
 * Reads `If-Match` of a request that changes something, behind `authorize`. Where it would not be looked at, the request
 * is refused: who sends it counts on it.
 * @throws {Problem} `bad_if_match`
 */
export const readIfMatch: RequestHandler = (request, response, next) => {
  const header = request.get('if-match')
  if (header === undefined || !CHANGES.has(request.method) || !response.locals.caller) return next()
  const { wanted } = response.locals as { wanted?: { operation?: OperationId } }
  if (!wanted?.operation || !VERSIONED.has(wanted.operation))
    throw new Problem('bad_if_match', 'What this changes has no version. Leave If-Match away.')
  response.locals.ifMatch = parseIfMatch(header)
  next()
}

function parseIfMatch(header: string): IfMatch {
  if (header.trim() === '*') return '*'
  if (STRONG_TAGS.test(header)) return new Set(header.match(new RegExp(TAG, 'g')))
  throw new Problem(
    'bad_if_match',
    WEAK_TAG.test(header)
      ? 'A weak tag never matches here. Send the ETag of GET as it is, without W/.'
      : 'If-Match has to be * or the ETag of GET as it is, with its quotation marks.',
  )
}

/** What the request says in `If-Match`, behind {@link readIfMatch}. */
export function ifMatchOf(response: Response): IfMatch | undefined {
  return response.locals.ifMatch as IfMatch | undefined
}

/**
 * Refuses a change of a resource that is not as the caller last saw it. To be asked while nobody else can change it,
 * and only when nothing else speaks against the change (RFC 9110 §13.2.1).
 * @param look makes the resource as GET shows it
 * @throws {Problem} `version_changed`
 */
export async function refuseOtherVersion(
  ifMatch: IfMatch | undefined,
  look: () => object | Promise<object>,
): Promise<void> {
  if (ifMatch === undefined || ifMatch === '*') return
  const tag = entityTag(await look())
  if (ifMatch.has(tag)) return
  throw new Problem(
    'version_changed',
    'It was changed since you read it. GET it again, see whether your change still holds, and send it with the new ETag.',
    { headers: { ETag: tag } },
  )
}
