import { createHash } from 'node:crypto'

export type Account = { email: string; name: string }

/** Cookies that mean a Google session: meet-web-facts.md §3.5. */
const sessionCookies = [
  'SID',
  'HSID',
  'SSID',
  'APISID',
  'SAPISID',
  '__Secure-1PSID',
  '__Secure-3PSID',
  'LSID',
]
const sessionMaxAgeSeconds = 20 * 24 * 3600

/**
 * Who is signed in, read from and written to cookies. The SID cookie itself carries the account, so that a
 * profile signed in once stays signed in when the sandbox is started again.
 */
export class Accounts {
  readonly #expired = new Set<string>()

  /** Ends the sessions of an account on the server only: its cookies stay, as when Google asks again. */
  expire(email: string): void {
    this.#expired.add(email.toLowerCase())
  }

  /** The account of a request's `Cookie` header; `null` for a guest or an expired session. */
  signedIn(cookieHeader: string | undefined): Account | null {
    const account = accountInCookies(cookieHeader)
    return account === null || this.#expired.has(account.email.toLowerCase()) ? null : account
  }

  /** `Set-Cookie` values that sign the account in, as persistent cookies. */
  signIn(account: Account): string[] {
    this.#expired.delete(account.email.toLowerCase())
    const value = Buffer.from(JSON.stringify(account)).toString('base64url')
    return sessionCookies.map(name => cookie(name, name === 'SID' ? value : sessionToken(name, value)))
  }

  signOut(): string[] {
    return sessionCookies.map(name => cookie(name, '', 0))
  }

  /**
   * The body of accounts.google.com/ListAccounts as Chromium's gaia code reads it: index 3 is the e-mail,
   * 9 says whether the session is still valid, 10 is the account's id.
   */
  listAccounts(cookieHeader: string | undefined): unknown[] {
    const account = accountInCookies(cookieHeader)
    if (account === null) return ['gaia.l.a.r', []]
    const valid = this.signedIn(cookieHeader) === null ? 0 : 1
    const row = ['gaia.l.a', 1, account.name, account.email, '', 1, 1, 0, null, valid, gaiaId(account.email)]
    return ['gaia.l.a.r', [row]]
  }
}

function accountInCookies(cookieHeader: string | undefined): Account | null {
  const sid = /(?:^|;\s*)SID=([A-Za-z0-9_-]+)/.exec(cookieHeader ?? '')?.[1]
  if (sid === undefined) return null
  try {
    const account = JSON.parse(Buffer.from(sid, 'base64url').toString('utf8')) as Partial<Account>
    return account.email && account.name ? { email: account.email, name: account.name } : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function cookie(name: string, value: string, maxAgeSeconds = sessionMaxAgeSeconds): string {
  const domain = name === 'LSID' ? '' : '; Domain=.google.com'
  const scriptMayRead = name === 'APISID' || name === 'SAPISID' || name === 'SID'
  return `${name}=${value}${domain}; Path=/; Max-Age=${maxAgeSeconds}; Secure${scriptMayRead ? '' : '; HttpOnly'}; SameSite=None`
}

function sessionToken(name: string, value: string): string {
  return createHash('sha256').update(`${name}:${value}`).digest('base64url')
}

function gaiaId(email: string): string {
  return (
    BigInt(`0x${createHash('sha256').update(email).digest('hex').slice(0, 16)}`) %
    10n ** 21n
  ).toString()
}
