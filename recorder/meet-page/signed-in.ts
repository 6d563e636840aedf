// Who is signed in to Google in this profile, read before joining: cookies prove nothing (meet-web-facts.md §3.5).
import type { Page } from 'puppeteer-core'
import { withTimeout } from '../../clock.ts'
import type { Log } from '../../log.ts'

/** Chromium's own question about the accounts in its cookie jar (google_apis/gaia/gaia_urls.cc). */
const LIST_ACCOUNTS_URL =
  'https://accounts.google.com/ListAccounts?gpsia=1&source=ChromiumBrowser&json=standard'
const LIMIT_MS = 10_000

/** Accounts whose session is valid, in Google's order (the position is `authuser`), or `unknown`. */
export type SignedIn =
  | { kind: 'accounts'; accounts: { email: string; position: number; name: string | null }[] }
  | { kind: 'unknown' }

/**
 * Reads the answer as Chromium's gaia_auth_util.cc does: `["gaia.l.a.r", [["gaia.l.a", 1, name, e-mail, …]]]`, where
 * index 9 = 0 is a session that wants a new sign-in and index 14 = 1 an account that was signed out.
 * Returns null when the text is not that.
 */
export function parseListAccounts(text: string): SignedIn | null {
  let answer: unknown
  try {
    // Google puts `)]}'` before JSON that a foreign page must not be able to run as a script.
    answer = JSON.parse(text.replace(/^\s*\)\]\}'/, ''))
  } catch {
    return null
  }
  if (!Array.isArray(answer) || !Array.isArray(answer[1])) return null
  const accounts = answer[1].flatMap((account: unknown, position) => {
    if (!Array.isArray(account) || typeof account[3] !== 'string' || account[3] === '') return []
    const name = typeof account[2] === 'string' && account[2] !== '' ? account[2] : null
    return account[9] === 0 || account[14] === 1 ? [] : [{ email: account[3], position, name }]
  })
  return { kind: 'accounts', accounts }
}

/** Asks in the meeting's own tab, which it takes away from where it is. Never throws. */
export async function readAccounts(page: Page, log: Log): Promise<SignedIn> {
  try {
    const response = await page.goto(LIST_ACCOUNTS_URL, { waitUntil: 'domcontentloaded', timeout: LIMIT_MS })
    const parsed = response?.ok()
      ? parseListAccounts(await withTimeout(response.text(), LIMIT_MS, 'reading accounts'))
      : null
    if (parsed) return parsed
    // Chromium itself asks by POST; from this page that is a question to the same origin.
    const posted = await withTimeout(
      page.evaluate(
        async url => (await fetch(url, { method: 'POST', credentials: 'include' })).text(),
        LIST_ACCOUNTS_URL,
      ),
      LIMIT_MS,
      'reading accounts',
    )
    return parseListAccounts(posted) ?? { kind: 'unknown' }
  } catch (error) {
    log.warn({ error }, 'Google did not say who is signed in')
    return { kind: 'unknown' }
  }
}

/** E-mail addresses compared as Google does for accounts: case aside, and dots too for gmail.com. */
export function isSameAccount(left: string, right: string): boolean {
  return canonical(left) === canonical(right)
}

function canonical(email: string): string {
  const [name = '', domain = ''] = email.trim().toLowerCase().split('@')
  return domain === 'gmail.com' ? `${name.replaceAll('.', '')}@${domain}` : `${name}@${domain}`
}
