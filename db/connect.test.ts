import { randomUUID } from 'node:crypto'
import { inArray, sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { DatabaseUnusable, migrateDatabase, openDatabase } from './connect.ts'
import { apiKeys } from './schema.ts'
import { openTestDatabase } from './test-database.ts'

test('a connection keeps the statements it is asked over and over, and not one for every length of a list', async () => {
  await using server = await openTestDatabase()
  await using database = openDatabase(server.url, { max: 1, prepared: true })
  for (const length of [1, 2, 63, 64, 65, 66, 200]) {
    const ids = Array.from({ length }, () => randomUUID())
    expect(
      await database.db.select({ id: apiKeys.id }).from(apiKeys).where(inArray(apiKeys.id, ids)),
    ).toEqual([])
  }
  const [row] = await database.db.execute<{ kept: number }>(
    sql`select count(*)::int as kept from pg_prepared_statements where statement like '%from "api_keys" where%'
      and statement not like '%pg_prepared_statements%'`,
  )
  expect(row?.kept).toBe(4)
})

test('a database of another encoding than UTF8 is refused before anything is made in it', async () => {
  await using server = await openTestDatabase()
  await using database = openDatabase(server.url, { max: 1 })
  const name = `latin_${randomUUID().slice(0, 8)}`
  await database.db.execute(
    sql.raw(`create database ${name} encoding 'SQL_ASCII' locale 'C' template template0`),
  )
  const url = new URL(server.url)
  url.pathname = `/${name}`
  await expect(migrateDatabase(url.href)).rejects.toThrow(DatabaseUnusable)
  await expect(migrateDatabase(url.href)).rejects.toThrow(/has the encoding SQL_ASCII\. Make one with UTF8/)
  await database.db.execute(sql.raw(`drop database ${name}`))
})
