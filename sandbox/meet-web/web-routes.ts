import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Accounts } from './accounts.ts'
import * as documents from './documents.ts'
import { pageLanguage } from './language.ts'
import type { Meeting } from './meeting.ts'

export type WebState = { accounts: Accounts; meeting: (code: string) => Meeting | undefined }

/** Answers what a browser asks of meet.google.com. */
export function answerMeet(
  state: WebState,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): void {
  const account = state.accounts.signedIn(request.headers.cookie)
  const code = meetingCode(url.pathname)
  const meeting = code === null ? undefined : state.meeting(code)
  const forced = meeting?.settings.language ?? null
  const language = pageLanguage(forced, url.searchParams.get('hl'), request.headers['accept-language'])
  if (code === null) {
    if (['/', '/home', '/landing'].includes(url.pathname)) {
      send(response, documents.landingDocument(language, account !== null))
    } else sendNotFound(response)
  } else if (meeting?.settings.opensWith === 'sign-in' && account === null) {
    const query = new URLSearchParams({ continue: url.href, hl: language, flowName: 'GlifWebSignIn' })
    response.writeHead(302, { location: `https://accounts.google.com/v3/signin/identifier?${query}` }).end()
  } else send(response, documents.meetingDocument(code, language))
}

/** Answers what a browser asks of accounts.google.com. */
export function answerAccounts(
  { accounts }: WebState,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): void {
  const goOn = url.searchParams.get('continue')
  const language = pageLanguage(null, url.searchParams.get('hl'), request.headers['accept-language'])
  if (url.pathname === '/ListAccounts') {
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
    response.end(JSON.stringify(accounts.listAccounts(request.headers.cookie)))
  } else if (url.pathname === '/_sandbox/sign-in') {
    const email = url.searchParams.get('email') ?? ''
    const name = url.searchParams.get('name') || email.split('@')[0] || ''
    if (!email.includes('@')) {
      response.writeHead(400).end('sign-in needs ?email=…&name=…')
      return
    }
    const headers = { 'set-cookie': accounts.signIn({ email, name }) }
    if (goOn !== null && /^https:\/\/(meet|accounts)\.google\.com\//.test(goOn)) {
      response.writeHead(302, { ...headers, location: goOn }).end()
    } else send(response, documents.accountDocument(name, email), headers)
  } else if (url.pathname === '/_sandbox/sign-out' || url.pathname === '/Logout') {
    send(response, documents.landingDocument(language, false), { 'set-cookie': accounts.signOut() })
  } else if (url.pathname === '/' && accounts.signedIn(request.headers.cookie) !== null) {
    const account = accounts.signedIn(request.headers.cookie)
    send(response, documents.accountDocument(account?.name ?? '', account?.email ?? ''))
  } else if (/^\/($|ServiceLogin|v3\/signin|signin|AccountChooser)/.test(url.pathname)) {
    send(response, documents.signInDocument(goOn ?? 'https://meet.google.com/', language))
  } else sendNotFound(response)
}

/** The meeting code in an address: any word of letters, digits and dashes that is not a route of the app. */
function meetingCode(pathname: string): string | null {
  const code =
    /^\/([a-z]{3}-[a-z]{4}-[a-z]{3}|(?!home$|landing$|error$|whoops$|unsupported$)[a-zA-Z0-9-]{3,})$/.exec(
      pathname,
    )
  return code?.[1] ?? null
}

function send(response: ServerResponse, body: string, headers: Record<string, string | string[]> = {}): void {
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(body)
}

export function sendNotFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain' }).end('not found')
}
