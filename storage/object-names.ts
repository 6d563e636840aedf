/** Where one recording's objects live. */
export interface RecordingPlace {
  /** The settings' prefix for every object; may be empty. */
  prefix: string
  organizationId: string
  recordingId: string
}

const ATTEMPT_DIGITS = 3
const SEGMENT_DIGITS = 5

/** What every object of a recording begins with, for listing them. Ends with a slash. */
export function recordingPrefix({ prefix, organizationId, recordingId }: RecordingPlace): string {
  const root = prefix.replace(/^\/+|\/+$/g, '')
  return `${root === '' ? '' : `${root}/`}${safe(organizationId)}/${safe(recordingId)}/`
}

/**
 * One segment of one attempt. Number 0 is the initialisation part, the media segments count from 1. Numbers are padded
 * so that the order of names is the order of time, also across attempts.
 */
export function segmentKey(place: RecordingPlace & { attempt: number; number: number }): string {
  const { attempt, number } = place
  const name = number === 0 ? 'init.mp4' : `seg-${padded(number, SEGMENT_DIGITS)}.m4s`
  return `${attemptPrefix(place, attempt)}${name}`
}

/** The finished video. */
export function videoKey(place: RecordingPlace): string {
  return `${recordingPrefix(place)}recording.mp4`
}

/** Something an attempt left behind for people to look at: a screenshot, a page, a log. */
export function artefactKey(place: RecordingPlace & { attempt: number; name: string }): string {
  return `${attemptPrefix(place, place.attempt)}artefacts/${safe(place.name)}`
}

function attemptPrefix(place: RecordingPlace, attempt: number): string {
  return `${recordingPrefix(place)}attempt-${padded(attempt, ATTEMPT_DIGITS)}/`
}

function padded(value: number, digits: number): string {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 10 ** digits)
    throw new RangeError(
      `${value} does not fit an object name: it must be a whole number below ${10 ** digits}`,
    )
  return String(value).padStart(digits, '0')
}

// A slash or a dot-dot in a name would put the object into somebody else's place.
function safe(part: string): string {
  if (!/^[\w-][\w.-]*$/.test(part)) throw new TypeError(`"${part}" does not fit an object name`)
  return part
}
