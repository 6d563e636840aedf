import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GoogleSandbox } from '../../sandbox/google/server.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { newMeeting, openTestApi, type TestApi } from '../test-api.ts'

let google: GoogleSandbox
let api: TestApi
beforeAll(async () => {
  google = await openGoogle()
  api = await openTestApi(google)
  await make('Comité clínico', 1, {
    description: 'Revisión del niño de la sala 4',
    related: { type: 'case', id: '17' },
    customFields: { sede: 'Bogotá', piso: 3, urgente: true, temas: ['dieta', 'alta'] },
    externalId: 'XOMA-2026-000123',
  })
  await make('Junta', 2, { participants: [], customFields: { sede: 'Cali', 'a=b': 'c' } })
  await make('Teleconsulta', 3, { customFields: { sede: 'Bogotá', piso: 4 } })
})
afterAll(async () => {
  await api?.close()
  await google?.stop()
})

async function make(topic: string, day: number, changes: Record<string, unknown> = {}) {
  const start = `2031-03-0${day}T10:00:00-05:00`
  const end = `2031-03-0${day}T11:00:00-05:00`
  const answer = await api.call('POST', '/v1/meetings', {
    body: newMeeting({ topic, start, end, ...changes }),
  })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}

async function topics(query: Record<string, string>): Promise<string[]> {
  const answer = await api.call('GET', `/v1/meetings?${new URLSearchParams(query)}`)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.items.map((item: { topic: string }) => item.topic)
}

const refusal = async (query: string) => (await api.call('GET', `/v1/meetings?${query}`)).body

