import { randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/connect.ts'
import { addSigningKey, listSigningKeys, type SigningKeyRow } from '../../db/signing-keys.ts'
import type { Log } from '../../log.ts'
import { CannotUnseal, type Vault } from '../webhooks/vault.ts'

/** The keys that access tokens are signed with: Ed25519, a new one every 30 days. */
export interface SigningKeys {
  /** The key that signs now. */
  current(): Promise<{ kid: string; key: CryptoKey }>
  /** The public half of a key that may have signed a token which is still good. */
  find(kid: string): Promise<CryptoKey | undefined>
  /** What `/.well-known/jwks.json` shows: the key that signs, the next one, and those before while their tokens live. */
  published(): Promise<{ keys: JWK[] }>
}

const DAY_MS = 86_400_000
const SIGNS_FOR_MS = 30 * DAY_MS
// Whoever keeps our keys for a while knows the next one before it signs.
const SHOWN_BEFORE_MS = DAY_MS
// Longer than any token lives.
const SHOWN_AFTER_MS = 3_600_000
// A process whose clock is a little behind uses the first key too, and makes none of its own.
const CLOCKS_DIFFER_MS = 300_000
const REREAD_MS = 60_000
// Tokens with invented key ids must not become queries.
const LOOK_AGAIN_MS = 2000

const ALGORITHM = 'EdDSA'

interface KnownKey {
  row: SigningKeyRow
  publicKey: CryptoKey
  /** Undefined where it was sealed with another encryption key: another process signs with it. */
  privateKey: CryptoKey | undefined
}

/** @param deps.vault seals the private halves */
export function openSigningKeys(deps: { db: Database; vault: Vault; clock: Clock; log: Log }): SigningKeys {
  const { db, vault, clock, log } = deps
  const opened = new Map<string, KnownKey>()
  let known: { keys: KnownKey[]; readAtMs: number } | undefined
  let reading: Promise<KnownKey[]> | undefined

  async function open(row: SigningKeyRow): Promise<KnownKey> {
    const before = opened.get(row.id)
    if (before) return before
    const key: KnownKey = {
      row,
      publicKey: (await importJWK(row.publicJwk, ALGORITHM)) as CryptoKey,
      privateKey: await openPrivate(row),
    }
    opened.set(row.id, key)
    return key
  }

  async function openPrivate({ id, sealedPrivate }: SigningKeyRow): Promise<CryptoKey | undefined> {
    try {
      return (await importJWK(
        JSON.parse(await vault.unseal(sealedPrivate, ownerOf(id))),
        ALGORITHM,
      )) as CryptoKey
    } catch (error) {
      if (!(error instanceof CannotUnseal)) throw error
      log.warn(
        { kid: id, error },
        'a key of access tokens was sealed with another encryption key; tokens are signed with one of our own',
      )
      return undefined
    }
  }

  const openAll = (rows: SigningKeyRow[]) => Promise.all(rows.map(open))

  async function make(rows: SigningKeyRow[]) {
    const now = clock.now()
    const signsFrom = nextNeeded(await openAll(rows), now)
    if (signsFrom === undefined) return undefined
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    const id = randomUUID()
    return {
      id,
      publicJwk: (await exportJWK(publicKey)) as Record<string, unknown>,
      sealedPrivate: await vault.seal(JSON.stringify(await exportJWK(privateKey)), ownerOf(id)),
      createdAt: new Date(now),
      signsFrom: new Date(signsFrom),
      signsUntil: new Date(signsFrom + SIGNS_FOR_MS),
    }
  }

  async function read(): Promise<KnownKey[]> {
    let keys = await openAll(await listSigningKeys(db))
    if (nextNeeded(keys, clock.now()) !== undefined) {
      await addSigningKey(db, new Date(clock.now() - SHOWN_AFTER_MS), make)
      keys = await openAll(await listSigningKeys(db))
    }
    known = { keys, readAtMs: clock.now() }
    return keys
  }

  async function keysNow(olderThanMs: number): Promise<KnownKey[]> {
    if (known && Math.abs(clock.now() - known.readAtMs) < olderThanMs) return known.keys
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }

  const isShown = ({ row }: KnownKey) => row.signsUntil.getTime() + SHOWN_AFTER_MS > clock.now()

  return {
    async current() {
      const keys = await keysNow(REREAD_MS)
      const [signing] = keys.filter(key => key.privateKey && signs(key, clock.now()))
      if (!signing?.privateKey) throw new Error('there is no key to sign access tokens with')
      return { kid: signing.row.id, key: signing.privateKey }
    },
    async find(kid) {
      const among = (keys: KnownKey[]) => keys.find(key => key.row.id === kid && isShown(key))?.publicKey
      return among(await keysNow(REREAD_MS)) ?? among(await keysNow(LOOK_AGAIN_MS))
    },
    async published() {
      const keys = (await keysNow(REREAD_MS)).filter(isShown)
      return {
        keys: keys.map(({ row }) => ({ ...row.publicJwk, kid: row.id, use: 'sig', alg: ALGORITHM }) as JWK),
      }
    },
  }
}

const ownerOf = (kid: string) => `signing-key:${kid}`

function signs({ row }: KnownKey, now: number): boolean {
  return row.signsFrom.getTime() <= now && now < row.signsUntil.getTime()
}

/** From when a further key has to sign, where one is needed by now; those we cannot sign with do not count. */
function nextNeeded(keys: KnownKey[], now: number): number | undefined {
  const usable = keys.filter(key => key.privateKey && key.row.signsUntil.getTime() > now)
  if (!usable.some(key => signs(key, now))) return now - CLOCKS_DIFFER_MS
  const end = Math.max(...usable.map(key => key.row.signsUntil.getTime()))
  return end - now <= SHOWN_BEFORE_MS ? end : undefined
}
