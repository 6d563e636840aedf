import type { calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'

/** How far Google is with an event's Meet link. `absent`: nobody asked for one, or it was taken away. */
export type Conference =
  | { status: 'success'; joinUrl: string; meetingCode: string }
  | { status: 'pending' | 'failure' | 'absent' }

/** Reads an event's conference; a link that is there counts, whatever the request's status says. */
export function readConference(event: calendar_v3.Schema$Event): Conference {
  const data = event.conferenceData
  const video = data?.entryPoints?.find(entry => entry.entryPointType === 'video')?.uri
  // An event with a space attached has entry points and no conferenceId (google-apis.md §1.2).
  const meetingCode = data?.conferenceId ?? codeIn(video)
  if (video && meetingCode) return { status: 'success', joinUrl: video, meetingCode }
  const status = data?.createRequest?.status?.statusCode
  return { status: status === 'pending' || status === 'failure' ? status : 'absent' }
}

function codeIn(uri: string | null | undefined): string | undefined {
  return /[a-z]{3}-[a-z]{4}-[a-z]{3}/.exec(uri ?? '')?.[0]
}
