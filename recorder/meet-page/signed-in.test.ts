import { expect, test } from 'vitest'
import { isSameAccount, parseListAccounts } from './signed-in.ts'

const account = (email: string, more: Record<number, unknown> = {}) => {
  const fields: unknown[] = ['gaia.l.a', 1, 'Name', email, '', 1, 1, 0, 0, 1, '1001', null, null, null, 0, 1]
  for (const [index, value] of Object.entries(more)) fields[Number(index)] = value
  return fields
}

test('accounts come in order, with the position that authuser wants', () => {
  const text = JSON.stringify(['gaia.l.a.r', [account('a@example.com'), account('bot@example.com')]])
  const accounts = [
    { email: 'a@example.com', position: 0, name: 'Name' },
    { email: 'bot@example.com', position: 1, name: 'Name' },
  ]
  expect(parseListAccounts(text)).toEqual({ kind: 'accounts', accounts })
  expect(parseListAccounts(`)]}'\n${text}`)).toEqual({ kind: 'accounts', accounts })
})

test('a session that wants a new sign-in and an account signed out do not count', () => {
  const text = JSON.stringify([
    'gaia.l.a.r',
    [account('a@example.com', { 9: 0 }), account('b@example.com', { 14: 1 })],
  ])
  expect(parseListAccounts(text)).toEqual({ kind: 'accounts', accounts: [] })
})

test('nobody signed in is an answer, anything else is none', () => {
  expect(parseListAccounts('["gaia.l.a.r",[]]')).toEqual({ kind: 'accounts', accounts: [] })
  for (const text of ['', '<html>', '{}', '["gaia.l.a.r"]', 'null'])
    expect(parseListAccounts(text)).toBeNull()
})

test('addresses are the same account whatever their case, and dots only at gmail.com', () => {
  expect(isSameAccount('Bot@Example.com', 'bot@example.com')).toBe(true)
  expect(isSameAccount('b.ot@example.com', 'bot@example.com')).toBe(false)
  expect(isSameAccount('b.ot@gmail.com', 'bot@gmail.com')).toBe(true)
})
