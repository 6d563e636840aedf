import { expect, test } from 'vitest'
import { selectFields } from './partial-answer.ts'

const answer = { kind: 'list', files: [{ id: '1', name: 'a', owner: { email: 'x', me: true } }], next: 't' }

test.each([
  ['kind', { kind: 'list' }],
  ['kind, next', { kind: 'list', next: 't' }],
  ['files(id,owner(me))', { files: [{ id: '1', owner: { me: true } }] }],
  ['files/id,files/name', { files: [{ id: '1', name: 'a' }] }],
  ['files/owner/email', { files: [{ owner: { email: 'x' } }] }],
  ['*', answer],
  ['files(*)', { files: answer.files }],
  ['nothing', {}],
])('fields=%s picks its part of the answer', (fields, expected) => {
  expect(selectFields(answer, fields)).toEqual(expected)
})

test.each(['files(id', 'id,', '(id)', 'id)', ''])('fields=%j is refused', fields => {
  expect(() => selectFields(answer, fields)).toThrow('Invalid field selection')
})
