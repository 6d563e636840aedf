/**
 * Every refusal of the API: its status and its title. `code` is part of the contract and never changes; the `detail`
 * of a single answer says what to do about it.
 */
export const PROBLEMS = {
  malformed_json: [400, 'The body is not JSON'],
  invalid_query: [400, 'The query is not usable'],
  bad_cursor: [400, 'The cursor is not one of ours'],
  not_a_push: [400, 'This is no push of Google Calendar'],
  bad_request: [400, 'The request cannot be read'],
  bad_idempotency_key: [400, 'The Idempotency-Key is not usable'],
  bad_if_match: [400, 'If-Match is not usable'],
  export_too_large: [400, 'The list is too long for one file'],
  missing_api_key: [401, 'No API key was sent'],
  wrong_api_key: [401, 'The API key is unknown, expired or revoked'],
  wrong_credentials: [401, 'Address or password is wrong'],
  wrong_refresh_token: [401, 'The refresh token is not good any more'],
  refresh_token_reused: [401, 'The refresh token was used before'],
  wrong_access_token: [401, 'The access token is not good any more'],
  google_sign_in_refused: [401, 'Google did not sign anybody in'],
  push_refused: [401, 'The push is not from where pushes are expected'],
  forbidden: [403, 'The role may not do this'],
  scope_missing: [403, 'The scope for this was not granted'],
  google_domain_unknown: [403, 'No organisation has this Google domain'],
  wrong_password: [403, 'The current password is wrong'],
  people_only: [403, 'Only a person does this'],
  beyond_own_scopes: [403, 'Nobody hands on more than they have'],
  meeting_not_yours: [403, 'The meeting was made by somebody else'],
  series_not_found: [404, 'There is no such series'],
  meeting_not_found: [404, 'There is no such meeting'],
  participant_not_found: [404, 'There is no such participant'],
  key_not_found: [404, 'There is no such API key'],
  google_sign_in_off: [404, 'Nobody signs in with Google here'],
  user_not_found: [404, 'There is no such user'],
  password_link_not_found: [404, 'The link does not work any more'],
  webhook_not_found: [404, 'There is no such webhook'],
  delivery_not_found: [404, 'There is no such delivery'],
  channel_not_found: [404, 'There is no such push channel'],
  route_not_found: [404, 'There is nothing at this address'],
  method_not_allowed: [405, 'This address does not know the method'],
  external_id_taken: [409, 'The external id belongs to another meeting'],
  participant_exists: [409, 'The person is invited already'],
  meeting_closed: [409, 'The meeting is over or cancelled'],
  erasure_begun: [409, 'The meeting is being erased'],
  meeting_in_progress: [409, 'The meeting has begun'],
  key_not_in_force: [409, 'The API key is revoked or expired'],
  no_password: [409, 'The user has no password'],
  email_taken: [409, 'There is a user with this address'],
  user_disabled: [409, 'The user is disabled'],
  not_yourself: [409, 'Another administrator has to do this'],
  organization_needed: [409, 'The person is a user of several organisations'],
  webhook_disabled: [409, 'The webhook is disabled'],
  too_many_webhooks: [409, 'There are too many webhooks'],
  idempotency_key_in_use: [409, 'The first request with this key is being answered'],
  version_changed: [412, 'It is not as it was any more'],
  body_too_large: [413, 'The body is too large'],
  unsupported_media_type: [415, 'The body has to be JSON'],
  invalid_request: [422, 'The body is not usable'],
  missing_field: [422, 'A field is missing'],
  unknown_field: [422, 'A field is unknown'],
  invalid_field: [422, 'A field is not usable'],
  bad_date_time: [422, 'A date-time is not usable'],
  all_day: [422, 'Whole days are not recorded'],
  end_before_start: [422, 'The end is not after the start'],
  end_in_past: [422, 'The meeting would already be over'],
  too_long: [422, 'The meeting is too long'],
  unknown_time_zone: [422, 'The time zone is unknown'],
  bad_email: [422, 'An e-mail address is not usable'],
  duplicate_participant: [422, 'Somebody is invited twice'],
  no_second_bot: [422, 'There is no second bot'],
  too_many_participants: [422, 'There are too many participants'],
  host_not_allowed: [422, 'Meetings are not made in this calendar'],
  ics_refused: [422, 'The calendar file cannot be read'],
  bad_recurrence: [422, 'The recurrence is not usable'],
  bad_reminder: [422, 'A reminder is not usable'],
  not_in_series: [422, 'The meeting belongs to no series'],
  custom_fields_too_large: [422, 'The custom fields are too large'],
  custom_fields_too_complex: [422, 'The custom fields cannot be checked'],
  bad_schema: [422, 'The JSON Schema is not usable'],
  idempotency_key_reused: [422, 'The key came with another request before'],
  webhook_url_refused: [422, 'Webhooks do not go to this address'],
  sign_in_locked: [429, 'There were too many failed tries'],
  too_many_requests: [429, 'There were too many requests'],
  internal_error: [500, 'Something went wrong here'],
  google_refused: [502, 'Google refused the meeting'],
  google_unavailable: [503, 'Google cannot be reached'],
  temporarily_unavailable: [503, 'Testigo cannot answer right now'],
} as const satisfies Record<string, readonly [number, string]>

export type ProblemCode = keyof typeof PROBLEMS

/** One fault of a body or a query. `path` is written as in JavaScript: `participants[2].email`. */
export interface FieldFault {
  path: string
  code: ProblemCode
  message: string
}

interface ProblemExtras {
  errors?: FieldFault[]
  /** The meeting it is about, where the caller may know it. */
  meetingId?: string
  joinUrl?: string | null
  retryAfterSeconds?: number
  headers?: Record<string, string>
}

/** A refusal with a reason; the server answers it as a problem document (RFC 9457). */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly status: number
  readonly extras: ProblemExtras

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}, options?: ErrorOptions) {
    super(detail, options)
    this.name = 'Problem'
    this.code = code
    this.status = PROBLEMS[code][0]
    this.extras = extras
  }
}

/** The document as it is sent. `type` is a name, not an address: `urn:testigo:problem:<code>`. */
export function problemDocument(problem: Problem, request: { path: string; requestId: string }) {
  const { errors, meetingId, joinUrl, retryAfterSeconds } = problem.extras
  return {
    type: `urn:testigo:problem:${problem.code}`,
    title: PROBLEMS[problem.code][1],
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    instance: request.path,
    requestId: request.requestId,
    ...(errors && { errors }),
    ...(meetingId !== undefined && { meetingId }),
    ...(joinUrl !== undefined && { joinUrl }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
}
