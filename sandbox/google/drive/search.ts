import { GoogleError } from '../errors.ts'
import type { StoredFile } from './file.ts'

export type FileTest = (file: StoredFile) => boolean

/**
 * Reads a search query `q` of Drive: `name`, `mimeType` (=, !=, contains), `'id' in parents`, `trashed`,
 * `appProperties`/`properties has { key='…' and value='…' }`, `createdTime`/`modifiedTime` comparisons, joined by
 * `and`, `or`, `not` and parentheses (google-apis.md §4.4). Anything else is 400 `invalid`, as Google answers.
 */
export function readSearch(q: string, rootId: string): FileTest {
  const tokens = tokenize(q)
  let at = 0
  const test = readOr()
  if (at < tokens.length) throw invalid()
  return test

  function readOr(): FileTest {
    const left = readAnd()
    if (tokens[at] !== 'or') return left
    at++
    const right = readOr()
    return file => left(file) || right(file)
  }

  function readAnd(): FileTest {
    const left = readOne()
    if (tokens[at] !== 'and') return left
    at++
    const right = readAnd()
    return file => left(file) && right(file)
  }

  function readOne(): FileTest {
    const token = next()
    if (token === 'not') {
      const inner = readOne()
      return file => !inner(file)
    }
    if (token === '(') {
      const inner = readOr()
      expect(')')
      return inner
    }
    if (token.startsWith("'")) {
      expect('in')
      expect('parents')
      const parent = textOf(token) === 'root' ? rootId : textOf(token)
      return file => file.parent === parent
    }
    return readField(token)
  }

  function readField(field: string): FileTest {
    const operator = next()
    if ((field === 'appProperties' || field === 'properties') && operator === 'has')
      return readProperty(field)
    const value = next()
    if (field === 'trashed' && (value === 'true' || value === 'false')) {
      const wanted = (value === 'true') === (operator === '=')
      return file => file.trashed === wanted
    }
    if (!value.startsWith("'")) throw invalid()
    const text = textOf(value)
    if (field === 'name' || field === 'mimeType') return textTest(field, operator, text)
    if (field === 'createdTime' || field === 'modifiedTime') return timeTest(field, operator, text)
    throw invalid()
  }

  function readProperty(group: 'appProperties' | 'properties'): FileTest {
    expect('{')
    expect('key')
    expect('=')
    const key = textOf(next())
    expect('and')
    expect('value')
    expect('=')
    const value = textOf(next())
    expect('}')
    return file => file[group][key] === value
  }

  function next(): string {
    const token = tokens[at++]
    if (token === undefined) throw invalid()
    return token
  }

  function expect(token: string): void {
    if (next() !== token) throw invalid()
  }
}

function tokenize(q: string): string[] {
  const tokens: string[] = []
  const pattern = /\s*('(?:\\.|[^'\\])*'|!=|<=|>=|[=<>(){}]|\w+)\s*/y
  while (pattern.lastIndex < q.length) {
    const found = pattern.exec(q)
    if (!found?.[1]) throw invalid()
    tokens.push(found[1])
  }
  return tokens
}

function textOf(token: string): string {
  if (!token.startsWith("'")) throw invalid()
  return token.slice(1, -1).replaceAll(/\\(.)/g, '$1')
}

function textTest(field: 'name' | 'mimeType', operator: string, text: string): FileTest {
  switch (operator) {
    case '=':
      return file => file[field] === text
    case '!=':
      return file => file[field] !== text
    case 'contains':
      // Drive matches the beginnings of words, in any case.
      return file =>
        ` ${file[field].toLowerCase()}`
          .replaceAll(/[\s_./-]/g, ' ')
          .includes(` ${text.toLowerCase().replaceAll(/[\s_./-]/g, ' ')}`)
    default:
      throw invalid()
  }
}

function timeTest(field: 'createdTime' | 'modifiedTime', operator: string, text: string): FileTest {
  const limitMs = Date.parse(text)
  const tests: Record<string, FileTest> = {
    '=': file => Date.parse(file[field]) === limitMs,
    '!=': file => Date.parse(file[field]) !== limitMs,
    '<': file => Date.parse(file[field]) < limitMs,
    '<=': file => Date.parse(file[field]) <= limitMs,
    '>': file => Date.parse(file[field]) > limitMs,
    '>=': file => Date.parse(file[field]) >= limitMs,
  }
  const test = tests[operator]
  if (!test || Number.isNaN(limitMs)) throw invalid()
  return test
}

function invalid(): GoogleError {
  return new GoogleError(400, 'Invalid Value', {
    reason: 'invalid',
    location: { type: 'parameter', name: 'q' },
  })
}
