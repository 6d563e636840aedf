import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { WEBHOOK_EVENT_TYPES } from '../../db/webhooks.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')
const block = (language: string, containing: string) => {
  const blocks = [...page.matchAll(/```(\w+)\n(.*?)```/gs)]
  const [, , code] = blocks.find(([, name, text]) => name === language && text?.includes(containing)) ?? []
  if (!code) throw new Error(`docs/webhooks.md has no such block of ${language}`)
  return code
}
const secret = `whsec_${randomBytes(32).toString('base64')}`

test('the page tells of every event', () => {
  for (const type of WEBHOOK_EVENT_TYPES) expect(page).toContain(`\`${type}\``)
})

test('the JavaScript of the page takes what is signed, also among other signatures, and nothing else', async () => {
  const source = `data:text/javascript,${encodeURIComponent(block('js', 'verify('))}`
  const { verify } = await import(/* @vite-ignore */ source)
  const body = '{"topic":"Comité"}'
  const now = new Date()
  const headersAt = (at: Date, by = secret) => ({
    'webhook-id': 'evt_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': `v1,AAAA v2,x ${new Webhook(by).sign('evt_1', at, body)}`,
  })
  expect(verify(secret, headersAt(now), body)).toEqual({ topic: 'Comité' })
  expect(verify(secret, headersAt(now), `${body} `)).toBeUndefined()
  expect(verify(secret, headersAt(now, `whsec_${randomBytes(32).toString('base64')}`), body)).toBeUndefined()
  expect(verify(secret, headersAt(new Date(now.getTime() - 600_000)), body)).toBeUndefined()
  expect(verify(secret, {}, body)).toBeUndefined()
})
