import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Log } from '../../log.ts'
import { openVault } from './vault.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'testigo-vault-'))
})
afterAll(() => rm(folder, { recursive: true }))

const said: string[] = []
const log = { warn: (_fields: object, message: string) => void said.push(message) } as Log
const withKey = (key = randomBytes(32)) => openVault({ key, dataDir: folder, log })

test('what was sealed for an owner opens for this owner only', async () => {
  const vault = withKey()
  const sealed = await vault.seal('whsec_secret', 'one')
  expect(sealed).not.toContain('whsec')
  expect(await vault.unseal(sealed, 'one')).toBe('whsec_secret')
  await expect(vault.unseal(sealed, 'another')).rejects.toMatchObject({ code: 'cannot_unseal' })
})

test('the same secret sealed twice looks different', async () => {
  const vault = withKey()
  expect(await vault.seal('secret', 'one')).not.toBe(await vault.seal('secret', 'one'))
})

test('a fingerprint is the same for the same words and key, and another one otherwise', async () => {
  const [one, other] = [randomBytes(32), randomBytes(32)]
  const first = await withKey(one).fingerprint('palabra')
  expect(first).toMatch(/^[0-9a-f]{64}$/)
  expect(await withKey(one).fingerprint('palabra')).toBe(first)
  expect(await withKey(one).fingerprint('palabras')).not.toBe(first)
  expect(await withKey(other).fingerprint('palabra')).not.toBe(first)
})

test('a changed box, another key and nonsense are refused', async () => {
  const vault = withKey()
  const sealed = await vault.seal('secret', 'one')
  const middle = Math.floor(sealed.length / 2)
  const changed = sealed.slice(0, middle) + (sealed[middle] === 'A' ? 'B' : 'A') + sealed.slice(middle + 1)
  for (const [opener, box] of [
    [vault, changed],
    [vault, sealed.slice(0, 20)],
    [vault, ''],
    [withKey(), sealed],
  ] as const)
    await expect(opener.unseal(box, 'one')).rejects.toMatchObject({ code: 'cannot_unseal' })
})

test('without a key of the settings one file is made, for its owner alone, however many ask at once', async () => {
  const dataDir = join(folder, 'data')
  const vaults = Array.from({ length: 8 }, () => openVault({ key: undefined, dataDir, log }))
  const boxes = await Promise.all(vaults.map(vault => vault.seal('secret', 'one')))
  const file = join(dataDir, 'encryption.key')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(Buffer.from(await readFile(file, 'utf8'), 'base64')).toHaveLength(32)
  const later = openVault({ key: undefined, dataDir, log })
  for (const box of boxes) expect(await later.unseal(box, 'one')).toBe('secret')
  expect(said.filter(line => line.includes('encryption key'))).toHaveLength(1)
})

test('opening a box makes no key, and a file that is no key is refused', async () => {
  const dataDir = join(folder, 'empty')
  const vault = openVault({ key: undefined, dataDir, log })
  await expect(vault.unseal('v1.AAAA', 'one')).rejects.toThrow('no encryption key')
  await expect(stat(dataDir)).rejects.toMatchObject({ code: 'ENOENT' })
  await writeFile(join(folder, 'encryption.key'), 'short')
  const broken = openVault({ key: undefined, dataDir: folder, log })
  await expect(broken.seal('secret', 'one')).rejects.toMatchObject({ code: 'cannot_unseal' })
})
