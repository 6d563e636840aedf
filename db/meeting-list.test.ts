import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { type OpenDatabase, openDatabase, type Transaction } from './connect.ts'
import { fillWithMeetings } from './fill-with-meetings.ts'
import { type ListOrder, listMeetings, type MeetingFilter } from './meeting-list.ts'
import { asOrganization, type OwnOnly, type TenantDatabase, tenantDatabase } from './tenant.ts'
import { openTestDatabase } from './test-database.ts'

const COUNT = 50_000
const PAGE = 51
// Fewer and more than are put in order at once, see FEW_WITH_WORDS.
const WORDS_OF_LAST = { retina: 4500, cornea: 5500 }

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let tenants: TenantDatabase
let mine: string
let other: string
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  tenants = tenantDatabase(database.db)
  const make = (organization: string) =>
    createApiKey(database.db, { organization, name: 'test', role: 'admin' })
  mine = (await make('Clínica Andina')).organizationId
  other = (await make('Hospital del Valle')).organizationId
  await fillWithMeetings(server.url, { count: COUNT, organizations: [mine, other] })
  // Words of many meetings, all of which stand at the end of the list.
  for (const [word, many] of Object.entries(WORDS_OF_LAST))
    await database.db.execute(sql`
      update meetings set description = description || ' ' || ${word}::text
      where id in (select id from meetings where organization_id = ${mine} order by starts_at desc, id limit ${many})`)
  await database.db.execute(sql`analyze meeting_words`)
}, 240_000)
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

const BY_START: ListOrder = { by: 'startsAt', descending: false }
const ORDERS: ListOrder[] = [
  BY_START,
  { by: 'startsAt', descending: true },
  { by: 'createdAt', descending: false },
  { by: 'createdAt', descending: true },
]

interface Asked {
  order?: ListOrder
  limit?: number
  ownOnly?: OwnOnly
  organizationId?: string
  after?: { at: Date; id: string }
}

// Also what functions read is counted there; what a transaction before read may still be.
async function readsOf(tx: Transaction) {
  const rows = await tx.execute<{ name: string; whole: number; rows: number }>(sql`
    select relname as name, seq_scan::int as whole, coalesce(idx_tup_fetch, 0)::int as rows
    from pg_stat_xact_user_tables where schemaname = 'public' order by relname`)
  return {
    tables: rows.map(row => row.name),
    whole: rows.map(row => row.whole),
    rows: rows.reduce((sum, row) => sum + row.rows, 0),
  }
}

/** A page, and how many rows PostgreSQL read for it: of whole tables, and by indexes. */
function list(filter: MeetingFilter, asked: Asked = {}) {
  const { order = BY_START, limit = PAGE, ownOnly, organizationId = mine } = asked
  return asOrganization(
    tenants,
    organizationId,
    async tx => {
      const request = {
        organizationId,
        filter,
        order,
        limit,
        after: asked.after,
        ownOnly: ownOnly !== undefined,
      }
      const before = await readsOf(tx)
      const rows = await listMeetings(tx, request)
      const after = await readsOf(tx)
      const read = {
        whole: after.tables.filter((_, at) => after.whole[at] !== before.whole[at]),
        rows: after.rows - before.rows,
      }
      return { rows, ids: rows.map(row => row.meeting.id), read }
    },
    ownOnly,
  )
}

/** What a filter gives, worked out without indexes and with the rights of the owner. */
async function allOf(where: ReturnType<typeof sql>, { by, descending }: ListOrder): Promise<string[]> {
  const at = sql.raw(by === 'startsAt' ? 'starts_at' : 'created_at')
  const direction = sql.raw(descending ? 'desc' : 'asc')
  const rows = await database.db.execute<{ id: string }>(sql`
    select m.id from meetings m join recordings r on r.meeting_id = m.id
    where m.organization_id = ${mine} and ${where} order by m.${at} ${direction}, m.id ${direction}`)
  return rows.map(({ id }) => id)
}

const invited = (email: string) =>
  sql`exists (select from participants p where p.meeting_id = m.id and p.email = ${email} and p.removed_at is null)`

