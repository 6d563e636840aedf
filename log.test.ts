import { DrizzleQueryError } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { loggedError } from './log.ts'

test('a query that failed is logged with its words and its reason, and without its parameters', () => {
  const reason = new Error('relation "users" does not exist')
  const failed = new DrizzleQueryError('update users set hash = $1', ['$argon2id$v=19$secret', 7], reason)
  const text = JSON.stringify(loggedError(new Error('could not sign in', { cause: failed })))
  expect(text).toContain('could not sign in')
  expect(text).toContain('update users set hash = $1')
  expect(text).toContain('relation \\"users\\" does not exist')
  expect(text).toContain('log.test.ts')
  expect(text).not.toContain('argon2id')
})
