import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { StorageFault } from '../../storage/fault.ts'
import { checkStoredObjects } from './stored-objects.ts'

const bytes = Buffer.alloc(100_000, 'video')
const expected = (key: string) => ({
  what: 'segment' as const,
  key,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: bytes.length,
})
/** A download that is cut off after its first half. */
function broken(): Readable {
  return Readable.from(
    (async function* () {
      yield bytes.subarray(0, 50_000)
      throw Object.assign(new Error('cut'), { code: 'ECONNRESET' })
    })(),
  )
}

test('a download that breaks in its middle begins again, and what came of it does not count', async () => {
  let asked = 0
  const get = async () => (++asked === 1 ? broken() : Readable.from([bytes]))
  expect(await checkStoredObjects({ get }, [expected('a')])).toMatchObject([{ key: 'a', state: 'ok' }])
  expect(asked).toBe(2)
})

test('one that breaks again and again is not checked, and the rest is not waited for', async () => {
  const asked: string[] = []
  const get = async (key: string) => {
    asked.push(key)
    return broken()
  }
  const keys = Array.from({ length: 20 }, (_, number) => `${number}`)
  const findings = await checkStoredObjects({ get }, keys.map(expected))
  expect(findings.map(({ key, state }) => [key, state])).toEqual(keys.map(key => [key, 'not_checked']))
  expect(new Set(asked).size).toBeLessThanOrEqual(4)
})

test('four are downloaded at once, no more', async () => {
  let open = 0
  let most = 0
  const get = async () => {
    most = Math.max(most, ++open)
    const body = Readable.from([bytes])
    body.once('close', () => open--)
    return body
  }
  await checkStoredObjects(
    { get },
    Array.from({ length: 40 }, (_, number) => expected(`${number}`)),
  )
  expect(most).toBe(4)
})

test('what is not allowed is told from what is not there', async () => {
  const refuse = (code: 'forbidden' | 'not_found') => async () => {
    throw new StorageFault({ code, retryable: false }, `S3: ${code}`)
  }
  const one = [expected('a')]
  expect(await checkStoredObjects({ get: refuse('not_found') }, one)).toMatchObject([{ state: 'missing' }])
  expect(await checkStoredObjects({ get: refuse('forbidden') }, one)).toMatchObject([
    { state: 'not_checked', sentence: 'a was not looked at. S3: forbidden' },
  ])
})
