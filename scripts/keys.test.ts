import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { asc, eq } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findKey } from '../db/api-keys.ts'
import { chainAllNotes } from '../db/audit-notes.ts'
import { openDatabase } from '../db/connect.ts'
import { auditLog, organizations } from '../db/schema.ts'
import { openTestDatabase } from '../db/test-database.ts'

const SCRIPT = fileURLToPath(new URL('keys.ts', import.meta.url))
let server: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  server = await openTestDatabase()
})
afterAll(() => server?.[Symbol.asyncDispose]())

function keys(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, DATABASE_URL: server.url },
    timeout: 15_000,
  })
  return { status, stdout, stderr }
}

async function auditOf(organization: string) {
  await using database = openDatabase(server.url)
  await chainAllNotes(database.db)
  const rows = await database.db.select().from(auditLog).orderBy(asc(auditLog.seq))
  const [found] = await database.db.select().from(organizations).where(eq(organizations.name, organization))
  return rows.filter(row => row.organizationId === found?.id)
}

test('a key is made, shown once and alone on standard output, listed without its secret, and revoked', async () => {
  const made = keys('create', '--org', 'Clínica Andina', '--name', 'XOMA')
  expect(made.status, made.stderr).toBe(0)
  const key = made.stdout.trim()
  await using database = openDatabase(server.url)
  expect(await findKey(database.db, key, new Date())).toBeDefined()

  const listed = keys('list')
  expect(listed.stdout).toMatch(/Clínica Andina\tXOMA\ttk_[0-9a-f]{8}_…\tservice\tall\t.*in force/)
  expect(listed.stdout).not.toContain(key)

  expect(keys('revoke', key.slice(3, 11)).status).toBe(0)
  expect(await findKey(database.db, key, new Date())).toBeUndefined()
  expect(keys('list').stdout).toContain('revoked')

  const rows = await auditOf('Clínica Andina')
  const subject = expect.stringMatching(/^api_key:/)
  expect(rows).toMatchObject([
    { actor: 'operator', action: 'api_key.created', subject },
    { actor: 'operator', action: 'api_key.revoked', subject },
  ])
  expect(JSON.stringify(rows)).not.toContain(key.slice(12))
})

test('a key is limited by role, scopes and time', async () => {
  const limits = ['--role', 'auditor', '--scopes', 'recordings:read', '--days', '30']
  const made = keys('create', '--org', 'Clínica Andina', '--name', 'Auditoría', ...limits)
  expect(made.status, made.stderr).toBe(0)
  await using database = openDatabase(server.url)
  const in30Days = new Date(Date.now() + 30 * 86_400_000)
  const key = made.stdout.trim()
  expect(await findKey(database.db, key, new Date())).toMatchObject({
    role: 'auditor',
    scopes: ['recordings:read'],
  })
  expect(await findKey(database.db, key, in30Days)).toBeUndefined()
  expect(keys('list').stdout).toMatch(/Auditoría\t\S+\tauditor\trecordings:read\t.*in force until/)
})

test("an organisation's Google domain is set, is nobody else's, and is taken back", async () => {
  const set = (org: string, domain: string) => keys('google-domain', '--org', org, '--domain', domain)
  keys('create', '--org', 'Otra', '--name', 'x')
  expect(set('Clínica Andina', 'Clinica.example').stdout).toContain('clinica.example')
  expect(set('Otra', 'clinica.example').stderr).toContain("is another organisation's")
  expect(set('Clínica Andina', '').status).toBe(0)
  expect(set('Otra', 'clinica.example').status).toBe(0)
  const changed = { actor: 'operator', action: 'organization.changed' }
  expect((await auditOf('Clínica Andina')).slice(-2)).toMatchObject([
    { ...changed, detail: { before: { googleDomain: null }, after: { googleDomain: 'clinica.example' } } },
    { ...changed, detail: { before: { googleDomain: 'clinica.example' }, after: { googleDomain: null } } },
  ])
})

test.each([
  [['create', '--org', 'Una', '--name', 'x', '--role', 'boss'], '--role is one of'],
  [['create', '--org', 'Una', '--name', 'x', '--scopes', 'keys:manage'], 'not a scope of the role service'],
  [['create', '--org', 'Una', '--name', 'x', '--days', '-1'], 'days'],
  [['google-domain', '--org', 'Nadie', '--domain', 'a.example'], 'There is no organisation "Nadie".'],
  [['create', '--org', 'Sola'], 'create needs --org and --name.'],
  [['create', '--organisation', 'x'], 'organisation'],
  [['revoke', '00000000'], 'No key in force begins with tk_00000000.'],
])('%j is refused with how to use it', (args, words) => {
  const { status, stderr, stdout } = keys(...args)
  expect(status).toBe(1)
  expect(stderr).toContain(words)
  expect(stderr).toContain('npm run keys -- create')
  expect(stdout).toBe('')
})
