import { createPublicKey, generateKeyPair, type KeyObject, randomBytes, randomUUID } from 'node:crypto'
import { promisify } from 'node:util'

/** The file that Google's console hands out for a service account's key. */
export interface ServiceAccountKeyFile {
  type: 'service_account'
  project_id: string
  private_key_id: string
  private_key: string
  client_email: string
  client_id: string
  auth_uri: string
  token_uri: string
  universe_domain: string
}

export interface DomainUser {
  email: string
  /** Numeric id as in `users/<id>` of the Meet API. */
  id: string
  name: string
}

/** An address alone gets a name made of it. */
export type NewUser = string | { email: string; name?: string }

/** Who makes an API call. `email` is the impersonated user, or the service account itself without a subject. */
export interface Caller {
  email: string
  isServiceAccount: boolean
  scopes: ReadonlySet<string>
  /** Milliseconds since 1970. */
  expiresAtMs: number
}

const projectId = 'clinica-sandbox'
const makeKeyPair = promisify(generateKeyPair)

/** The accounts of the sandbox: one domain's users, the delegated service account, the machine's own account. */
export class Identity {
  readonly users: DomainUser[]
  readonly domain: string
  readonly delegatedScopes: ReadonlySet<string>
  readonly serviceAccountEmail = `testigo@${projectId}.iam.gserviceaccount.com`
  /** Account of the (pretended) machine: the metadata server hands out its tokens. */
  readonly machineEmail = `maquina@${projectId}.iam.gserviceaccount.com`
  readonly clientId = '104857600000000000042'
  readonly projectId = projectId
  /** Key made by the administrator: its private half is in the key file. */
  readonly #userKeyId = randomBytes(20).toString('hex')
  /** Key that Google holds and `signJwt` signs with. */
  readonly googleKeyId = randomBytes(20).toString('hex')
  readonly #privateKeys = new Map<string, KeyObject>()
  readonly #tokens = new Map<string, Caller>()

  private constructor(domain: string, users: readonly NewUser[], delegatedScopes: Iterable<string>) {
    this.domain = domain
    this.users = users.map((user, at) => {
      const { email, name } = typeof user === 'string' ? { email: user } : user
      return {
        email,
        id: `1000000000000000000${at + 10}`,
        name: name ?? (email.split('@')[0] ?? email).replace(/^./, letter => letter.toUpperCase()),
      }
    })
    this.delegatedScopes = new Set(delegatedScopes)
  }

  /** Makes the accounts with two fresh RSA keys. */
  static async create(
    domain: string,
    users: readonly NewUser[],
    delegatedScopes: Iterable<string>,
  ): Promise<Identity> {
    const identity = new Identity(domain, users, delegatedScopes)
    for (const keyId of [identity.#userKeyId, identity.googleKeyId]) {
      const { privateKey } = await makeKeyPair('rsa', { modulusLength: 2048 })
      identity.#privateKeys.set(keyId, privateKey)
    }
    return identity
  }

  keyFile(origin: string): ServiceAccountKeyFile {
    return {
      type: 'service_account',
      project_id: projectId,
      private_key_id: this.#userKeyId,
      private_key: this.privateKey(this.#userKeyId).export({ type: 'pkcs8', format: 'pem' }).toString(),
      client_email: this.serviceAccountEmail,
      client_id: this.clientId,
      auth_uri: `${origin}/o/oauth2/auth`,
      token_uri: `${origin}/token`,
      universe_domain: 'googleapis.com',
    }
  }

  privateKey(keyId: string): KeyObject {
    const key = this.#privateKeys.get(keyId)
    if (!key) throw new Error(`The sandbox has no key ${keyId}`)
    return key
  }

  /** Public keys that may have signed: the named one, or all when the header names none. */
  publicKeys(keyId: string | undefined): KeyObject[] {
    if (keyId !== undefined && !this.#privateKeys.has(keyId)) return []
    const keys = keyId === undefined ? [...this.#privateKeys.values()] : [this.privateKey(keyId)]
    return keys.map(key => createPublicKey(key.export({ type: 'pkcs8', format: 'pem' }).toString()))
  }

  user(email: string): DomainUser | undefined {
    return this.users.find(user => user.email === email.toLowerCase())
  }

  issue(caller: Caller): string {
    const token = `ya29.sandbox-${randomUUID()}`
    this.#tokens.set(token, caller)
    return token
  }

  /** The caller behind an `Authorization` header; `undefined` when the token is missing, unknown or out of date. */
  callerOf(authorization: string | undefined, nowMs: number): Caller | undefined {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
    const caller = token === undefined ? undefined : this.#tokens.get(token)
    return caller && caller.expiresAtMs > nowMs ? caller : undefined
  }

  /** Forgets every token given out, as when an administrator revokes access: the next calls get 401. */
  revokeTokens(): void {
    this.#tokens.clear()
  }
}
