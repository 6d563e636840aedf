import { auth as accounts, calendar, type calendar_v3 } from 'googleapis/build/src/apis/calendar/index.js'
import { drive, type drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import { meet, type meet_v2 } from 'googleapis/build/src/apis/meet/index.js'
import { workspaceevents, type workspaceevents_v1 } from 'googleapis/build/src/apis/workspaceevents/index.js'
import { importPKCS8, SignJWT } from 'jose'
import type { GoogleSandbox } from './server.ts'

export interface AssertionOptions {
  subject?: string
  scopes: string[]
  /** Changes to the claims before signing. */
  claims?: Record<string, unknown>
  /** Extra fields of the header, beside `alg`. */
  header?: Record<string, string>
}

/** The scopes Testigo asks for (google-apis.md §5.4). */
export const usualScopes = [
  'calendar.events',
  'meetings.space.settings',
  'meetings.space.readonly',
  'drive',
].map(name => `https://www.googleapis.com/auth/${name}`)

/** Signs an assertion with the sandbox's key file, as Google's library does. */
export async function signAssertion(google: GoogleSandbox, options: AssertionOptions): Promise<string> {
  const { client_email, private_key } = google.keyFile
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: client_email,
    scope: options.scopes.join(' '),
    aud: 'https://oauth2.googleapis.com/token',
    iat: now,
    exp: now + 3600,
    ...(options.subject && { sub: options.subject }),
    ...options.claims,
  }
  const key = await importPKCS8(private_key, 'RS256')
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', ...options.header }).sign(key)
}

/** Asks the sandbox's token endpoint and returns its answer as it came. */
export function askToken(google: GoogleSandbox, assertion: string): Promise<Response> {
  return fetch(google.baseUrls.token, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }),
  })
}

/** An access token for a user of the domain, or for the bare service account without a subject. */
export async function accessToken(
  google: GoogleSandbox,
  subject?: string,
  scopes = usualScopes,
): Promise<string> {
  const answer = await askToken(google, await signAssertion(google, { scopes, ...(subject && { subject }) }))
  const body = (await answer.json()) as { access_token?: string }
  if (!body.access_token) throw new Error(`No access token: ${JSON.stringify(body)}`)
  return body.access_token
}

/** Google's official clients for one user, pointed at the sandbox and without retries of their own. */
export async function officialClients(
  google: GoogleSandbox,
  subject?: string,
  scopes = usualScopes,
): Promise<{
  calendar: calendar_v3.Calendar
  drive: drive_v3.Drive
  meet: meet_v2.Meet
  events: workspaceevents_v1.Workspaceevents
  token: string
}> {
  const auth = new accounts.OAuth2()
  const token = await accessToken(google, subject, scopes)
  auth.setCredentials({ access_token: token })
  const options = { auth, rootUrl: `${google.url}/`, retry: false }
  return {
    calendar: calendar({ version: 'v3', ...options }),
    drive: drive({ version: 'v3', ...options }),
    meet: meet({ version: 'v2', ...options }),
    events: workspaceevents({ version: 'v1', ...options }),
    token,
  }
}

/** The HTTP status and reason of a failed call of the official client. */
export async function failureOf(
  call: Promise<unknown>,
): Promise<{ status: number; reason: string; message: string }> {
  try {
    await call
  } catch (error) {
    const { response } = error as { response?: { status: number; data: unknown } }
    if (!response) throw error
    const { error: body } = response.data as {
      error: { message: string; status?: string; errors?: { reason: string }[] }
    }
    return {
      status: response.status,
      reason: body.errors?.[0]?.reason ?? body.status ?? '',
      message: body.message,
    }
  }
  throw new Error('The call was expected to fail and did not')
}
