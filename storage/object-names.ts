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

/** The finished video; a revision after the first one (late segments make it) has its number in its name. */
export function videoKey(place: RecordingPlace & { revision?: number }): string {
  return `${recordingPrefix(place)}recording${revisionMark(place.revision)}.mp4`
}

/** What a finished video was made of, beside it. */
export function manifestKey(place: RecordingPlace & { revision?: number }): string {
  return `${recordingPrefix(place)}manifest${revisionMark(place.revision)}.json`
}

/** A recording made by Google itself, the first one with number 1. */
export function nativeVideoKey(place: RecordingPlace & { number: number }): string {
  if (!Number.isSafeInteger(place.number) || place.number < 1)
    throw new RangeError(`${place.number} is no recording of Google's: they count from 1`)
  return `${recordingPrefix(place)}native-${place.number}.mp4`
}

/** Is this the name of a finished video of any revision? */
export function isVideoKey(place: RecordingPlace, key: string): boolean {
  const prefix = recordingPrefix(place)
  return key.startsWith(prefix) && /^recording(-r[1-9]\d*)?\.mp4$/.test(key.slice(prefix.length))
}

/** Attempt and number of the segment that has this name; undefined for everything else. */
export function readSegmentKey(
  place: RecordingPlace,
  key: string,
): { attempt: number; number: number } | undefined {
  const prefix = recordingPrefix(place)
  if (!key.startsWith(prefix)) return undefined
  const found = /^attempt-(\d+)\/(?:init\.mp4|seg-(\d+)\.m4s)$/.exec(key.slice(prefix.length))
  return found ? { attempt: Number(found[1]), number: Number(found[2] ?? 0) } : undefined
}

/** Something an attempt left behind for people to look at: a screenshot, a page, a log. */
export function artefactKey(place: RecordingPlace & { attempt: number; name: string }): string {
  return `${attemptPrefix(place, place.attempt)}artefacts/${safe(place.name)}`
}

function attemptPrefix(place: RecordingPlace, attempt: number): string {
  return `${recordingPrefix(place)}attempt-${padded(attempt, ATTEMPT_DIGITS)}/`
}

function revisionMark(revision = 1): string {
  if (!Number.isSafeInteger(revision) || revision < 1)
    throw new RangeError(`${revision} is no revision: they count from 1`)
  return revision === 1 ? '' : `-r${revision}`
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
