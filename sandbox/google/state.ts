import type { Channel } from './calendar/channels.ts'
import type { CalendarEvent } from './calendar/event.ts'
import type { Listing } from './calendar/list-page.ts'
import type { SharedDrive, StoredFile } from './drive/file.ts'
import type { UploadSession } from './drive/upload-session.ts'
import type { Conference, StoredSpace } from './meet/space.ts'
import type { PushRecord } from './push-delivery.ts'
import type { PushSubscription } from './workspace-events/pubsub.ts'
import type { EventSubscription } from './workspace-events/subscription.ts'

/** A mail that Google would have sent. */
export interface Mail {
  kind: 'invitation' | 'update' | 'cancellation' | 'share'
  to: string
  /** Event id or file id. */
  about: string
  subject: string
}

/** One request as it came, for tests that count calls. */
interface RequestRecord {
  service: string
  method: string
  status: number | 'cut' | 'hang'
}

/** Everything the sandbox remembers. Tests may look at it and fill `conferences`. */
export interface GoogleState {
  /** By `<organizer>/<event id>`; cancelled events stay. */
  events: Map<string, CalendarEvent>
  /** By canonical name `spaces/…`. */
  spaces: Map<string, StoredSpace>
  /** Calls that took place, as Google's records would know them. */
  conferences: Conference[]
  files: Map<string, StoredFile>
  sharedDrives: Map<string, SharedDrive>
  /** Ids handed out by `files.generateIds`. */
  generatedIds: Set<string>
  /** By upload id. */
  uploads: Map<string, UploadSession>
  mails: Mail[]
  /** The newest 10 000 requests. */
  requests: RequestRecord[]
  /** Rises with every change of an event; sync tokens are positions in it. */
  calendarRevision: number
  /** Sync tokens below this position are answered with 410. */
  oldestSyncRevision: number
  /** Lists of events whose pages may still be asked for, by what their page tokens name. */
  listings: Map<string, Listing>
  /** Push channels on calendars, by id. */
  channels: Map<string, Channel>
  /** Subscriptions of the Workspace Events API, by name `subscriptions/…`. */
  subscriptions: Map<string, EventSubscription>
  /** Push subscriptions of Pub/Sub, by name `projects/…/subscriptions/…`. */
  pushSubscriptions: Map<string, PushSubscription>
  /** The newest 10 000 tries to push something to somebody. */
  pushes: PushRecord[]
}

export function emptyState(): GoogleState {
  return {
    events: new Map(),
    spaces: new Map(),
    conferences: [],
    files: new Map(),
    sharedDrives: new Map(),
    generatedIds: new Set(),
    uploads: new Map(),
    mails: [],
    requests: [],
    calendarRevision: 0,
    oldestSyncRevision: 0,
    listings: new Map(),
    channels: new Map(),
    subscriptions: new Map(),
    pushSubscriptions: new Map(),
    pushes: [],
  }
}
