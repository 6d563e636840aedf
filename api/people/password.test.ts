import { expect, test } from 'vitest'
import { hashPassword, isPassword } from './password.ts'

test('a password is known again, and no other is', async () => {
  const stored = await hashPassword('cuatro palabras sin sentido')
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(await isPassword('cuatro palabras sin sentido', stored)).toBe(true)
  expect(await isPassword('cuatro palabras sin sentidO', stored)).toBe(false)
  expect(await hashPassword('cuatro palabras sin sentido')).not.toBe(stored)
})

test('the same letters count as the same, however the keyboard puts them together', async () => {
  const composed = 'contrase\u00f1a de \u00e1rbol'
  expect(await isPassword(composed.normalize('NFD'), await hashPassword(composed))).toBe(true)
})

test('what other programs have written is read', async () => {
  // From the tests of Argon2's reference implementation (phc-winner-argon2, src/test.c).
  const stored = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  expect(await isPassword('password', stored)).toBe(true)
  await expect(isPassword('password', '{SHA}x')).rejects.toThrow('PHC')
})
