import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import type { Clock } from '../../clock.ts'
import type { Transaction } from '../../db/connect.ts'
import {
  type ClaimedRequest,
  claimRequest,
  type KeptAnswer,
  keepAnswer,
  releaseRequest,
} from '../../db/idempotency.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import type { Log } from '../../log.ts'
import { asCaller, type Caller } from '../caller.ts'
import type { OperationId } from '../permissions.ts'
import { Problem } from '../problem.ts'
import type { Vault } from '../webhooks/vault.ts'
import { type HeldAnswer, holdAnswer } from './hold-answer.ts'
import { readIdempotencyKey, requestHash } from './key.ts'

interface AnswerOnceDeps {
  db: TenantDatabase
  vault: Vault
  clock: Clock
  log: Log
  /** How long a request may take, Google and all. */
  limitMs: number
  /** Answers what goes wrong after a handler has answered. */
  fail: ErrorRequestHandler
}

const CHANGES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
// A lease outlives its request: so much later a repeat takes it that its process has died.
const LEASE_BEYOND_LIMIT_MS = 10_000
const LONGEST_RETRY_AFTER_SECONDS = 5

/**
 * Operations that do all they do in the database: they run in one transaction together with the keeping of their answer,
 * so that a crash leaves both or nothing. All others go on after a crash by `changeOnce`.
 */
const IN_ONE_TRANSACTION: ReadonlySet<OperationId> = new Set<OperationId>([
  'setCustomFields',
  'createWebhook',
  'changeWebhook',
  'deleteWebhook',
  'rotateWebhookSecret',
  'testWebhook',
  'redeliverWebhook',
  'createKey',
  'revokeKey',
  'rotateKey',
  'createUser',
  'changeUser',
  'createPasswordLink',
  'endUserSessions',
  'changeOrganization',
  'changeMeetingRetention',
  'erasePerson',
])

/**
 * Answers a request with an `Idempotency-Key` once, and its repeats with the same answer for 24 hours
 * (draft-ietf-httpapi-idempotency-key-header-07). Answers of 500 and more, and 429, are not kept: the
 * repeat tries again. Bodies
 * are sealed by the vault, since they may hold new secrets and people's data; whoever repeats the request is the same
 * caller, and still has to be allowed to send it. For requests of nobody (signing in) the header means nothing.
 */
export function answerOnce(deps: AnswerOnceDeps): RequestHandler {
  const { db, clock } = deps
  const leaseMs = deps.limitMs + LEASE_BEYOND_LIMIT_MS
  return async (request, response, next) => {
    const caller = response.locals.caller as Caller | undefined
    const header = request.get('idempotency-key')
    if (!caller || header === undefined || !CHANGES.has(request.method)) return next()
    const asked = {
      organizationId: caller.organizationId,
      caller: caller.principal,
      key: readIdempotencyKey(header),
      request: `${request.method} ${request.baseUrl}${request.path}`,
      // A body may hold a password, which could be guessed by a plain hash of it.
      requestHash: await deps.vault.fingerprint(requestHash(request)),
    }
    const now = new Date(clock.now())
    const outcome = await asCaller(db, caller, tx => claimRequest(tx, asked, { now, leaseMs }))
    if (outcome.kind === 'another_request')
      throw new Problem(
        'idempotency_key_reused',
        'This Idempotency-Key came with another request before. Send a new key with a new request.',
      )
    if (outcome.kind === 'in_flight') throw keyInUse(outcome.leftMs)
    if (outcome.kind === 'answered') return repeat(deps, response, outcome.answer)
    const { wanted } = response.locals as { wanted?: { operation?: OperationId } }
    const whole = wanted?.operation !== undefined && IN_ONE_TRANSACTION.has(wanted.operation)
    const mine = { ...caller, repeatable: outcome.request }
    const hold = (as: Caller) => {
      response.locals.caller = as
      // A transaction must not end while somebody works in it. Its statements have limits of their own, and where it takes
      // longer than the lease, its answer is not kept and it is undone.
      return holdAnswer(response, next, whole ? undefined : deps.limitMs)
    }
    let held: HeldAnswer | undefined
    try {
      if (whole) {
        await asCaller(db, mine, async tx => {
          held = await hold({ ...mine, within: tx })
          if (!isFinal(held.status)) throw new NotToKeep()
          await keep(deps, tx, outcome.request, held)
        })
      } else {
        held = await hold(mine)
        await keepIfMay(deps, mine, outcome.request, held)
      }
    } catch (error) {
      await release(deps, mine, outcome.request)
      if (held && !(error instanceof NotToKeep)) {
        held.drop()
        held = undefined
      }
      if (!held) return deps.fail(error, request, response, next)
    }
    held?.send()
  }
}

// What says "later" must not be said for a day.
const isFinal = (status: number) => status < 500 && status !== 429

/** Undoes the transaction of an answer that is not kept. */
class NotToKeep extends Error {}

/** The refusal of a request whose first sending is still being answered. */
export function keyInUse(leftMs = 0): Problem {
  return new Problem(
    'idempotency_key_in_use',
    'The first request with this Idempotency-Key is being answered. Send it again in a moment.',
    { retryAfterSeconds: Math.min(LONGEST_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(leftMs / 1000))) },
  )
}

async function repeat({ vault }: AnswerOnceDeps, response: Response, answer: KeptAnswer): Promise<void> {
  const { id, status, headers, sealedBody } = answer
  const body = sealedBody === null ? '' : await vault.unseal(sealedBody, ownerOf(id))
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('Idempotency-Replayed', 'true')
  response.status(status)
  if (body === '') response.end()
  else response.setHeader('Content-Length', Buffer.byteLength(body)).end(body)
}

async function keep(
  { vault }: AnswerOnceDeps,
  tx: Transaction,
  request: ClaimedRequest,
  { status, headers, body }: HeldAnswer,
): Promise<void> {
  const sealedBody = body === '' ? null : await vault.seal(body, ownerOf(request.id))
  await keepAnswer(tx, request, { status, headers, sealedBody })
}

/** Of a request that has done what it does: its answer is true whether it can be kept or not. */
async function keepIfMay(
  deps: AnswerOnceDeps,
  caller: Caller,
  request: ClaimedRequest,
  held: HeldAnswer,
): Promise<void> {
  if (!isFinal(held.status)) return release(deps, caller, request)
  try {
    await asCaller(deps.db, caller, tx => keep(deps, tx, request, held))
  } catch (error) {
    deps.log.warn(
      { error, requestId: request.id },
      'an answer could not be kept; its repeat is answered anew',
    )
  }
}

async function release(deps: AnswerOnceDeps, caller: Caller, request: ClaimedRequest): Promise<void> {
  try {
    await asCaller(deps.db, caller, tx => releaseRequest(tx, request))
  } catch (error) {
    deps.log.warn({ error, requestId: request.id }, 'a request stays claimed until its lease is over')
  }
}

const ownerOf = (requestId: string) => `idempotency:${requestId}`
