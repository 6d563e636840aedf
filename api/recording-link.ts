import type { Clock } from '../clock.ts'
import type { RecordingRow } from '../db/meeting-view.ts'
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

type Link = Awaited<ReturnType<RecordingLink>>

/** Links to what there is to download of a recording. */
export interface RecordingLinks {
  video: Link | undefined
  manifest: Link | undefined
  /** One for each of Google's own recordings, in their order. */
  native: Link[]
}

/** A link to everything of a recording; to the video only while its status says that there is one. */
export async function recordingLinks(
  link: RecordingLink,
  meeting: NamedMeeting,
  recording: Pick<RecordingRow, 'status' | 's3Key' | 'manifestKey' | 'nativeRecordings'>,
): Promise<RecordingLinks> {
  const { s3Key, manifestKey, nativeRecordings } = recording
  const there = ['available', 'partial'].includes(recording.status) && s3Key !== null
  const name = plainName(meeting)
  return {
    video: there ? await link(s3Key, `${name}.mp4`) : undefined,
    manifest: there && manifestKey !== null ? await link(manifestKey, `${name}-manifest.json`) : undefined,
    native: await Promise.all(
      nativeRecordings.map((native, at) => link(native.s3Key, `${name}-google-${at + 1}.mp4`)),
    ),
  }
}

type NamedMeeting = Pick<MeetingRow, 'startsAt' | 'timeZone' | 'topic'>

/** `2026-11-23-comite-clinico`: the day in the meeting's own time zone and its topic in plain letters. */
export function plainName(meeting: NamedMeeting): string {
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
  return [day, topic].filter(Boolean).join('-')
}
