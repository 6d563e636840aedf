import type { IncomingMessage } from 'node:http'
import { GoogleError } from './errors.ts'

/** Metadata bodies are small; media goes through upload sessions, which stream. */
const mostBytes = 5 * 1024 * 1024

/** The body of a request as text; more than 5 MiB is 413. */
export async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let sizeBytes = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    sizeBytes += piece.length
    if (sizeBytes > mostBytes)
      throw new GoogleError(413, 'Request Entity Too Large', { reason: 'uploadTooLarge' })
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** The JSON object in a request; an empty body is an empty object, broken JSON is 400 `parseError`. */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const text = await readText(request)
  if (text === '') return {}
  const failure = new GoogleError(400, 'Parse Error', { reason: 'parseError' })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    failure.cause = cause
    throw failure
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw failure
  return value as Record<string, unknown>
}