interface Asking {
  filter: MeetingFilter
  where: ReturnType<typeof sql>
  some?: false
  mayRead?: number
}

const FILTERS: Record<string, Asking> = {
  nothing: { filter: {}, where: sql`true` },
  'a status that most have': { filter: { statuses: ['ended'] }, where: sql`m.status = 'ended'` },
  'a status that few have': { filter: { statuses: ['cancelled'] }, where: sql`m.status = 'cancelled'` },
  'several statuses': {
    filter: { statuses: ['scheduled', 'cancelled'] },
    where: sql`m.status in ('scheduled', 'cancelled')`,
  },
  'the status of the recording': {
    filter: { recordingStatuses: ['pending'] },
    where: sql`r.status = 'pending'`,
  },
  'several statuses of the recording': {
    filter: { recordingStatuses: ['not_held', 'partial', 'available'] },
    where: sql`r.status in ('not_held', 'partial', 'available')`,
  },
  'a participant of few': {
    filter: { participant: 'paciente8@otra.example' },
    where: invited('paciente8@otra.example'),
  },
  'a participant of many': {
    filter: { participant: 'ana@clinica.example' },
    where: invited('ana@clinica.example'),
  },
  'a host': {
    filter: { organizer: 'agenda1@clinica.example' },
    where: sql`m.organizer = 'agenda1@clinica.example'`,
  },
  'a related object': {
    filter: { related: { type: 'case', id: '77' } },
    where: sql`m.related_type = 'case' and m.related_id = '77'`,
  },
  'a custom field that many have': {
    filter: { customFields: [['sede', 'Bogotá']] },
    where: sql`m.custom_fields ->> 'sede' = 'Bogotá'`,
  },
  'a custom field that one has': {
    filter: { customFields: [['orden', '78']] },
    where: sql`m.custom_fields ->> 'orden' = '78'`,
  },
  'two custom fields': {
    filter: {
      customFields: [
        ['piso', '3'],
        ['sede', 'Cali'],
      ],
    },
    where: sql`m.custom_fields @> '{"sede": "Cali", "piso": 3}'`,
  },
  'a word that few have': { filter: { text: 'CASO 7800' }, where: sql`m.topic ~ 'caso 7800'` },
  'a word that all have': { filter: { text: 'sesion' }, where: sql`true` },
  'a word that all have, of a participant of few': {
    filter: { text: 'sesion', participant: 'paciente8@otra.example' },
    where: invited('paciente8@otra.example'),
    mayRead: 200,
  },
  'words that many have, but not the first': {
    filter: { text: 'retina seguimiento' },
    where: sql`m.description like '%retina%'`,
  },
  'words that a great many have, but not the first': {
    filter: { text: 'Córnea seguimiento' },
    where: sql`m.description like '%cornea%'`,
    mayRead: COUNT / 2,
  },
  'the beginning of an external id': {
    filter: { text: 'xoma-2026-00007' },
    where: sql`m.external_id like 'XOMA-2026-00007%'`,
  },
  'an external id': {
    filter: { externalId: 'XOMA-2026-0000078' },
    where: sql`m.external_id = 'XOMA-2026-0000078'`,
  },
  'a stretch of time': {
    filter: { from: new Date('2026-11-01T00:00Z'), to: new Date('2026-11-04T00:00Z') },
    where: sql`m.starts_at >= '2026-11-01Z' and m.starts_at < '2026-11-04Z'`,
  },
  'much at once': {
    filter: {
      statuses: ['ended'],
      recordingStatuses: ['available'],
      participant: 'ana@clinica.example',
      customFields: [['sede', 'Cali']],
      organizer: 'agenda1@clinica.example',
      from: new Date('2025-02-01T00:00Z'),
    },
    where: sql`m.status = 'ended' and r.status = 'available' and ${invited('ana@clinica.example')}
      and m.custom_fields ->> 'sede' = 'Cali' and m.organizer = 'agenda1@clinica.example' and m.starts_at >= '2025-02-01Z'`,
  },
  'a series that is not there': {
    filter: { seriesId: '7d444840-9dc0-41d1-b245-5ffdce74fad2' },
    where: sql`false`,
    some: false,
  },
}

