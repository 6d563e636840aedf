import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type postgres from 'postgres'
import { migrateDatabase } from './connect.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { postgresAt } from './postgres-at.ts'

/** For tests: a database of its own on a real PostgreSQL, tables made. Dropped with everything in it. */
export async function openTestDatabase(): Promise<{ url: string } & AsyncDisposable> {
  const server = await testServer()
  const name = `test_${randomBytes(6).toString('hex')}`
  await onServer(server.url, sql => sql`create database ${sql(name)}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  await migrateDatabase(url.href)
  const drop = async () => {
    await onServer(server.url, sql => sql`drop database if exists ${sql(name)} with (force)`)
    await server.stop()
  }
  return { url: url.href, [Symbol.asyncDispose]: drop }
}

// A server of its own for each caller: one that is shared ends when the first of them has finished.
async function testServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'testigo-database-'))
  await chmod(dir, 0o755)
  const server = await startEmbeddedPostgres(dir, { durable: false })
  return {
    url: server.url,
    async stop() {
      await server.stop()
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function onServer(url: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgresAt(url, { max: 1, onnotice: () => {} })
  try {
    await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
