import type { Clock } from '../clock.ts'
import type { MeetingRow } from '../db/meetings.ts'
import type { Store } from '../storage/s3.ts'

/** Makes a link that downloads an object under this name, and says until when it works. The link is a secret. */
export type RecordingLink = (key: string, filename: string) => Promise<{ url: string; expiresAt: Date }>

/** Links of the store that work for `linkSeconds`. */
export function createRecordingLink(
  store: Pick<Store, 'link'>,
  { linkSeconds, clock }: { linkSeconds: number; clock: Clock },
): RecordingLink {
  return async (key, filename) => {
    // The promise is measured from before the signing, so that it never outlasts the link.
    const expiresAt = new Date(clock.now() + linkSeconds * 1000)
    return { url: await store.link(key, { filename, seconds: linkSeconds }), expiresAt }
  }
}

/** `2026-11-23-comite-clinico.mp4`: the day in the meeting's own time zone and its topic in plain letters. */
export function videoFileName(meeting: Pick<MeetingRow, 'startsAt' | 'timeZone' | 'topic'>): string {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: meeting.timeZone, dateStyle: 'short' }).format(
    meeting.startsAt,
  )
  const topic = meeting.topic
    .normalize('NFD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 80)
    .replace(/^-+|-+$/g, '')
  return `${[day, topic].filter(Boolean).join('-')}.mp4`
}