describe.each(Object.entries(FILTERS))('meetings by %s', (_name, asking) => {
  const { filter, where, some, mayRead = COUNT / 4 } = asking
  test.each(ORDERS)('are those that have it, by $by, descending $descending', async order => {
    const all = await allOf(where, order)
    if (some !== false) expect(all.length).toBeGreaterThan(0)
    const page = await list(filter, { order })
    expect(page.ids).toEqual(all.slice(0, PAGE))
    // From the middle on, too.
    const middle = Math.floor(all.length / 2)
    const place = all[middle]
    if (place === undefined) return
    const [row] = await database.db.execute<{ at: string }>(
      sql`select ${sql.raw(order.by === 'startsAt' ? 'starts_at' : 'created_at')} as at from meetings where id = ${place}`,
    )
    const next = await list(filter, { order, after: { at: new Date(row?.at ?? ''), id: place } })
    expect(next.ids).toEqual(all.slice(middle + 1, middle + 1 + PAGE))
  })

  test.each(ORDERS)(
    'are found without reading a whole table, by $by, descending $descending',
    async order => {
      const { read } = await list(filter, { order })
      expect(read.whole).toEqual([])
      // Some for each meeting of the page, and those passed over: how many that is depends on what ANALYZE happened to see.
      expect(read.rows).toBeLessThan(mayRead)
    },
  )
})

test('somebody who sees their own meetings only is not made to wait for all others', async () => {
  const ownOnly = { principal: 'user:x', email: 'paciente8@otra.example' }
  const { ids, read } = await list({}, { ownOnly })
  expect(ids).toEqual((await allOf(invited(ownOnly.email), BY_START)).slice(0, PAGE))
  expect(ids.length).toBeGreaterThan(0)
  expect(read.whole).toEqual([])
  expect(read.rows).toBeLessThan(100)
})

test('words that many meetings have are looked for among one’s own only', async () => {
  const ownOnly = { principal: 'user:x', email: 'paciente8@otra.example' }
  const { ids, read } = await list({ text: 'sesion' }, { ownOnly })
  expect(ids).toEqual((await allOf(invited(ownOnly.email), BY_START)).slice(0, PAGE))
  expect(read.rows).toBeLessThan(200)
})

describe('what belongs to another organisation', () => {
  test.each(Object.entries(FILTERS))('is never found by %s', async (_name, { filter }) => {
    const found = await list(filter, { organizationId: other, limit: 200 })
    expect(found.rows.every(row => row.meeting.organizationId === other)).toBe(true)
  })

  test('cannot be asked for by naming it, neither in the list nor by words', async () => {
    const asked = await asOrganization(tenants, other, async tx => ({
      rows: await listMeetings(tx, {
        organizationId: mine,
        filter: { text: 'sesion' },
        order: BY_START,
        limit: 10,
        ownOnly: false,
      }),
      ids: await tx.execute<{ id: string }>(
        sql`select id from testigo_find_words(array['caso', '78'], 100) id`,
      ),
      terms: await tx.execute(sql`select 1 from meeting_terms where organization_id = ${mine} limit 1`),
      words: await tx.execute(sql`select 1 from meeting_words where organization_id = ${mine} limit 1`),
    }))
    expect(asked.rows).toEqual([])
    expect(asked.terms.length + asked.words.length).toBe(0)
    const mineOfThem = await database.db.execute(sql`
      select 1 from meetings where organization_id = ${mine}
        and id = any(${`{${asked.ids.map(({ id }) => id).join(',')}}`}::uuid[])`)
    expect(mineOfThem.length).toBe(0)
  })

  test('no caller changes what meetings are found by', async () => {
    for (const change of ['delete from meeting_terms', "update meeting_words set words = ''"])
      await expect(asOrganization(tenants, mine, tx => tx.execute(sql.raw(change)))).rejects.toMatchObject({
        cause: { code: '42501' },
      })
    await expect(
      asOrganization(tenants, mine, tx => tx.execute(sql`select testigo_index_meetings('{}')`)),
    ).rejects.toMatchObject({ cause: { code: '42501' } })
  })
})
