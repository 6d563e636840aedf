import { sql } from 'drizzle-orm'
import { fromDrizzle, type Job, PgBoss, type Queue, type WorkOptions } from 'pg-boss'
import type { Transaction } from './connect.ts'
import { asQueue } from './tenant.ts'

/** What waits to be done, by name, with its payload. Everything that belongs to a row is sent in the row's transaction. */
export interface Jobs {
  /** Brings Google's side of a meeting to what the row says: event, space, cancellation. */
  'provision-meeting': { meetingId: string }
  /** Brings Google's side of a series to what its row says: the recurring event, and the bots of its meetings. */
  'provision-series': { seriesId: string }
  /**
   * Wakes a recorder, due `joinLeadSeconds` before the start. Only a trigger: it is done once a recorder has opened an
   * attempt, whose row is the lease from then on. Lane 1 is the second recorder of a redundant recording.
   */
  'record-meeting': { meetingId: string; lane?: number }
  /** Makes the video from the stored segments, checks and publishes it. */
  'finish-recording': { recordingId: string }
  /** Copies the finished video to Drive and attaches it to the event. */
  'copy-to-drive': { recordingId: string }
  /**
   * Reads Google's record of the conference and works out the coverage, again and again until the record is final.
   * `look` counts how often it looked, `seen` is the fingerprint of what it saw last.
   */
  'read-conference': { recordingId: string; look?: number; seen?: string }
  /** Copies what Google itself recorded from Drive to the bucket, once its files exist. */
  'import-native': { recordingId: string; look?: number }
  /** Reads what changed in a calendar and follows it. `because` says whether Google had told that something did. */
  'sync-calendar': { calendar: string; because: 'push' | 'poll' }
  /** Looks after the push channel of a calendar and the subscription to what happens in its owner's calls. */
  'keep-calendar': { calendar: string }
  /** Follows something that happened in a call, as Workspace Events told it. */
  'follow-call': { event: CallEvent }
  /** Looks for meetings past their time with no outcome. Scheduled, no payload. */
  sweep: Record<string, never>
  /** Erases what is older than it is kept. Scheduled, no payload. */
  retention: Record<string, never>
}
export type JobName = keyof Jobs

/** Names only; what they stand for is asked of Meet. */
export interface CallEvent {
  /** The same however often it is told. */
  id: string
  /** ISO 8601. */
  happenedAt: string
  /** `spaces/…` */
  space: string
  kind: 'conference_started' | 'conference_ended' | 'participant_joined' | 'participant_left'
  /** Of the conference record, or of the participant session. */
  name: string
}

