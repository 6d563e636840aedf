import { expect, test } from 'vitest'
import { openApiDocument } from '../../api/openapi.ts'
import { operationsOf } from '../../api/openapi-document.ts'
import { openGoogle } from '../../sandbox/google/test-google.ts'
import { fuzz } from './run.ts'

const REQUESTS = 1000
// `npm run fuzz` takes another seed each time, and many more requests.
const SEED = 1
const LIMIT_MS = 600_000

test(
  'made-up requests, good and broken, are answered as the OpenAPI document says, and tell nothing of others',
  async () => {
    await using google = await openGoogle()
    const report = await fuzz(google, { requests: REQUESTS, seed: SEED })
    expect(report.defects).toEqual([])
    expect(report.foreignUntouched).toBe(true)
    expect(report.requests).toBeGreaterThanOrEqual(REQUESTS)
    const operations = operationsOf(openApiDocument()).map(({ operation }) => operation.operationId)
    expect(Object.keys(report.answers).sort()).toEqual(operations.sort())
    for (const operation of ['createMeeting', 'changeMeeting', 'listMeetings', 'createWebhook', 'createKey'])
      expect(Object.keys(report.answers[operation] ?? {}).some(status => status.startsWith('2'))).toBe(true)
  },
  LIMIT_MS,
)