describe('a list of meetings', () => {
  test.each<[Record<string, string>, string[]]>([
    [{}, ['Comité clínico', 'Junta', 'Teleconsulta']],
    [{ sort: '-start' }, ['Teleconsulta', 'Junta', 'Comité clínico']],
    [{ sort: '-createdAt', limit: '1' }, ['Teleconsulta']],
    [{ 'customFields[sede]': 'Bogotá' }, ['Comité clínico', 'Teleconsulta']],
    [{ 'customFields[sede]': 'Bogotá', 'customFields[piso]': '4' }, ['Teleconsulta']],
    [{ 'customFields[sede]': 'Bogot' }, []],
    [{ 'customFields[urgente]': 'true' }, ['Comité clínico']],
    [{ 'customFields[temas]': 'alta' }, ['Comité clínico']],
    [{ 'customFields[a=b]': 'c' }, ['Junta']],
    [{ 'customFields[a]': 'b=c' }, []],
    [{ text: 'COMITE' }, ['Comité clínico']],
    [{ text: 'nino revis' }, ['Comité clínico']],
    [{ text: 'xoma-2026' }, ['Comité clínico']],
    [{ text: 'sala 5' }, []],
    [{ text: "') | 'x" }, []],
    [{ relatedType: 'case', relatedId: '17' }, ['Comité clínico']],
    [{ relatedType: 'other', relatedId: '17' }, []],
    [{ participant: 'ANA@clinica.example', from: '2031-03-02T00:00:00Z' }, ['Teleconsulta']],
    [{ host: 'agenda@clinica.example', to: '2031-03-02T00:00:00Z' }, ['Comité clínico']],
    [{ host: 'otra@clinica.example' }, []],
    [
      { status: 'scheduled,cancelled', recordingStatus: 'pending,failed' },
      ['Comité clínico', 'Junta', 'Teleconsulta'],
    ],
    [{ recordingStatus: 'failed' }, []],
  ])('is of those that have what is asked for: %j', async (query, expected) => {
    expect(await topics(query)).toEqual(expected)
  })

  test.each([
    ['colour=red', 'colour'],
    ['status=open', 'status'],
    ['recordingStatus=', 'recordingStatus'],
    ['sort=topic', 'sort'],
    ['relatedId=17', 'relatedType'],
    ['text=--', 'text'],
    ['text=%00', 'text'],
    ['customFields%5Bsede%5D=%00', 'customFields.sede'],
    ['customFields%5Ba%5D=1&customFields%5Ba%5D=2', 'customFields.a'],
    ['customFields=x', ''],
    ['limit=201', 'limit'],
    ['host=agenda', 'host'],
  ])('is refused for %s, with its place', async (query, path) => {
    const problem = await refusal(query)
    expect(problem).toMatchObject({ status: 400, code: 'invalid_query' })
    if (path) expect(problem.errors[0].path).toContain(path.split('.')[0])
  })

  test('follows what is changed: time, fields, words, people', async () => {
    const { id } = await make('Capacitación', 7, { customFields: { sede: 'Pasto' } })
    await api.call('PATCH', `/v1/meetings/${id}`, {
      body: {
        topic: 'Entrenamiento',
        customFields: { sede: 'Tunja' },
        start: '2031-02-01T10:00:00-05:00',
        end: '2031-02-01T11:00:00-05:00',
        participants: [{ email: 'nuevo@otra.example' }],
      },
    })
    expect(await topics({ text: 'capacitacion' })).toEqual([])
    expect(await topics({ text: 'entrena' })).toEqual(['Entrenamiento'])
    expect(await topics({ 'customFields[sede]': 'Pasto' })).toEqual([])
    expect(await topics({ 'customFields[sede]': 'Tunja', to: '2031-02-02T00:00:00Z' })).toEqual([
      'Entrenamiento',
    ])
    expect(await topics({ participant: 'nuevo@otra.example', to: '2031-02-02T00:00:00Z' })).toEqual([
      'Entrenamiento',
    ])
    expect(await topics({ participant: 'ana@clinica.example' })).toEqual(['Comité clínico', 'Teleconsulta'])
    await api.call('DELETE', `/v1/meetings/${id}`)
    expect(await topics({ recordingStatus: 'cancelled', status: 'cancelled' })).toEqual(['Entrenamiento'])
  })

  test('gives each meeting once, in pages, while others are made', async () => {
    const seen: string[] = []
    let cursor = ''
    for (let page = 0; page < 10; page++) {
      const { body } = await api.call(
        'GET',
        `/v1/meetings?status=scheduled&limit=1${cursor && `&cursor=${cursor}`}`,
      )
      seen.push(...body.items.map((item: { topic: string }) => item.topic))
      if (page === 0) await make('Antes', 1, { start: '2031-01-01T10:00:00Z', end: '2031-01-01T11:00:00Z' })
      if (body.nextCursor === null) break
      cursor = body.nextCursor
    }
    expect(seen).toEqual(['Comité clínico', 'Junta', 'Teleconsulta'])
  })

  test('takes a cursor only unchanged, for the same filters and sort, in any page size', async () => {
    const { body } = await api.call('GET', '/v1/meetings?limit=1&text=comite%20clinico&sort=-start')
    const { nextCursor: none } = body
    expect(none).toBeNull()
    const { nextCursor } = (await api.call('GET', '/v1/meetings?limit=1&sort=-start')).body
    const go = (query: string) => refusal(`cursor=${query}`)
    expect((await go(`${nextCursor}&sort=-start&limit=2`)).items).toHaveLength(2)
    const changed = nextCursor.replace(/.$/, (last: string) => (last === 'A' ? 'B' : 'A'))
    for (const query of [
      `${nextCursor}`,
      `${nextCursor}&sort=start`,
      `${nextCursor}&sort=-createdAt`,
      `${nextCursor}&sort=-start&status=scheduled`,
      `${changed}&sort=-start`,
      `x${nextCursor}&sort=-start`,
      `${nextCursor}.&sort=-start`,
      'nonsense&sort=-start',
    ])
      expect(await go(query), query).toMatchObject({ status: 400, code: 'bad_cursor' })
  })
})
