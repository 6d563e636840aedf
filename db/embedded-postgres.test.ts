import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { postgresAt } from './postgres-at.ts'

let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'testigo-embedded-'))
})
afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))

async function ask(url: string): Promise<string> {
  const sql = postgresAt(url, { max: 1 })
  try {
    const [row] = await sql<{ name: string }[]>`select current_database() as name`
    return row?.name ?? ''
  } finally {
    await sql.end({ timeout: 5 })
  }
}

test('data lives on after a stop, a second start uses a server that already runs, and stop may be called twice', async () => {
  await chmod(dir, 0o755)
  const first = await startEmbeddedPostgres(dir)
  const sql = postgresAt(first.url, { max: 1 })
  await sql`create table kept (word text)`
  await sql`insert into kept values ('testigo')`
  await sql.end()
  const second = await startEmbeddedPostgres(dir)
  expect(second.url).toBe(first.url)
  await second.stop()
  expect(await ask(first.url)).toBe('testigo')
  await first.stop()
  await first.stop()
  await expect(ask(first.url)).rejects.toThrow()

  const again = await startEmbeddedPostgres(dir)
  const reader = postgresAt(again.url, { max: 1 })
  expect([...(await reader`select word from kept`)]).toEqual([{ word: 'testigo' }])
  await reader.end()
  await again.stop()
}, 60_000)

test('a folder closed to other users is no hindrance, as under the home of root', async () => {
  const closed = await mkdtemp(join(dir, 'closed-'))
  await chmod(closed, 0o700)
  const server = await startEmbeddedPostgres(join(closed, 'data'))
  expect(await ask(server.url)).toBe('testigo')
  await server.stop()
}, 60_000)

test('is asked over its Unix socket, and over loopback where the name of the folder is too long for one', async () => {
  await chmod(dir, 0o755)
  for (const name of ['short', 'x'.repeat(100)]) {
    const server = await startEmbeddedPostgres(join(dir, name))
    expect(new URL(server.url).searchParams.get('host') !== null).toBe(name === 'short')
    const sql = postgresAt(server.url, { max: 1 })
    const [row] = await sql`select inet_client_addr() is null as by_socket`
    expect(row).toEqual({ by_socket: name === 'short' })
    await sql.end()
    await server.stop()
  }
}, 60_000)
