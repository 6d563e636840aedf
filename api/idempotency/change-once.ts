import type { Transaction } from '../../db/connect.ts'
import { lockDone, noteDone } from '../../db/idempotency.ts'
import type { TenantDatabase } from '../../db/tenant.ts'
import { asCaller, type Caller } from '../caller.ts'

/**
 * Runs `work` as {@link asCaller} does, and at most once for a request with an `Idempotency-Key`, however often it is
 * repeated: what `work` returned is noted in its own transaction, and returned again to a repeat that goes on after a
 * crash. For the first part of a request that has more to do afterwards, such as telling Google. Once in each request.
 * @param work returns what JSON can hold, and nothing secret
 * @throws {RequestLost} when a repeat has taken the request over
 */
export function changeOnce<T extends object | undefined>(
  db: TenantDatabase,
  caller: Caller,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const { repeatable } = caller
  return asCaller(db, caller, async tx => {
    if (!repeatable) return work(tx)
    const done = await lockDone(tx, repeatable)
    if (done) return done.result as T
    const result = await work(tx)
    await noteDone(tx, repeatable, result)
    return result
  })
}
