import { setImmediate } from 'node:timers/promises'
import type postgres from 'postgres'

/** A transaction was asked for something after its end: its connection is somebody else's by then. */
export class TransactionOver extends Error {
  readonly code = 'transaction_over'
  constructor() {
    super('the transaction has ended, and nothing more is done in it')
    this.name = 'TransactionOver'
  }
}

/** What drizzle asks of the client of a transaction, and of those of its savepoints. */
export interface AskedClient {
  /** In which role its first statement had it work; undefined: in that of whoever opened the database. */
  role?: string
  unsafe: postgres.TransactionSql['unsafe']
  savepoint(work: Work): Promise<unknown>
}
export type Work = (client: AskedClient) => unknown

/**
 * Stands between a transaction's client and whoever holds it, and lets nothing through once the transaction is over.
 * postgres.js itself would send it on the connection, which has gone back to the pool: outside of any transaction, or in
 * the middle of somebody else's.
 */
export function whileOpen(
  client: AskedClient,
  role?: string,
): {
  client: AskedClient
  /** From here on everything that is asked fails. */
  close(): void
  /** The same, and ends the savepoints that are still open. @returns whether there were any */
  finish(outcome: { failed: boolean }): Promise<boolean>
} {
  let over = false
  const running = new Set<Promise<unknown>>()
  const cutOff = new Set<(reason: Error) => void>()
  const guard = (inner: AskedClient): AskedClient => ({
    ...(role !== undefined && { role }),
    unsafe: (text, parameters, options) => {
      if (over) throw new TransactionOver()
      return inner.unsafe(text, parameters, options)
    },
    savepoint: work => {
      if (over) return Promise.reject(new TransactionOver())
      const done = inner.savepoint(deeper => cuttable(() => work(guard(deeper))))
      running.add(done)
      const ended = () => running.delete(done)
      done.then(ended, ended)
      return done
    },
  })
  const cuttable = (work: () => unknown) =>
    new Promise<unknown>((resolve, reject) => {
      if (over) throw new TransactionOver()
      cutOff.add(reject)
      const settled = () => cutOff.delete(reject)
      const begun = async () => work()
      begun().then(resolve, reject).then(settled)
    })
  return {
    client: guard(client),
    close: () => {
      over = true
    },
    finish: async ({ failed }) => {
      over = true
      const left = running.size > 0
      if (!left && !failed) return false
      for (const reject of [...cutOff].reverse()) reject(new TransactionOver())
      // What was asked a moment before is sent a moment later: that has to be before the transaction ends.
      await Promise.allSettled([...running, setImmediate()])
      return left
    },
  }
}
