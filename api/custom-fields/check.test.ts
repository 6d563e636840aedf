import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type OpenDatabase, openDatabase } from '../../db/connect.ts'
import { keepCustomFieldSchema } from '../../db/custom-fields.ts'
import { organizations } from '../../db/schema.ts'
import { openTestDatabase } from '../../db/test-database.ts'
import { Problem } from '../problem.ts'
import { refuseBadCustomFields } from './check.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function organizationWith(schema: Record<string, unknown>): Promise<string> {
  const id = randomUUID()
  await database.db.insert(organizations).values({ id, name: id })
  await database.db.transaction(tx =>
    keepCustomFieldSchema(tx, id, schema, { actor: 'test', now: new Date() }),
  )
  return id
}
const reasonOf = async (organizationId: string, fields: Record<string, unknown> | null) => {
  try {
    await refuseBadCustomFields(database.db, organizationId, fields)
    return 'good'
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
}

test('an organisation whose schema takes too long is refused untried after a few times, and no other is', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string', pattern: '^(a+)+$' } },
  }
  const slow = await organizationWith(schema)
  const other = await organizationWith(schema)
  const forever = { a: `${'a'.repeat(60)}!` }
  expect(await reasonOf(slow, null)).toBe('good')
  for (let times = 0; times < 5; times++)
    expect(await reasonOf(slow, forever)).toBe('custom_fields_too_complex')
  // What would be good is not tried any more either; nothing at all needs no trying.
  expect(await reasonOf(slow, { a: 'a' })).toBe('custom_fields_too_complex')
  expect(await reasonOf(slow, null)).toBe('good')
  expect(await reasonOf(slow, {})).toBe('good')
  expect(await reasonOf(other, { a: 'a' })).toBe('good')
})

test('a meeting without fields is judged by the schema that is in force', async () => {
  const organizationId = await organizationWith({ type: 'object' })
  expect(await reasonOf(organizationId, null)).toBe('good')
  const strict = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
  const by = { actor: 'test', now: new Date() }
  await database.db.transaction(tx => keepCustomFieldSchema(tx, organizationId, strict, by))
  expect(await reasonOf(organizationId, null)).toBe('missing_field')
  expect(await reasonOf(organizationId, {})).toBe('missing_field')
})
