import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { createAccess } from './access.ts'
import { type Calendar, createCalendar } from './calendar.ts'
import { type CalendarChanges, createCalendarChanges } from './calendar-changes.ts'
import { type CalendarEvents, createCalendarEvents } from './calendar-events.ts'
import { type CalendarWatch, createCalendarWatch } from './calendar-watch.ts'
import { type CallSettings, createCalls } from './call.ts'
import { createRecords, type Records } from './conference-records.ts'
import { createDrive, type Drive } from './drive.ts'
import { createDriveDownloads, type DriveDownloads } from './drive-download.ts'
import { createDriveRemoval, type DriveRemoval } from './drive-remove.ts'
import { createSpaces, type Spaces } from './meet-spaces.ts'
import { createEventSubscriptions, type EventSubscriptions } from './workspace-events.ts'

/** Everything Testigo asks of Google, over one set of tokens and one call path. */
export interface Google {
  calendar: Calendar
  events: CalendarEvents
  changes: CalendarChanges
  watch: CalendarWatch
  spaces: Spaces
  drive: Drive
  records: Records
  downloads: DriveDownloads
  driveRemoval: DriveRemoval
  subscriptions: EventSubscriptions
}

export type GoogleSettings = Config['google'] & CallSettings

/**
 * Opens the way to Google. Nothing is asked and no file is read before the first call, so that a process starts also
 * where Google is not set up; calls then throw a `misconfigured` fault that says what to set.
 */
export function createGoogle(settings: GoogleSettings, deps: { log: Log; clock: Clock }): Google {
  const log = deps.log.child({ part: 'google' })
  const { clock } = deps
  const call = createCalls(settings, { access: createAccess(settings, { log, clock }), log, clock })
  return {
    calendar: createCalendar({ call, settings, clock }),
    events: createCalendarEvents({ call }),
    changes: createCalendarChanges({ call }),
    watch: createCalendarWatch({ call }),
    spaces: createSpaces({ call, log }),
    drive: createDrive({ call, settings, log, clock }),
    records: createRecords({ call }),
    downloads: createDriveDownloads({ call }),
    driveRemoval: createDriveRemoval({ call }),
    subscriptions: createEventSubscriptions({ call }),
  }
}
