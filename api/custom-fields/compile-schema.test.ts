import { describe, expect, it } from 'vitest'
import { TookTooLong } from '../time-limit.ts'
import { compileSchema } from './compile-schema.ts'
import type { JsonObject } from './judge-schema.ts'

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    sede: { type: 'string', enum: ['Bogotá', 'Cali'] },
    caso: { type: 'integer', minimum: 1 },
    fecha: { type: 'string', format: 'date' },
    partes: { type: 'array', maxItems: 3, items: { $ref: '#/$defs/parte' } },
  },
  required: ['sede'],
  additionalProperties: false,
  $defs: { parte: { type: 'object', properties: { nombre: { type: 'string' } }, required: ['nombre'] } },
}

function faultsOf(schema: JsonObject, fields: JsonObject) {
  const compiled = compileSchema(schema)
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults))
  return compiled.check(fields)
}

function schemaFaults(schema: JsonObject) {
  const compiled = compileSchema(schema)
  return 'faults' in compiled ? compiled.faults : []
}

const withProperty = (property: unknown) => ({ type: 'object', properties: { a: property } })

describe('custom fields', () => {
  it('that follow the schema are good, whatever was checked before', () => {
    const compiled = compileSchema(SCHEMA)
    if (!('check' in compiled)) throw new Error('refused')
    const good = { sede: 'Bogotá', caso: 17, fecha: '2026-11-23', partes: [{ nombre: 'Ana' }] }
    expect(compiled.check(good)).toEqual([])
    expect(compiled.check({})).toHaveLength(1)
    expect(compiled.check(good)).toEqual([])
  })

  it('that do not are named one by one, where callers look for them', () => {
    const fields = { caso: 0, fecha: '23/11', partes: [{ nombre: 'Ana' }, {}], otro: 1 }
    expect(faultsOf(SCHEMA, fields)).toEqual(
      expect.arrayContaining([
        { path: 'customFields.sede', code: 'missing_field', message: 'is missing' },
        {
          path: 'customFields.otro',
          code: 'unknown_field',
          message: "is not a field of the organisation's schema",
        },
        { path: 'customFields.caso', code: 'invalid_field', message: 'must be >= 1' },
        { path: 'customFields.fecha', code: 'invalid_field', message: 'must match format "date"' },
        { path: 'customFields.partes[1].nombre', code: 'missing_field', message: 'is missing' },
      ]),
    )
    expect(faultsOf(SCHEMA, { sede: 'Quito' })).toEqual([
      { path: 'customFields.sede', code: 'invalid_field', message: 'must be one of "Bogotá","Cali"' },
    ])
  })

  it('whose names are those of every object are no exception', () => {
    expect(faultsOf(SCHEMA, { sede: 'Cali', constructor: 1 })).toMatchObject([{ code: 'unknown_field' }])
    const required = { ...withProperty({ type: 'string' }), required: ['a'] }
    expect(faultsOf(required, Object.create({ a: 'inherited' }))).toMatchObject([{ code: 'missing_field' }])
  })

  it('are given up when a pattern of the schema takes for ever', () => {
    const slow = withProperty({ type: 'string', pattern: '^(a+)+$' })
    expect(faultsOf(slow, { a: 'aaa' })).toEqual([])
    const began = performance.now()
    expect(() => faultsOf(slow, { a: `${'a'.repeat(60)}!` })).toThrow(TookTooLong)
    expect(performance.now() - began).toBeLessThan(5000)
  })

  it('are given up when a schema doubles its work at every step', () => {
    const $defs: JsonObject = { d30: { type: 'string', minLength: 2 } }
    for (let at = 0; at < 30; at++)
      $defs[`d${at}`] = { anyOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] }
    const doubling = { ...withProperty({ $ref: '#/$defs/d0' }), $defs }
    expect(() => faultsOf(doubling, { a: 'x' })).toThrow(TookTooLong)
  })
})

describe('a schema is refused', () => {
  it.each([
    ['that is of no object', { type: 'array' }, 'schema.type'],
    ['without a type', { properties: {} }, 'schema.type'],
    [
      'of another draft',
      { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' },
      'schema.$schema',
    ],
    [
      'that refers to elsewhere',
      withProperty({ $ref: 'https://example.com/a.json' }),
      'schema.properties.a.$ref',
    ],
    ['that has a name of its own', withProperty({ $id: 'https://example.com/a' }), 'schema.properties.a.$id'],
    ['that answers later', { type: 'object', $async: true }, 'schema.$async'],
    ['that refers to nothing', withProperty({ $ref: '#/$defs/none' }), 'schema'],
    ['with a keyword that is none', withProperty({ type: 'string', maxLenght: 3 }), 'schema'],
    ['with a format that is none', withProperty({ type: 'string', format: 'colour' }), 'schema'],
    ['with a pattern that is none', withProperty({ type: 'string', pattern: '(' }), 'schema'],
    ['with a type that is none', withProperty({ type: 'text' }), 'schema'],
    ['that requires what it does not know', { type: 'object', required: ['b'] }, 'schema'],
    [
      'that is itself and nothing else',
      { ...withProperty({ $ref: '#/$defs/a' }), $defs: { a: { $ref: '#/$defs/a' } } },
      'schema',
    ],
    ['that is too large', withProperty({ type: 'string', description: 'x'.repeat(40_000) }), 'schema'],
    ['of too many parts', withProperty({ enum: Array.from({ length: 2500 }, (_, at) => at) }), 'schema'],
  ])('%s', (_, schema, path) => {
    const faults = schemaFaults(schema)
    expect(faults[0]).toMatchObject({ path, code: 'bad_schema' })
    expect(faults[0]?.message).not.toBe('')
  })

  it('that is too deep', () => {
    let deep: JsonObject = { type: 'string' }
    for (let at = 0; at < 20; at++) deep = { type: 'object', properties: { a: deep } }
    expect(schemaFaults(deep)[0]?.message).toBe('is more than 24 levels deep')
  })

  it('and leaves nothing behind that would spoil the next one', () => {
    schemaFaults(withProperty({ $ref: '#/$defs/none' }))
    expect(schemaFaults(withProperty({ type: 'string' }))).toEqual([])
  })
})
