import type { IncomingMessage, ServerResponse } from 'node:http'
import { UnknownWishError } from './create-meeting.ts'
import type { Meeting } from './meeting.ts'
import { type DialogKind, dialogKinds } from './scenarios.ts'
import type { MeetWeb } from './server.ts'

type Body = Record<string, unknown>

/** What `POST /_sandbox/meetings/:code/<action>` does. */
const actions: Record<string, (meeting: Meeting, body: Body) => void> = {
  invite: (meeting, body) => meeting.invite(needed(body, 'email')),
  admit: (meeting, body) => meeting.admit(text(body, 'name')),
  deny: (meeting, body) => meeting.deny(text(body, 'name')),
  remove: (meeting, body) => meeting.remove(text(body, 'name')),
  end: meeting => meeting.end(),
  'empty-call': meeting => meeting.emptyCall(),
  join: (meeting, body) => meeting.join({ ...body, name: needed(body, 'name') }),
  leave: (meeting, body) => meeting.leave(text(body, 'name')),
  change: (meeting, body) => meeting.change(needed(body, 'name'), body),
  dialog: (meeting, body) => meeting.showDialog(dialogKind(needed(body, 'kind')), body),
  'hide-dialog': (meeting, body) => {
    const kind = text(body, 'kind')
    meeting.hideDialog(kind === undefined ? undefined : dialogKind(kind))
  },
  toast: (meeting, body) => meeting.toast(needed(body, 'kind'), text(body, 'name')),
  caption: (meeting, body) => meeting.caption(needed(body, 'name'), needed(body, 'text')),
  chat: (meeting, body) => meeting.chat(needed(body, 'name'), needed(body, 'text')),
  freeze: (meeting, body) => {
    meeting.freeze(milliseconds(body))
  },
  'exhaust-memory': meeting => meeting.exhaustMemory(),
  'cut-media': meeting => meeting.cutMedia(),
  'restore-media': meeting => meeting.restoreMedia(),
  reload: meeting => meeting.reload(),
  'cut-network': (meeting, body) => meeting.cutNetwork(milliseconds(body)),
  'restore-network': meeting => meeting.restoreNetwork(),
}

/**
 * The control interface over HTTP, JSON in and out, for other processes:
 * `GET /_sandbox/info`, `POST /_sandbox/meetings`, `GET /_sandbox/meetings/:code`,
 * `GET /_sandbox/meetings/:code/wait?event=…&timeoutMs=…`, `POST /_sandbox/meetings/:code/<action>`,
 * `POST /_sandbox/accounts/expire` {email}, `POST /_sandbox/network/cut` {durationMs}, `POST /_sandbox/network/restore`.
 */
export async function answerControl(
  meetWeb: MeetWeb,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const [, , what = '', code = '', action = ''] = url.pathname.split('/')
  const route = `${request.method} ${what}`
  const body = request.method === 'POST' ? await readJson(request) : {}
  if (body === null) return reply(response, 400, { error: 'the body is not a JSON object' })
  if (route === 'GET info') {
    const hostName = url.hostname === 'meet.google.com' ? '127.0.0.1' : url.hostname
    return reply(response, 200, { port: meetWeb.port, chromiumArgs: meetWeb.chromiumArgsFor(hostName) })
  }
  if (route === 'POST accounts' && code === 'expire') {
    return answering(response, 200, () => {
      meetWeb.accounts.expire(needed(body, 'email'))
      return {}
    })
  }
  if (route === 'POST network' && (code === 'cut' || code === 'restore')) {
    await (code === 'cut' ? meetWeb.cutNetwork(milliseconds(body)) : meetWeb.restoreNetwork())
    return reply(response, 200, {})
  }
  if (route === 'POST meetings' && code === '') {
    return answering(response, 201, () => {
      const { code, url } = meetWeb.createMeeting(body)
      return { code, url }
    })
  }
  if (route === 'GET meetings' && code === '') {
    return reply(response, 200, { meetings: meetWeb.meetings.map(({ code, url }) => ({ code, url })) })
  }
  const meeting = meetWeb.meeting(code)
  if (what !== 'meetings' || meeting === undefined)
    return reply(response, 404, { error: `no meeting "${code}"` })
  if (request.method === 'GET')
    return action === 'wait' ? wait(meeting, url, response) : reply(response, 200, meeting.state())
  const act = actions[action]
  if (act === undefined) {
    return reply(response, 404, {
      error: `no action "${action}"; there are: ${Object.keys(actions).join(', ')}`,
    })
  }
  answering(response, 200, () => {
    act(meeting, body)
    return meeting.state()
  })
}

/** A wish that the sandbox does not know is the caller's mistake. */
function answering(response: ServerResponse, status: number, act: () => unknown): void {
  try {
    reply(response, status, act())
  } catch (error) {
    if (!(error instanceof UnknownWishError)) throw error
    reply(response, 400, { error: error.message })
  }
}

const longestWaitMs = 120_000

async function wait(meeting: Meeting, url: URL, response: ServerResponse): Promise<void> {
  const timeoutMs = Math.min(Number(url.searchParams.get('timeoutMs') ?? 30_000), longestWaitMs)
  const fromIndex = Number(url.searchParams.get('fromIndex') ?? 0)
  try {
    reply(response, 200, {
      event: await meeting.waitFor(url.searchParams.get('event') ?? '', timeoutMs, fromIndex),
    })
  } catch (error) {
    reply(response, 408, { error: (error as Error).message })
  }
}

function needed(body: Body, name: string): string {
  const value = text(body, name)
  if (value === undefined) throw new UnknownWishError(`the body needs "${name}", a text that is not empty`)
  return value
}

function dialogKind(kind: string): DialogKind {
  const known = dialogKinds.find(one => one === kind)
  if (known === undefined)
    throw new UnknownWishError(`no dialog "${kind}"; there are: ${dialogKinds.join(', ')}`)
  return known
}

function text(body: Body, name: string): string | undefined {
  const value = body[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function milliseconds({ durationMs }: Body): number | undefined {
  return typeof durationMs === 'number' ? durationMs : undefined
}

async function readJson(request: IncomingMessage): Promise<Body | null> {
  let raw = ''
  for await (const chunk of request) raw += String(chunk)
  if (raw === '') return {}
  try {
    const body: unknown = JSON.parse(raw)
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Body) : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}
