import type { NextFunction, Response } from 'express'
import { withTimeout } from '../../clock.ts'

/** An answer that is ready and has not been sent. */
export interface HeldAnswer {
  status: number
  body: string
  headers: Record<string, string>
  /** Sends it. */
  send(): void
  /** Forgets it, so that another can be given in its place. */
  drop(): void
}

// What tells of the resource; the others tell of the request that brought the answer.
const REPEATED = ['content-type', 'location', 'etag']

/**
 * Lets a request be answered and holds the answer back. What Express sends goes through `end` in one piece.
 * @param limitMs how long the answer may take; undefined: as long as it takes
 * @throws {TimedOut}
 */
export async function holdAnswer(
  response: Response,
  next: NextFunction,
  limitMs: number | undefined,
): Promise<HeldAnswer> {
  const { promise, resolve } = Promise.withResolvers<HeldAnswer>()
  const end = response.end
  const letGo = () => {
    response.end = end
  }
  response.end = ((chunk?: unknown, encoding?: unknown) => {
    const isBody = typeof chunk === 'string' || Buffer.isBuffer(chunk)
    resolve({
      status: response.statusCode,
      body: isBody ? chunk.toString() : '',
      headers: Object.fromEntries(
        REPEATED.flatMap(name =>
          response.hasHeader(name) ? [[name, String(response.getHeader(name))]] : [],
        ),
      ),
      send() {
        letGo()
        if (isBody) response.end(chunk, encoding as BufferEncoding)
        else response.end()
      },
      drop() {
        letGo()
        for (const name of [...REPEATED, 'content-length']) response.removeHeader(name)
      },
    })
    return response
  }) as Response['end']
  next()
  try {
    return await (limitMs === undefined ? promise : withTimeout(promise, limitMs, 'answering a request'))
  } catch (error) {
    letGo()
    throw error
  }
}
