import { spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appendAudit } from '../db/audit.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { organizations } from '../db/schema.ts'
import { openTestDatabase } from '../db/test-database.ts'

// The commands as they are typed. What they do to rows is in backup/backup.test.ts.

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let dir: string
let out: string

beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  dir = await mkdtemp(join(tmpdir(), 'testigo-backup-command-'))
  out = join(dir, 'clinica.backup')
  const organizationId = randomUUID()
  await database.db.insert(organizations).values({ id: organizationId, name: 'Clínica' })
  for (const action of ['a', 'b'])
    await database.db.transaction(tx =>
      appendAudit(tx, { organizationId, actor: 'job:x', action, subject: 'x', detail: {} }),
    )
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

function command(
  name: 'backup' | 'restore',
  args: string[],
  { databaseUrl = server.url, path = dir }: { databaseUrl?: string; path?: string } = {},
) {
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
    env: { PATH: path, DATABASE_URL: databaseUrl },
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

async function emptyTarget(): Promise<string> {
  const name = `target_${randomUUID().slice(0, 8)}`
  await database.db.execute(sql`create database ${sql.identifier(name)}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  return url.href
}

/** The PATH on which a pg_dump of this version is the first one: what it is asked for, it writes into the file it makes. */
async function pathWithPgDump(version: string, end = 'exit 0'): Promise<string> {
  const folder = join(dir, `bin-${randomUUID()}`)
  await mkdir(folder)
  const script = [
    '#!/bin/sh',
    `[ "$1" = --version ] && echo 'pg_dump (PostgreSQL) ${version}' && exit 0`,
    'for part; do out=$(printf %s "$part" | cut -c8-); done',
    '{ printf "%s\\n" "$@"; env | grep ^PG | sort; } > "$out"',
    end,
  ]
  await writeFile(join(folder, 'pg_dump'), `${script.join('\n')}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

async function expectMade(file: string, { status, stdout, stderr }: ReturnType<typeof command>) {
  expect(status, stderr).toBe(0)
  const bytes = await readFile(file)
  // As "sha256sum --check" reads it.
  expect(stdout).toBe(`${createHash('sha256').update(bytes).digest('hex')}  ${file}\n`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(stderr).toContain(`${bytes.length} bytes. Keep it, and TESTIGO_ENCRYPTION_KEY apart from it`)
  return bytes
}

test.each([
  ['backup', [], '--out is missing.'],
  ['backup', ['--out', 'x', '--method', 'magic'], '"magic" is no method.'],
  ['backup', ['--to', 'x'], "Unknown option '--to'"],
  ['restore', [], '--from is missing.'],
  ['restore', ['--from', 'x', '--forced'], "Unknown option '--forced'"],
] as const)('%s %j is refused, with how it is used and no stack', (name, args, why) => {
  const { status, stdout, stderr } = command(name, [...args])
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toContain(why)
  expect(stderr).toContain(`Use: npm run ${name} -- --`)
  expect(stderr).not.toMatch(/^\s+at /m)
})

test('a pg_dump older than the server is not used, which is said; what was copied is restored once, and then only by force', async () => {
  const path = await pathWithPgDump('13.1 (Debian 13.1-1)')
  const insisted = command('backup', ['--out', out, '--method', 'pg_dump'], { path })
  expect(insisted.status).toBe(1)
  expect(insisted.stderr).toMatch(
    /^pg_dump cannot be used: pg_dump is of version 13, the server of version \d+\.\nUse: /,
  )
  const made = command('backup', ['--out', out], { path })
  await expectMade(out, made)
  expect(made.stderr).toMatch(
    /^Copied, because pg_dump is of version 13, the server of version \d+: \d+ tables, \d+ rows\.$/m,
  )

  const databaseUrl = await emptyTarget()
  const restored = command('restore', ['--from', out], { databaseUrl })
  expect([restored.status, restored.stdout]).toEqual([0, 'ok\tClínica\t2 entries, unbroken\n'])
  const again = command('restore', ['--from', out], { databaseUrl })
  expect([again.status, again.stdout]).toEqual([1, ''])
  expect(again.stderr).toContain('add --force')
  expect(command('restore', ['--from', out, '--force'], { databaseUrl }).status).toBe(0)
})

test('a pg_dump that fits makes the dump, is told of the connection by its environment, and only the owner may read it', async () => {
  const path = await pathWithPgDump('99.1')
  const file = join(dir, 'dumped.backup')
  const made = command('backup', ['--out', file], { path })
  const lines = (await expectMade(file, made)).toString().trim().split('\n')
  expect(made.stderr).toMatch(/^Made by pg_dump\.$/m)
  const args = lines.filter(line => line.startsWith('--'))
  expect(args).toEqual([
    '--format=custom',
    '--no-owner',
    '--no-privileges',
    '--lock-wait-timeout=30000',
    `--file=${file}.part`,
  ])
  const { port, pathname } = new URL(server.url)
  expect(lines).toContain(`PGPORT=${port}`)
  expect(lines).toContain(`PGDATABASE=${pathname.slice(1)}`)
})

test('a pg_dump that fails is quoted, and leaves no file', async () => {
  const path = await pathWithPgDump('99.1', 'echo "pg_dump: error: the disk is full" >&2; exit 1')
  const { status, stdout, stderr } = command('backup', ['--out', join(dir, 'failed.backup')], { path })
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toBe('pg_dump failed: pg_dump: error: the disk is full\n')
  expect((await readdir(dir)).filter(name => name.startsWith('failed'))).toEqual([])
})

test('a dump is not restored where there is no pg_restore, and the database stays as it is', async () => {
  const file = join(dir, 'by-pg-dump.backup')
  await writeFile(file, 'PGDMP and more')
  const { status, stderr } = command('restore', ['--from', file, '--force'])
  expect(status).toBe(1)
  expect(stderr).toContain('needs pg_restore: there is no pg_restore here. Install the client of PostgreSQL.')
  expect(await database.db.select().from(organizations)).toHaveLength(1)
})

test('a restored audit log that is not what it was is named, and the exit code is 2', async () => {
  await database.db.transaction(async tx => {
    await tx.execute(sql`alter table audit_log disable trigger audit_log_append_only`)
    await tx.execute(sql`update audit_log set actor = 'nobody' where seq = 1`)
    await tx.execute(sql`alter table audit_log enable always trigger audit_log_append_only`)
  })
  const file = join(dir, 'tampered.backup')
  await expectMade(file, command('backup', ['--out', file, '--method', 'copy']))
  const { status, stdout, stderr } = command('restore', ['--from', file], {
    databaseUrl: await emptyTarget(),
  })
  expect(stdout).toMatch(/^BROKEN\tClínica\t.+\n$/)
  expect(stderr).toContain('an audit log is not what it was')
  expect(status).toBe(2)
})
