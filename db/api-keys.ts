import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { and, asc, eq, isNull, lt, or } from 'drizzle-orm'
import type { Database, Queryable } from './connect.ts'
import { apiKeys, organizations } from './schema.ts'

/** Whose key a request carried. */
export interface KeyOwner {
  keyId: string
  /** First characters of the key, for logs and the audit trail. */
  prefix: string
  organizationId: string
}

// `tk_<prefix>_<secret>`: 8 and 43 characters of base64url without `_` and `-` in the prefix.
const KEY_SHAPE = /^tk_([0-9a-f]{8})_([\w-]{43})$/
const USE_IS_NOTED_EVERY_MS = 60_000

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')

/**
 * Makes a key for an organisation, and the organisation where it is missing.
 * @returns the key itself, which is stored nowhere: it can be shown once only
 */
export async function createApiKey(
  db: Database,
  { organization, name }: { organization: string; name: string },
): Promise<{ key: string; keyId: string; organizationId: string }> {
  const prefix = randomBytes(4).toString('hex')
  const key = `tk_${prefix}_${randomBytes(32).toString('base64url')}`
  return db.transaction(async tx => {
    await tx.insert(organizations).values({ id: randomUUID(), name: organization }).onConflictDoNothing()
    const [owner] = await tx
      .select({ id: organizations.id })
      .from(organizations)
      .where(eq(organizations.name, organization))
    if (!owner) throw new Error(`The organisation ${organization} could not be made`)
    const keyId = randomUUID()
    await tx.insert(apiKeys).values({ id: keyId, organizationId: owner.id, name, prefix, hash: hashOf(key) })
    return { key, keyId, organizationId: owner.id }
  })
}

/**
 * Finds whose key it is; `undefined` for a key that is malformed, unknown or revoked. The look-up goes by the SHA-256 of
 * a 256-bit random key, so how long it takes tells nothing about any key. Notes the use at most once a minute.
 */
export async function findKeyOwner(db: Queryable, key: string, now: Date): Promise<KeyOwner | undefined> {
  if (!KEY_SHAPE.test(key)) return undefined
  const [found] = await db
    .select({
      keyId: apiKeys.id,
      prefix: apiKeys.prefix,
      organizationId: apiKeys.organizationId,
      lastUsedAt: apiKeys.lastUsedAt,
    })
    .from(apiKeys)
    .where(and(eq(apiKeys.hash, hashOf(key)), isNull(apiKeys.revokedAt)))
  if (!found) return undefined
  const { lastUsedAt, ...owner } = found
  const due = new Date(now.getTime() - USE_IS_NOTED_EVERY_MS)
  if (lastUsedAt === null || lastUsedAt < due) {
    await db
      .update(apiKeys)
      .set({ lastUsedAt: now })
      .where(and(eq(apiKeys.id, found.keyId), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, due))))
  }
  return owner
}

/** Every key, revoked ones too, without anything a key could be made from. */
export async function listApiKeys(db: Queryable) {
  return db
    .select({
      keyId: apiKeys.id,
      organization: organizations.name,
      name: apiKeys.name,
      prefix: apiKeys.prefix,
      createdAt: apiKeys.createdAt,
      lastUsedAt: apiKeys.lastUsedAt,
      revokedAt: apiKeys.revokedAt,
    })
    .from(apiKeys)
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .orderBy(asc(organizations.name), asc(apiKeys.createdAt))
}

/** Revokes the key with this prefix. @returns whether there was one in force */
export async function revokeApiKey(db: Queryable, prefix: string, now: Date): Promise<boolean> {
  const revoked = await db
    .update(apiKeys)
    .set({ revokedAt: now })
    .where(and(eq(apiKeys.prefix, prefix), isNull(apiKeys.revokedAt)))
    .returning({ id: apiKeys.id })
  return revoked.length > 0
}