// `notify`: who works on them hears at once of a job that is due; what is due later they look for.
const QUEUES: Record<JobName, Omit<Queue, 'name'>> = {
  // `exclusive`: one job queued or active for one key, so a repeat never makes a second one.
  'provision-meeting': {
    notify: true,
    policy: 'exclusive',
    retryLimit: 100,
    retryDelay: 5,
    retryBackoff: true,
    // A meeting may begin as soon as Google answers again: nobody waits for minutes then.
    retryDelayMax: 15,
    expireInSeconds: 300,
  },
  'provision-series': {
    notify: true,
    policy: 'exclusive',
    retryLimit: 100,
    retryDelay: 5,
    retryBackoff: true,
    retryDelayMax: 300,
    expireInSeconds: 600,
  },
  'record-meeting': {
    policy: 'exclusive',
    retryLimit: 1000,
    retryDelay: 1,
    expireInSeconds: 30,
    retentionSeconds: 400 * 86_400,
  },
  'finish-recording': {
    notify: true,
    policy: 'exclusive',
    retryLimit: 30,
    retryDelay: 5,
    retryBackoff: true,
    retryDelayMax: 600,
    heartbeatSeconds: 30,
    expireInSeconds: 6 * 3600,
  },
  'copy-to-drive': {
    notify: true,
    policy: 'exclusive',
    retryLimit: 60,
    retryDelay: 10,
    retryBackoff: true,
    retryDelayMax: 1800,
    heartbeatSeconds: 60,
    expireInSeconds: 6 * 3600,
  },
  // `stately`: while one is being worked on, the next one may be queued; these two send themselves again.
  'read-conference': {
    notify: true,
    policy: 'stately',
    retryLimit: 100,
    retryDelay: 15,
    retryBackoff: true,
    retryDelayMax: 600,
    heartbeatSeconds: 60,
    expireInSeconds: 900,
  },
  'import-native': {
    notify: true,
    policy: 'stately',
    retryLimit: 60,
    retryDelay: 15,
    retryBackoff: true,
    retryDelayMax: 1800,
    heartbeatSeconds: 60,
    expireInSeconds: 12 * 3600,
  },
  // Whoever fails at these two notes in the calendar's row when they are to be tried again.
  // Not notified: a change in a calendar brings a burst of pushes, which are one reading when it is looked for.
  'sync-calendar': { policy: 'stately', retryLimit: 0, heartbeatSeconds: 30, expireInSeconds: 900 },
  'keep-calendar': {
    notify: true,
    policy: 'stately',
    retryLimit: 0,
    heartbeatSeconds: 30,
    expireInSeconds: 300,
  },
  // Meet's records may be a moment behind its events.
  'follow-call': {
    notify: true,
    policy: 'exclusive',
    retryLimit: 8,
    retryDelay: 2,
    retryBackoff: true,
    retryDelayMax: 120,
    expireInSeconds: 120,
  },
  sweep: { policy: 'exclusive', retryLimit: 0, expireInSeconds: 120 },
  retention: {
    policy: 'exclusive',
    retryLimit: 3,
    retryDelay: 900,
    heartbeatSeconds: 60,
    expireInSeconds: 6 * 3600,
  },
}

/** Seconds: by the database's clock, so that who listens is told at the commit. */
const AT_ONCE = 0

export interface OpenJobs extends AsyncDisposable {
  /**
   * Sends a job within the transaction of the row it belongs to. With a `key`, at most one job of that name and key is
   * queued or active; a repeat moves the queued one to the new time.
   */
  send<Name extends JobName>(
    tx: Transaction,
    name: Name,
    payload: Jobs[Name],
    options: { key: string; startAfter?: Date },
  ): Promise<void>
  /** The same for many jobs of one name, with one statement or two for all of them. No key may come twice. */
  sendMany<Name extends JobName>(
    tx: Transaction,
    name: Name,
    sendings: readonly { payload: Jobs[Name]; key: string; startAfter?: Date }[],
  ): Promise<void>
  /** Takes back a job that is not being worked on. */
  withdraw(tx: Transaction, name: JobName, key: string): Promise<void>
  /**
   * Works on jobs until closed, and looks for those that have become due every `pollMs` (2000 by default). The handler's
   * signal is aborted when the job is taken away or the process stops.
   */
  work<Name extends JobName>(
    name: Name,
    options: { atOnce: number; pollMs?: number },
    handler: (payload: Jobs[Name], job: { id: string; signal: AbortSignal }) => Promise<void>,
  ): Promise<void>
  /** Takes one due job, or undefined when none is due. Who takes it must say `done` soon, or it comes again. */
  take<Name extends JobName>(name: Name): Promise<{ id: string; payload: Jobs[Name] } | undefined>
  done(name: JobName, id: string): Promise<void>
  /** Gives a taken job back: it comes again after its delay. */
  giveBack(name: JobName, id: string, reason: string): Promise<void>
  /** Takes no more jobs of this name; those being worked on go on. */
  stopTaking(name: JobName): Promise<void>
  /** Runs a job by the clock (cron, UTC). */
  schedule(name: 'sweep' | 'retention', cron: string): Promise<void>
  /** Waits up to `graceMs` for jobs being worked on, then leaves them to others. */
  close(graceMs?: number): Promise<void>
}

/**
 * Opens the job queue (pg-boss) on its own small pool in the same database.
 * @param onError what the queue itself complains of
 */
