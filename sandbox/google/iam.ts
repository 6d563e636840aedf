import { sign } from 'node:crypto'
import { GoogleError } from './errors.ts'
import { type Answer, type Call, type Handlers, textParameter } from './world.ts'

const longestLifeSeconds = 12 * 3600

/** The IAM Credentials method behind keyless delegation (google-apis.md §5.2). */
export const iamHandlers: Handlers = { 'iamcredentials.projects.serviceAccounts.signJwt': signJwt }

/** Signs claims with the key that Google holds; `exp` may lie at most 12 hours ahead. */
function signJwt(call: Call): Answer {
  const { identity } = call.world
  const email = (textParameter(call, 'name') ?? '').split('/').at(-1)
  const mayAsk = [identity.machineEmail, identity.serviceAccountEmail].includes(call.caller.email)
  if (email !== identity.serviceAccountEmail || !mayAsk)
    throw new GoogleError(
      403,
      "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).",
      { reason: 'IAM_PERMISSION_DENIED' },
    )
  const payload = call.body.payload
  if (typeof payload !== 'string') throw new GoogleError(400, 'Payload is required.')
  const claims = parseClaims(payload)
  if (typeof claims.exp === 'number' && claims.exp > call.world.nowMs() / 1000 + longestLifeSeconds)
    throw new GoogleError(400, 'The exp claim must be at most 12 hours in the future.')
  const keyId = identity.googleKeyId
  const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: keyId, typ: 'JWT' })).toString('base64url')
  const signed = `${header}.${Buffer.from(payload).toString('base64url')}`
  const signature = sign('RSA-SHA256', Buffer.from(signed), identity.privateKey(keyId)).toString('base64url')
  return { json: { keyId, signedJwt: `${signed}.${signature}` } }
}

function parseClaims(payload: string): Record<string, unknown> {
  try {
    return JSON.parse(payload) as Record<string, unknown>
  } catch (cause) {
    const error = new GoogleError(400, 'Payload must be a JSON object with the claims.')
    error.cause = cause
    throw error
  }
}
