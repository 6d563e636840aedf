import { GoogleFault } from './fault.ts'

/** Who asked for which token: what the sentence of a refusal has to name. */
export interface TokenWish {
  serviceAccount: string
  subject: string
  scopes: readonly string[]
}

/**
 * Turns a refusal of the token endpoint into a sentence that says what to fix. None of these goes away by itself
 * (google-apis.md §5.1); faults that are no refusal (network, 5xx) are handed back as they are.
 */
export function explainTokenFault(fault: GoogleFault, wish: TokenWish): GoogleFault {
  if (fault.retryable || fault.httpStatus === undefined) return fault
  const { reason, sentence } = explain(fault, wish)
  return new GoogleFault(
    { service: 'token', code: 'misconfigured', httpStatus: fault.httpStatus, reason },
    `Google gives no token for ${wish.subject}: ${sentence}`,
  )
}

function explain(fault: GoogleFault, wish: TokenWish): { reason: string; sentence: string } {
  const scopes = wish.scopes.join(', ')
  switch (fault.reason) {
    case 'unauthorized_client':
    case 'access_denied':
      return {
        reason: 'delegation_missing',
        sentence: `domain-wide delegation is missing for the service account ${wish.serviceAccount} or does not list every scope. In the Admin console, under Security → API controls → Domain-wide delegation, add the account's numeric client id with the scopes ${scopes}; a change can take up to 24 hours.`,
      }
    case 'admin_policy_enforced':
      return {
        reason: 'admin_policy',
        sentence: `the domain's administrator blocks one of the scopes ${scopes}. Allow the app under Security → API controls.`,
      }
    case 'invalid_scope':
      return { reason: 'scope_refused', sentence: `Google does not know one of the scopes ${scopes}.` }
    case 'invalid_grant':
      return explainGrant(fault.message, wish)
    default:
      return {
        reason: 'client_refused',
        sentence: `the service account ${wish.serviceAccount} was refused (${fault.reason ?? fault.httpStatus}). Check that it exists and is enabled in Google Cloud.`,
      }
  }
}

function explainGrant(message: string, wish: TokenWish): { reason: string; sentence: string } {
  if (/signature/i.test(message))
    return {
      reason: 'key_refused',
      sentence: `the key of ${wish.serviceAccount} is wrong or was deleted. Make a new key and set TESTIGO_GOOGLE_KEY_FILE to it.`,
    }
  if (/short-lived|timeframe|iat and exp/i.test(message))
    return {
      reason: 'clock_wrong',
      sentence:
        "this machine's clock is wrong. Set it by NTP; Google accepts a few minutes of difference at most.",
    }
  if (/account not found/i.test(message))
    return {
      reason: 'client_refused',
      sentence: `the service account ${wish.serviceAccount} does not exist. Check TESTIGO_GOOGLE_KEY_FILE or TESTIGO_GOOGLE_SERVICE_ACCOUNT.`,
    }
  if (/audience/i.test(message))
    return {
      reason: 'audience_refused',
      sentence:
        'the token endpoint does not accept its own address as audience. Check TESTIGO_GOOGLE_TOKEN_URL.',
    }
  return {
    reason: 'unknown_subject',
    sentence: `there is no such user in the Workspace. Check TESTIGO_GOOGLE_ORGANIZER and TESTIGO_GOOGLE_DRIVE_USER.`,
  }
}
