import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { type Address, checkedAddresses, DestinationRefused, type Resolve } from './destination.ts'

/** Why a post counts as failed. */
export const POST_ERRORS = [
  'timed_out',
  'address_refused',
  'name_not_resolved',
  'connection_failed',
  'tls_failed',
  'bad_answer',
  'redirected',
  'gone',
  'not_accepted',
] as const
export type PostError = (typeof POST_ERRORS)[number]

/** How a post went. `error` is null for an answer of 200 to 299 only. */
export interface Posted {
  durationMs: number
  status: number | null
  error: PostError | null
  /** The first {@link ANSWER_BYTES} of the answer's body as text; null where no answer came. */
  answer: string | null
}

export interface PostOptions {
  timeoutMs: number
  allowPrivate: boolean
  resolve: Resolve
  /** Aborted when the process stops: the post then rejects with the signal's reason. */
  signal: AbortSignal
}

const ANSWER_BYTES = 1024
// The status decides; a body that does not end is not waited for.
const ANSWER_BODY_MS = 2000

/**
 * Posts a body within a limit of wall clock, from the look-up of the name to the answer. Follows no redirect, keeps no
 * connection, goes to checked addresses only.
 */
export async function post(
  to: { url: string; headers: Record<string, string>; body: string },
  options: PostOptions,
): Promise<Posted> {
  const startedAt = performance.now()
  const limit = AbortSignal.timeout(options.timeoutMs)
  const signal = AbortSignal.any([limit, options.signal])
  const outcome = await attempt(to, options, signal).catch((error: unknown) => {
    if (options.signal.aborted) throw options.signal.reason
    return { status: null, answer: null, error: limit.aborted ? ('timed_out' as const) : errorOf(error) }
  })
  return { ...outcome, durationMs: Math.round(performance.now() - startedAt) }
}

async function attempt(
  { url: text, headers, body }: Parameters<typeof post>[0],
  { allowPrivate, resolve }: PostOptions,
  signal: AbortSignal,
): Promise<Omit<Posted, 'durationMs'>> {
  const url = new URL(text)
  const addresses = await unlessAborted(checkedAddresses(url, allowPrivate, resolve), signal)
  const payload = Buffer.from(body)
  const response = await send(
    url,
    {
      method: 'POST',
      headers: { ...headers, 'content-length': payload.length },
      // One connection for one post: a kept one could outlive the check of its address.
      agent: false,
      lookup: onlyTo(addresses),
      signal,
    },
    payload,
  )
  try {
    return { ...verdictOn(response.statusCode ?? 0), answer: await beginningOf(response) }
  } finally {
    response.destroy()
  }
}

function verdictOn(status: number): { status: number; error: PostError | null } {
  if (status >= 200 && status < 300) return { status, error: null }
  if (status >= 300 && status < 400) return { status, error: 'redirected' }
  return { status, error: status === 410 ? 'gone' : 'not_accepted' }
}

function send(url: URL, options: RequestOptions, payload: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options)
    // Stays for errors after the answer began, which change nothing any more.
    request.on('error', reject)
    request.once('response', resolve)
    // A connection that was closed with neither, as after an answer of 101.
    request.once('close', () => reject(new Error('closed without an answer')))
    request.end(payload)
  })
}

/** A look-up that answers with addresses that were looked up, and checked, before. */
function onlyTo(addresses: Address[]): LookupFunction {
  return (_name, options, callback) => {
    const [first] = addresses
    if (options.all) callback(null, addresses)
    else callback(null, first?.address ?? '', first?.family ?? 4)
  }
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  const enough = new Promise<void>(resolve => {
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size >= ANSWER_BYTES) resolve()
    })
    for (const end of ['end', 'error', 'close'] as const) response.on(end, () => resolve())
  })
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>(resolve => {
    timer = setTimeout(resolve, ANSWER_BODY_MS)
  })
  await Promise.race([enough, limit])
  clearTimeout(timer)
  const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, ANSWER_BYTES))
  // PostgreSQL keeps no NUL.
  return text.replaceAll('\0', '\uFFFD')
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function errorOf(error: unknown): PostError {
  if (error instanceof DestinationRefused) return error.code
  const { code = '', syscall } = error as NodeJS.ErrnoException
  if (syscall === 'getaddrinfo' || syscall?.startsWith('query')) return 'name_not_resolved'
  if (code.startsWith('HPE_')) return 'bad_answer'
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)) return 'tls_failed'
  return 'connection_failed'
}