export async function openJobs(url: string, onError: (error: Error) => void): Promise<OpenJobs> {
  const boss = new PgBoss({
    connectionString: url,
    max: 3,
    application_name: 'testigo-jobs',
    monitorIntervalSeconds: 10,
    superviseIntervalSeconds: 10,
    useListenNotify: true,
  })
  boss.on('error', onError)
  boss.on('warning', ({ message, data }) => {
    if ((data as { type?: unknown }).type === 'listen_notify_unavailable') onError(new Error(message))
  })
  await boss.start()
  for (const [name, queue] of Object.entries(QUEUES)) {
    await boss.createQueue(name, queue)
    const { policy: _, ...changeable } = queue
    await boss.updateQueue(name, changeable)
  }
  let closed: Promise<void> | undefined
  const close = (graceMs = 5000) => {
    closed ??= boss.stop({ graceful: graceMs > 0, timeout: Math.max(1000, graceMs), close: true })
    return closed
  }
  return {
    async send(tx, name, payload, { key, startAfter }) {
      const db = fromDrizzle(asQueue(tx), sql)
      // A job being worked on keeps its place; the send below then makes none, which is what `exclusive` is for.
      const moved = await boss.update(name, payload, {
        singletonKey: key,
        startAfter: startAfter ?? AT_ONCE,
        db,
      })
      if (moved.updated === 0)
        await boss.send(name, payload, { singletonKey: key, ...(startAfter ? { startAfter } : {}), db })
    },
    async sendMany(tx, name, sendings) {
      if (sendings.length === 0) return
      const queue = asQueue(tx)
      const wanted = sendings.map(({ payload, key, startAfter = AT_ONCE }) => ({
        data: payload,
        singletonKey: key,
        startAfter,
      }))
      // Most are new. Where there is one already nothing is inserted: waiting, it is changed below, and being worked on it
      // keeps its place.
      const inserted = await boss.insert(name, wanted, { db: fromDrizzle(queue, sql), returnId: true })
      if (inserted?.length === wanted.length) return
      // What the queue's own update of one job does to its time and payload; of those just inserted it changes nothing.
      await queue.execute(sql`
        update pgboss.job set data = given.data, start_after = coalesce(given."startAfter", now()),
          keep_until = coalesce(given."startAfter", now()) + (keep_until - start_after)
        from jsonb_to_recordset(${JSON.stringify(sendings.map(asRow))}::text::jsonb)
          as given (data jsonb, "singletonKey" text, "startAfter" timestamptz)
        where name = ${name} and singleton_key = given."singletonKey" and state < 'active'`)
    },
    async withdraw(tx, name, key) {
      await asQueue(tx).execute(
        sql`delete from pgboss.job where name = ${name} and singleton_key = ${key} and state < 'active'`,
      )
    },
    async work(name, { atOnce, pollMs = 2000 }, handler) {
      const seconds = pollMs / 1000
      const options: WorkOptions = {
        batchSize: 1,
        pollingIntervalSeconds: seconds,
        notifyPollingIntervalSeconds: seconds,
      }
      for (let worker = 0; worker < atOnce; worker++) {
        const started = Promise.withResolvers<string>()
        const workOn = async (jobs: Job[]) => {
          // Where there was one there may be another: looked for when this one is done, not at the next poll.
          if (QUEUES[name].notify) boss.notifyWorker(await started.promise)
          for (const job of jobs)
            await handler(job.data as Jobs[typeof name], { id: job.id, signal: job.signal })
        }
        started.resolve(await boss.work(name, options, workOn))
      }
    },
    async take(name) {
      const [job] = await boss.fetch<Jobs[typeof name]>(name, { batchSize: 1 })
      return job && { id: job.id, payload: job.data }
    },
    async done(name, id) {
      await boss.complete(name, id)
    },
    async giveBack(name, id, reason) {
      await boss.fail(name, id, { reason })
    },
    async stopTaking(name) {
      await boss.offWork(name, { wait: false })
    },
    async schedule(name, cron) {
      await boss.schedule(name, cron, {}, { singletonKey: name })
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

function asRow({ payload, key, startAfter }: { payload: object; key: string; startAfter?: Date }) {
  return { data: payload, singletonKey: key, startAfter }
}
