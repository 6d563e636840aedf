import { z } from 'zod'

/**
 * What can go wrong on demand.
 * - `error`: refused with `status` (and `reason`, `message`, `retryAfterSeconds`) before any work.
 * - `hang`: taken and never answered. - `cut`: the work is done, then the connection is closed: a lost answer.
 * - `down`: the connection is closed before any work; without `count` until cleared.
 * - `conferenceFailure`: the next conference that Calendar makes ends as `failure`.
 * - `autoRecordingRefused`: Meet refuses to switch automatic recording on (edition without recording).
 * - `cutDownload`: a file's content breaks off after `storedBytes`.
 * - `emptyPage`: a page of a calendar's list comes empty, with a token for the next one.
 * - `losePush`, `duplicatePush`, `delayPush` (by `delayMs`): what happens to the next push of a calendar channel
 *   (service `calendarPush`) or of Pub/Sub (service `pubsub`).
 * - `earlySync`: the first push of the next channel arrives before the answer to its `watch`.
 * - `partialStore`: an upload request is stored only up to `storedBytes` (rounded down to 256 KiB).
 */
const faultSchema = z.strictObject({
  kind: z.enum([
    'error',
    'hang',
    'cut',
    'down',
    'conferenceFailure',
    'autoRecordingRefused',
    'partialStore',
    'cutDownload',
    'emptyPage',
    'losePush',
    'duplicatePush',
    'delayPush',
    'earlySync',
  ]),
  service: z
    .enum([
      ...[
        'token',
        'metadata',
        'certs',
        'signIn',
        'iam',
        'calendar',
        'meet',
        'drive',
        'driveUpload',
        'workspaceevents',
      ],
      ...['calendarPush', 'pubsub'],
    ] as const)
    .optional(),
  /** Method id of the discovery documents, with or without the API's name: `events.insert`. */
  method: z.string().optional(),
  status: z.int().min(400).max(599).default(500),
  reason: z.string().optional(),
  message: z.string().optional(),
  retryAfterSeconds: z.int().min(0).optional(),
  storedBytes: z.int().min(0).default(0),
  delayMs: z.int().min(0).default(1000),
  /** How many requests it hits; 1 when absent, without end for `down`. */
  count: z.int().min(1).optional(),
})

export type Fault = z.input<typeof faultSchema>
export type FaultKind = Fault['kind']
export type ActiveFault = z.output<typeof faultSchema> & { left: number }
export type ServiceName = NonNullable<Fault['service']>

/** The faults that are waiting to happen, oldest first. */
export class Faults {
  readonly active: ActiveFault[] = []

  /** Adds a fault; input that is no fault throws zod's error. */
  add(fault: Fault): void {
    const parsed = faultSchema.parse(fault)
    const left = parsed.count ?? (parsed.kind === 'down' ? Number.POSITIVE_INFINITY : 1)
    this.active.push({ ...parsed, left })
  }

  clear(): void {
    this.active.length = 0
  }

  /** Uses up one hit of the oldest fault among `kinds` that fits this service and method; `undefined` if none. */
  take(kinds: readonly FaultKind[], service: ServiceName, method: string): ActiveFault | undefined {
    const found = this.active.find(
      fault =>
        kinds.includes(fault.kind) &&
        (fault.service === undefined || fault.service === service) &&
        (fault.method === undefined || method === fault.method || method.endsWith(`.${fault.method}`)),
    )
    if (!found) return undefined
    found.left--
    if (found.left <= 0) this.active.splice(this.active.indexOf(found), 1)
    return found
  }
}
