import { randomUUID } from 'node:crypto'
import { and, eq, lt, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { idempotencyKeys } from './schema.ts'

/** Requests that their callers may repeat (`Idempotency-Key`). */

type RequestRow = typeof idempotencyKeys.$inferSelect

/** A request in the hands of one who answers it. */
export interface ClaimedRequest {
  id: string
  /** Another one's, once the lease was over and somebody else took it up. */
  claim: string
}

/** A request as it comes in. */
interface AskedRequest {
  organizationId: string
  /** `key:<id>` or `user:<id>`. */
  caller: string
  key: string
  /** Method and path. */
  request: string
  requestHash: string
}

/** An answer that was kept. */
export interface KeptAnswer {
  id: string
  status: number
  headers: Record<string, string>
  /** Null where it had no body. */
  sealedBody: string | null
}

type ClaimOutcome =
  | { kind: 'claimed'; request: ClaimedRequest }
  | { kind: 'answered'; answer: KeptAnswer }
  /** Somebody answers it right now. */
  | { kind: 'in_flight'; leftMs: number }
  /** The key was used for another request. */
  | { kind: 'another_request' }

/** A request is no longer in the hands of who answers it: its lease ran out, and a repeat took it up. */
export class RequestLost extends Error {
  readonly code = 'request_lost'
}

const KEPT_MS = 24 * 3_600_000

/** Takes a request for `leaseMs`, or tells what became of the one that came with this key before. */
export async function claimRequest(
  tx: Transaction,
  asked: AskedRequest,
  { now, leaseMs }: { now: Date; leaseMs: number },
): Promise<ClaimOutcome> {
  const later = (ms: number) => new Date(now.getTime() + ms)
  const request = { id: randomUUID(), claim: randomUUID() }
  const fresh = {
    ...asked,
    ...request,
    claimedUntil: later(leaseMs),
    createdAt: now,
    expiresAt: later(KEPT_MS),
  }
  const [row] = await tx
    .insert(idempotencyKeys)
    .values(fresh)
    .onConflictDoUpdate({
      target: [idempotencyKeys.organizationId, idempotencyKeys.caller, idempotencyKeys.key],
      // Changes nothing: it locks the row that is there, and gives it back.
      set: { caller: sql`excluded.caller` },
    })
    .returning()
  if (!row) throw new Error('the database did not give the request back')
  if (row.id === request.id) return { kind: 'claimed', request }
  const ofRow = eq(idempotencyKeys.id, row.id)
  if (row.expiresAt <= now) {
    const empty = { done: null, status: null, headers: null, sealedBody: null }
    await tx
      .update(idempotencyKeys)
      .set({ ...fresh, ...empty })
      .where(ofRow)
    return { kind: 'claimed', request }
  }
  if (row.requestHash !== asked.requestHash) return { kind: 'another_request' }
  if (row.status !== null) return { kind: 'answered', answer: answerOf(row, row.status) }
  if (row.claimedUntil && row.claimedUntil > now)
    return { kind: 'in_flight', leftMs: row.claimedUntil.getTime() - now.getTime() }
  const { claim, claimedUntil } = fresh
  await tx.update(idempotencyKeys).set({ claim, claimedUntil }).where(ofRow)
  return { kind: 'claimed', request: { id: row.id, claim } }
}

/** Keeps the answer to a request. @throws {RequestLost} */
export async function keepAnswer(
  tx: Transaction,
  request: ClaimedRequest,
  answer: Omit<KeptAnswer, 'id'>,
): Promise<void> {
  const kept = await tx
    .update(idempotencyKeys)
    .set({ ...answer, claim: null, claimedUntil: null })
    .where(holds(request))
    .returning({ id: idempotencyKeys.id })
  if (kept.length === 0) throw new RequestLost('another process answers this request')
}

/** Lets a request go unanswered: its repeat is taken up at once. */
export async function releaseRequest(tx: Transaction, request: ClaimedRequest): Promise<void> {
  await tx.update(idempotencyKeys).set({ claim: null, claimedUntil: null }).where(holds(request))
}

/** What a request has changed already; locks it until the transaction ends. @throws {RequestLost} */
export async function lockDone(
  tx: Transaction,
  request: ClaimedRequest,
): Promise<{ result: unknown } | undefined> {
  const [row] = await tx
    .select({ done: idempotencyKeys.done })
    .from(idempotencyKeys)
    .where(holds(request))
    .for('update')
  if (!row) throw new RequestLost('another process answers this request')
  return row.done ?? undefined
}

/** Notes what a request has changed, in the transaction of the change. @param result anything that JSON can hold */
export async function noteDone(tx: Transaction, request: ClaimedRequest, result: unknown): Promise<void> {
  await tx.update(idempotencyKeys).set({ done: { result } }).where(holds(request))
}

/** Removes what is kept no longer. @returns how many were removed */
export async function purgeRequests(db: Queryable, now: Date, limit: number): Promise<number> {
  const old = db
    .select({ id: idempotencyKeys.id })
    .from(idempotencyKeys)
    .where(lt(idempotencyKeys.expiresAt, now))
    .limit(limit)
    .for('update', { skipLocked: true })
  const gone = await db
    .delete(idempotencyKeys)
    .where(sql`${idempotencyKeys.id} in ${old}`)
    .returning({ id: idempotencyKeys.id })
  return gone.length
}

const holds = ({ id, claim }: ClaimedRequest) =>
  and(eq(idempotencyKeys.id, id), eq(idempotencyKeys.claim, claim))

function answerOf({ id, headers, sealedBody }: RequestRow, status: number): KeptAnswer {
  return { id, status, headers: headers ?? {}, sealedBody }
}
