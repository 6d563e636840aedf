/** Where a meeting stands (DESIGN.md §4). */
export const MEETING_STATUSES = ['scheduled', 'in_progress', 'ended', 'cancelled'] as const
export type MeetingStatus = (typeof MEETING_STATUSES)[number]

/** Where a meeting's recording stands. */
export const RECORDING_STATUSES = [
  'pending',
  'joining',
  'waiting_room',
  'recording',
  'interrupted',
  'finishing',
  'available',
  'partial',
  'failed',
  'not_held',
  'cancelled',
] as const
export type RecordingStatus = (typeof RECORDING_STATUSES)[number]

/**
 * The allowed next statuses of a recording. `pending → finishing` never happens: without an attempt there is nothing to
 * finish. `interrupted` is an attempt that ended while the meeting was still on; a next attempt joins again.
 */
const NEXT_RECORDING_STATUS: Record<RecordingStatus, readonly RecordingStatus[]> = {
  pending: ['joining', 'failed', 'not_held', 'cancelled'],
  joining: ['waiting_room', 'recording', 'interrupted', 'finishing', 'failed', 'not_held', 'cancelled'],
  waiting_room: ['recording', 'joining', 'interrupted', 'finishing', 'failed', 'not_held', 'cancelled'],
  recording: ['interrupted', 'finishing', 'failed', 'not_held', 'cancelled'],
  interrupted: ['joining', 'finishing', 'failed', 'not_held', 'cancelled'],
  finishing: ['available', 'partial', 'failed'],
  // Segments that reach the bucket late make a new revision of the video.
  available: ['finishing'],
  partial: ['finishing', 'available'],
  failed: ['finishing'],
  not_held: [],
  cancelled: ['pending'],
}

/** May a recording go from one status to another? Staying where it is is always allowed. */
export function canMoveRecording(from: RecordingStatus, to: RecordingStatus): boolean {
  return from === to || NEXT_RECORDING_STATUS[from].includes(to)
}

/** Nothing more will happen to a recording in one of these. */
export function isFinal(status: RecordingStatus): boolean {
  return ['available', 'partial', 'failed', 'not_held', 'cancelled'].includes(status)
}
