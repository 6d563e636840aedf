import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findKeyOwner } from '../db/api-keys.ts'
import { openDatabase } from '../db/connect.ts'
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

test('a key is made, shown once and alone on standard output, listed without its secret, and revoked', async () => {
  const made = keys('create', '--org', 'Clínica Andina', '--name', 'XOMA')
  expect(made.status, made.stderr).toBe(0)
  const key = made.stdout.trim()
  await using database = openDatabase(server.url)
  expect(await findKeyOwner(database.db, key, new Date())).toBeDefined()

  const listed = keys('list')
  expect(listed.stdout).toMatch(/Clínica Andina\tXOMA\ttk_[0-9a-f]{8}_…\t.*in force/)
  expect(listed.stdout).not.toContain(key)

  expect(keys('revoke', key.slice(3, 11)).status).toBe(0)
  expect(await findKeyOwner(database.db, key, new Date())).toBeUndefined()
  expect(keys('list').stdout).toContain('revoked')
})

test.each([
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
