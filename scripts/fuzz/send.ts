import { Agent, request } from 'node:http'
import { type Ask, filledIn, fillPath, type References } from './ask.ts'

const LIMIT_MS = 120_000

/** An answer, unread. */
export interface RawAnswer {
  status: number
  /** Names in small letters. */
  headers: Record<string, string>
  text: string
}

/** What went over the wire. */
export interface RawRequest {
  method: string
  target: string
  headers: Record<string, string>
  payload: string | undefined
}

/** What is sent for an {@link Ask}. @param credential of its caller; undefined: none is sent */
export function writeRequest(ask: Ask, credential: string | undefined, references: References): RawRequest {
  const fill = (text: string) => filledIn(text, references)
  const path = fillPath(
    ask.path,
    ask.ids.map(id => encodeURIComponentOf(fill(id))),
  )
  const search = ask.query
    .map(([name, value]) => `${encodeURIComponentOf(name)}=${encodeURIComponentOf(fill(value))}`)
    .join('&')
  const payload = ask.text ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body))
  return {
    method: ask.method,
    target: search ? `${path}?${search}` : path,
    headers: {
      ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
      ...(payload !== undefined && { 'content-type': 'application/json' }),
      ...Object.fromEntries(Object.entries(ask.headers).map(([name, value]) => [name, fill(value)])),
    },
    payload: payload === undefined ? undefined : fill(payload),
  }
}

/** What begins with `raw:` is put into the address as it is. Half characters cannot be written there. */
function encodeURIComponentOf(text: string): string {
  if (text.startsWith('raw:')) return text.slice(4)
  return encodeURIComponent(text.toWellFormed())
}

/** The status of an answer that did not come; its text says why. */
export const NO_ANSWER = 0

/** Sends requests over a few connections that are kept open. */
export function openClient(url: string) {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const sendOnce = ({
    method,
    target,
    headers,
    payload,
  }: RawRequest): Promise<RawAnswer & { again?: boolean }> =>
    new Promise(resolve => {
      const fail = (error: NodeJS.ErrnoException) =>
        resolve({
          status: NO_ANSWER,
          headers: {},
          text: error.message,
          // The server had closed a connection that nobody used.
          again: sent.reusedSocket && error.code === 'ECONNRESET',
        })
      const bytes = payload === undefined ? undefined : Buffer.from(payload)
      const sent = request(
        {
          hostname,
          port,
          agent,
          method,
          path: target,
          headers: { ...headers, ...(bytes && { 'content-length': bytes.length }) },
          signal: AbortSignal.timeout(LIMIT_MS),
        },
        response => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('error', fail)
          response.once('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: Object.fromEntries(
                Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
              ),
              text: Buffer.concat(parts).toString('utf8'),
            }),
          )
        },
      )
      sent.on('error', fail)
      sent.end(bytes)
    })
  const send = async (asked: RawRequest): Promise<RawAnswer> => {
    const answer = await sendOnce(asked)
    return answer.again ? sendOnce(asked) : answer
  }
  return { send, close: () => agent.destroy() }
}
