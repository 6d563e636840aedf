import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { postgresAt } from '../db/postgres-at.ts'
import { type TestWorld, until } from './test-api.ts'

/** What tests need that kill the API at a given step: the API as a process of its own, and ways to stop it there. */

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

export interface ApiProcess {
  /** Where it listens; starts it where it does not run. */
  url(): Promise<string>
  /** The process, which runs. */
  child(): ChildProcess
  /** Ends it as a power cut would. */
  kill(): Promise<void>
  /** Notes that it ended by itself. */
  ended(): void
}

/** The API on a world, not started yet. */
export function openApiProcess(world: Pick<TestWorld, 'env'>): ApiProcess {
  let running: { url: Promise<string>; child: ChildProcess } | undefined

  async function urlOf({ stdout }: ChildProcess): Promise<string> {
    if (!stdout) throw new Error('the API has no output')
    for await (const line of createInterface({ input: stdout })) {
      const url = /listens on (http:\S+)/.exec(line)?.[1]
      if (url) return url
    }
    throw new Error('the API ended at its start')
  }

  return {
    url() {
      if (!running) {
        const child = spawn(process.execPath, [MAIN], {
          env: { PATH: process.env.PATH, ...world.env },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        running = { child, url: urlOf(child) }
      }
      return running.url
    },
    child() {
      if (!running) throw new Error('the API does not run')
      return running.child
    },
    async kill() {
      if (!running) return
      const { child, url } = running
      running = undefined
      const isOver = child.exitCode !== null || child.signalCode !== null
      const gone = isOver ? undefined : once(child, 'exit')
      child.kill('SIGKILL')
      // One that is killed at its start never says where it listens.
      await Promise.allSettled([gone, url])
    },
    ended() {
      running = undefined
    },
  }
}

/** Keeps the leases of requests with an `Idempotency-Key`, however slow this machine is. */
export async function leasesGoOn({ db }: Pick<TestWorld, 'db'>): Promise<void> {
  await db.execute(
    sql`update idempotency_keys set claimed_until = now() + interval '1 hour' where claimed_until is not null`,
  )
}

/** Makes the leases of requests with an `Idempotency-Key` run out, whose process was killed. */
export async function leasesAreOver({ db }: Pick<TestWorld, 'db'>): Promise<void> {
  await db.execute(sql`update idempotency_keys set claimed_until = now() where claimed_until is not null`)
}

export interface Held {
  /** Waits until a statement of the API waits for us. */
  somebodyWaits(): Promise<unknown>
  letGo(): Promise<void>
}

/** Makes statements of the database that change a table wait for us. @param doing a part of the statement that is meant */
export function holdTable(world: TestWorld, table: string, doing = ''): Promise<Held> {
  return hold(world, `lock table ${table} in exclusive mode`, doing)
}

/** The same for one statement: whatever it locks is held. */
export async function hold(world: TestWorld, statement: string, doing = ''): Promise<Held> {
  const holder = postgresAt(world.databaseUrl, { max: 1 })
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: held, resolve: isHeld } = Promise.withResolvers<void>()
  const transaction = holder.begin(async tx => {
    await tx.unsafe(statement)
    isHeld()
    await released
  })
  await Promise.race([held, transaction])
  return {
    somebodyWaits: () =>
      until(`a wait behind "${statement}"`, async () => {
        const waiting = await world.db.execute(
          sql`select 1 from pg_stat_activity where datname = current_database() and application_name = 'testigo'
            and wait_event_type = 'Lock' and strpos(query, ${doing}) > 0`,
        )
        return waiting.length > 0
      }),
    async letGo() {
      release()
      await transaction
      await holder.end()
    },
  }
}

/** A step at which the API stops: prepared first, then reached, then let go when the API is dead. */
export type StopAt = () => Promise<{ reached: () => Promise<unknown>; letGo?: () => Promise<void> }>

type Service = 'token' | 'calendar' | 'meet'

/** A Google that can be told not to answer. */
interface PatientGoogle {
  state: { requests: { method: string; status: unknown }[] }
  faults: { add(fault: { kind: 'hang'; service: Service; method: string }): void }
}

/** The next call of this method is taken by Google and never answered. */
export const hangAt =
  (google: PatientGoogle, method: string, service: Service): StopAt =>
  async () => {
    const hanging = () =>
      google.state.requests.filter(request => request.method.endsWith(method) && request.status === 'hang')
        .length
    const before = hanging()
    google.faults.add({ kind: 'hang', service, method })
    return { reached: () => until(`a call of ${method}`, () => hanging() > before) }
  }

/** The step behind the `last` one of the work: all is done, and the answer to a request with an `Idempotency-Key` is about to be kept. */
export async function beforeAnswerIsKept(world: TestWorld, last: StopAt): ReturnType<StopAt> {
  const job = await last()
  let answer: Held | undefined
  return {
    reached: async () => {
      await job.reached()
      answer = await holdTable(world, 'idempotency_keys', 'update "idempotency_keys"')
      await job.letGo?.()
      await answer.somebodyWaits()
    },
    letGo: async () => answer?.letGo(),
  }
}
