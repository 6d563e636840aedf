import type { Request } from './http-load.ts'
import type { Asker } from './world.ts'

/** One of many requests, by what it asks. */
export type Question = Request & { kind: string }

function get(path: string, key: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nAccept: application/json\r\n\r\n`
}

const anyOf = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T

/** `GET /v1/meetings/{id}`: any meeting of any organisation. */
export function getQuestions(askers: readonly Asker[]): () => Question {
  return () => {
    const { key, meetingIds } = anyOf(askers)
    return { kind: 'get', text: get(`/v1/meetings/${anyOf(meetingIds)}`, key), expected: 200 }
  }
}

const dayFrom = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()

const LISTS: Record<string, () => string> = {
  'all from the first on': () => '',
  'a day': () => {
    const day = Math.floor(Math.random() * 900) - 600
    return `from=${dayFrom(day)}&to=${dayFrom(day + 1)}`
  },
  'those to come': () => `status=scheduled&from=${dayFrom(0)}`,
  'several statuses, the newest first': () => 'status=cancelled,ended&sort=-createdAt',
  'failed recordings': () => 'recordingStatus=failed&sort=-start',
  host: () => `host=agenda${Math.floor(Math.random() * 8)}%40clinica.example&sort=-start`,
  'participant of many': () =>
    `participant=doctor${Math.floor(Math.random() * 200)}%40clinica.example&sort=-start`,
  'participant of few': () => `participant=paciente${Math.floor(Math.random() * 9000)}%40otra.example`,
  'related object': () => `relatedType=case&relatedId=${Math.floor(Math.random() * 15_000)}`,
  'custom field': () => 'customFields%5Bsede%5D=Cali&sort=-createdAt',
  'custom field of one': () => `customFields%5Borden%5D=${Math.floor(Math.random() * 45_000)}`,
  'words of many': () => 'text=comit%C3%A9%20seguimiento',
  'words of few': () => `text=caso%20${1000 + Math.floor(Math.random() * 9000)}`,
  'status, host, custom field and word': () =>
    `status=ended&host=agenda1%40clinica.example&customFields%5Bsede%5D=Cali&text=seguimiento`,
}

/** `GET /v1/meetings`, by every filter in turn. @param limit meetings of a page */
export async function listQuestions(
  url: string,
  askers: readonly Asker[],
  limit: number,
): Promise<() => Question> {
  const kinds = Object.entries(LISTS)
  const cursors = await Promise.all(askers.map(({ key }) => cursorInTheMiddle(url, key)))
  let turn = 0
  return () => {
    const at = Math.floor(Math.random() * askers.length)
    const { key } = askers[at] as Asker
    const [kind, query] = kinds[turn++ % (kinds.length + 1)] ?? ['a page in the middle', undefined]
    const path = `/v1/meetings?limit=${limit}&${query ? query() : `sort=-createdAt&cursor=${cursors[at]}`}`
    return { kind, text: get(path, key), expected: 200 }
  }
}

async function cursorInTheMiddle(url: string, key: string): Promise<string> {
  let cursor = ''
  for (let page = 0; page < 5; page++) {
    const answer = await fetch(
      `${url}/v1/meetings?limit=200&sort=-createdAt${cursor && `&cursor=${cursor}`}`,
      { headers: { authorization: `Bearer ${key}` } },
    )
    cursor = ((await answer.json()) as { nextCursor: string }).nextCursor
  }
  return cursor
}

/** `POST /v1/meetings` with two people and custom fields, in the coming year. */
export function createQuestions(askers: readonly Asker[]): () => Question {
  let made = 0
  return () => {
    const { key } = anyOf(askers)
    const start = Date.now() + 3_600_000 + Math.floor(Math.random() * 31_000_000) * 1000
    const body = JSON.stringify({
      topic: `Comité clínico: caso ${made}`,
      description:
        'Revisión con el equipo de la sede, seguimiento del paciente y acuerdos para la próxima sesión.',
      start: new Date(start).toISOString(),
      end: new Date(start + 3_600_000).toISOString(),
      timeZone: 'America/Bogota',
      participants: [
        { email: 'doctor7@clinica.example', name: 'Doctor 7', role: 'host' },
        { email: `paciente${made}@otra.example`, name: `Paciente ${made}` },
      ],
      related: { type: 'case', id: String(made) },
      customFields: { sede: 'Bogotá', piso: 3, orden: made },
      externalId: `BENCH-${Date.now()}-${made++}`,
    })
    const text = `POST /v1/meetings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    return { kind: 'create', text, expected: 201 }
  }
}
