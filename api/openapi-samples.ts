/**
 * What stands in the examples of the OpenAPI document where a schema brings none of its own. `BY_FIELD` is asked by the
 * name of a field, so that an example reads like one answer and not like a list of types.
 */

export const SAMPLE_ID = '018f6d3c-5b1e-7c44-9d0a-3f1e2d4c5b6a'
export const SAMPLE_INSTANT = '2026-11-23T15:00:00.000Z'
const SHA256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
const BOT_STAY = { joinedAt: '2026-11-23T14:59:12.000Z', leftAt: '2026-11-23T16:00:41.000Z' }
const STAY = { joinedAt: '2026-11-23T15:00:21.000Z', leftAt: '2026-11-23T16:00:03.000Z' }

const ANA = {
  id: SAMPLE_ID,
  email: 'ana@clinica.example',
  name: 'Ana Ruiz',
  role: 'host',
  response: 'accepted',
  respondedAt: '2026-11-20T14:02:33.000Z',
  ...STAY,
  stays: [STAY],
  invitedAt: '2026-11-20T13:05:09.412Z',
}
const LUIS = {
  id: '018f6d3c-5b1e-7c44-9d0a-3f1e2d4c5b6b',
  email: 'luis@clinica.example',
  name: 'Luis Paz',
  role: 'participant',
  response: 'needs_action',
  respondedAt: null,
  joinedAt: null,
  leftAt: null,
  stays: [],
  invitedAt: '2026-11-20T13:05:09.412Z',
}

/** Values that read well, by the name of their field. Used where they are of the field's type. */
export const BY_FIELD: Record<string, unknown> = {
  accessToken: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyIn0.c2ln',
  access_token: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjbGllbnQifQ.c2ln',
  actualStart: null,
  actualEnd: null,
  answer: 'ok',
  cancelledAt: null,
  changed: ['start', 'end'],
  client_secret: 'tk_1a2b3c4d_…',
  code: '4/0AbCd',
  continues: null,
  cursor: 'WyIyMDI2LTExLTIzIl0',
  customFields: { sede: 'Bogotá' },
  createdAt: '2026-11-20T13:05:09.412Z',
  createdBy: `key:${SAMPLE_ID}`,
  description: 'Revisión del caso 17',
  detail: 'topic: is missing',
  disabledAt: null,
  disabledReason: null,
  durationMs: 3_600_412,
  en: 'The recording ended as it should.',
  end: '2026-11-23T16:00:00.000Z',
  ending: null,
  error: null,
  error_description: 'The client is unknown, its secret is wrong, expired or revoked',
  es: 'La grabación terminó como debía.',
  expiresAt: '2026-11-23T16:00:00.000Z',
  expires_in: 600,
  expiresInSeconds: 600,
  externalId: 'XOMA-2026-000123',
  failingSince: null,
  finishedAt: null,
  googleDomain: 'clinica.example',
  humanMs: 3_580_000,
  instance: '/v1/meetings',
  joinUrl: 'https://meet.google.com/abc-defg-hij',
  link: 'https://drive.google.com/file/d/1AbC/view',
  meetingCode: 'abc-defg-hij',
  ms: 1500,
  name: 'Ana Ruiz',
  nextCursor: null,
  organizer: 'agenda@clinica.example',
  percent: 99.9,
  prefix: 'tk_1a2b3c4d',
  previous: null,
  reason: 'network_lost',
  recordedMs: 3_580_000,
  refusals: [],
  related: { type: 'case', id: '17' },
  revokedAt: null,
  scope: 'meetings:read meetings:write',
  sha256: SHA256,
  sizeBytes: 412_306_944,
  start: SAMPLE_INSTANT,
  state: 'f3b1c2',
  status: 200,
  timeZone: 'America/Bogota',
  topic: 'Comité clínico',
  url: 'https://erp.example/testigo',
  userAgent: 'XOMA',
}

/** Whole answers whose parts have to fit together, by the name of their schema. What a schema adds is filled in. */
export const BY_SCHEMA: Record<string, Record<string, unknown>> = {
  Participant: ANA,
  Participants: {
    invited: [ANA, LUIS],
    presences: [
      { name: 'Testigo', email: null, ...BOT_STAY, bot: true },
      { name: 'Ana Ruiz', email: 'ana@clinica.example', ...STAY, bot: false },
    ],
    source: 'google',
  },
  Recording: {
    status: 'available',
    startedAt: '2026-11-23T14:59:14.120Z',
    endedAt: '2026-11-23T15:59:14.532Z',
    availableAt: '2026-11-23T16:01:20.000Z',
    revision: 1,
    checks: { decodable: { ok: true, detail: 'every frame was decoded' } },
    s3: {
      url: 'https://bucket.s3.amazonaws.com/video.mp4?X-Amz-Signature=5d2f',
      expiresAt: '2026-11-23T17:05:00.000Z',
    },
    timeline: [
      {
        fileStartMs: 0,
        fileEndMs: 3_600_412,
        clockStart: '2026-11-23T14:59:14.120Z',
        clockEnd: '2026-11-23T15:59:14.532Z',
        attempt: 1,
      },
    ],
    gaps: [],
    coverage: {
      source: 'google',
      final: true,
      percent: 100,
      humanMs: 3_580_000,
      recordedMs: 3_580_000,
      gaps: [],
      alertedAt: null,
    },
    native: [],
    drive: { status: 'uploaded', link: 'https://drive.google.com/file/d/1AbC/view', error: null },
  },
}
