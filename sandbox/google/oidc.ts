import { createPublicKey, generateKeyPair, type KeyObject, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'

const makeKeyPair = promisify(generateKeyPair)
const lifeSeconds = 3600

interface Key {
  id: string
  secret: KeyObject
  shown: KeyObject
}

/** What an identity token says besides its times. */
export interface IdentityClaims {
  aud: string
  email: string
  [claim: string]: unknown
}

/** Signs identity tokens as accounts.google.com does, and shows the keys they are checked with. */
export class OidcSigner {
  /** Newest first; the one before it still counts. */
  readonly #keys: Key[]

  private constructor(keys: Key[]) {
    this.#keys = keys
  }

  static async create(): Promise<OidcSigner> {
    return new OidcSigner([await makeKey()])
  }

  /** Signs with another key from now on. Earlier ones stay shown, unless they are withdrawn. */
  async rotate(earlier: 'kept' | 'withdrawn' = 'kept'): Promise<void> {
    if (earlier === 'withdrawn') this.#keys.length = 0
    this.#keys.unshift(await makeKey())
  }

  /** A token of the form that Pub/Sub sends (google-apis.md §6.2). Claims given replace the usual ones. */
  token(claims: IdentityClaims, nowMs: number): string {
    const [key] = this.#keys
    if (!key) throw new Error('The sandbox has no key to sign identity tokens with')
    const seconds = Math.floor(nowMs / 1000)
    const payload = {
      azp: '113700000000000000001',
      email_verified: true,
      exp: seconds + lifeSeconds,
      iat: seconds,
      iss: 'https://accounts.google.com',
      sub: '113700000000000000001',
      ...claims,
    }
    const signed = [{ alg: 'RS256', kid: key.id, typ: 'JWT' }, payload].map(encode).join('.')
    return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key.secret).toString('base64url')}`
  }

  /** As `https://www.googleapis.com/oauth2/v3/certs` answers. */
  jwks(): object {
    const keys = this.#keys.map(({ id, shown }) => ({
      ...shown.export({ format: 'jwk' }),
      kid: id,
      alg: 'RS256',
      use: 'sig',
    }))
    return { keys }
  }

  /** As `https://www.googleapis.com/oauth2/v1/certs` answers, with plain public keys in place of certificates. */
  pems(): object {
    return Object.fromEntries(
      this.#keys.map(({ id, shown }) => [id, shown.export({ type: 'spki', format: 'pem' }).toString()]),
    )
  }
}

async function makeKey(): Promise<Key> {
  const { privateKey } = await makeKeyPair('rsa', { modulusLength: 2048 })
  const shown = createPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return { id: randomBytes(20).toString('hex'), secret: privateKey, shown }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
