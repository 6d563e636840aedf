import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { and, asc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import type { Role, Scope } from './roles.ts'
import { apiKeys, organizations } from './schema.ts'

export type ApiKeyRow = typeof apiKeys.$inferSelect

/** A key that is in force. */
export interface KeyInForce {
  keyId: string
  /** First characters of the secret that was shown, for logs and the audit trail. */
  prefix: string
  organizationId: string
  role: Role
  /** Null: everything its role may do. */
  scopes: Scope[] | null
}

export interface KeyWish {
  name: string
  role: Role
  scopes?: Scope[] | null
  expiresAt?: Date | null
  /** `key:<id>`, `user:<id>`. */
  createdBy?: string
}

// `tk_<prefix>_<secret>`: 8 and 43 characters of base64url without `_` and `-` in the prefix.
const KEY_SHAPE = /^tk_([0-9a-f]{8})_([\w-]{43})$/
const USE_IS_NOTED_EVERY_MS = 60_000

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')

function newSecret(): { key: string; prefix: string; hash: string } {
  const prefix = randomBytes(4).toString('hex')
  const key = `tk_${prefix}_${randomBytes(32).toString('base64url')}`
  return { key, prefix, hash: hashOf(key) }
}

/**
 * Makes a key for an organisation, and the organisation where it is missing.
 * @returns the key itself, which is stored nowhere: it can be shown once only
 */
export async function createApiKey(
  db: Queryable,
  { organization, ...wish }: KeyWish & { organization: string },
): Promise<{ key: string; keyId: string; organizationId: string }> {
  return db.transaction(async tx => {
    const organizationId = await keepOrganization(tx, organization)
    const { key, row } = await insertKey(tx, organizationId, wish)
    return { key, keyId: row.id, organizationId }
  })
}

/** The id of the organisation with this name, which is made where it is missing. */
async function keepOrganization(db: Queryable, name: string): Promise<string> {
  await db.insert(organizations).values({ id: randomUUID(), name }).onConflictDoNothing()
  const [found] = await db
    .select({ id: organizations.id })
    .from(organizations)
    .where(eq(organizations.name, name))
  if (!found) throw new Error(`The organisation ${name} could not be made`)
  return found.id
}

/** Writes a new key. @returns the key itself beside its row */
export async function insertKey(
  db: Queryable,
  organizationId: string,
  wish: KeyWish,
): Promise<{ key: string; row: ApiKeyRow }> {
  const { key, prefix, hash } = newSecret()
  const [row] = await db
    .insert(apiKeys)
    .values({ id: randomUUID(), organizationId, ...wish, prefix, hash })
    .returning()
  if (!row) throw new Error('the database did not give the new key back')
  return { key, row }
}

/**
 * Finds the key that was shown; `undefined` for one that is malformed, unknown, expired or revoked. The look-up goes by
 * the SHA-256 of a 256-bit random key, so how long it takes tells nothing about any key. Notes the use at most once a
 * minute.
 */
export async function findKey(db: Queryable, key: string, now: Date): Promise<KeyInForce | undefined> {
  if (!KEY_SHAPE.test(key)) return undefined
  const hash = hashOf(key)
  const [found] = await db
    .select()
    .from(apiKeys)
    .where(
      and(
        or(eq(apiKeys.hash, hash), and(eq(apiKeys.previousHash, hash), gt(apiKeys.previousUntil, now))),
        inForce(now),
      ),
    )
  if (!found) return undefined
  await noteUse(db, found, now)
  return keyInForce(found, found.hash === hash ? found.prefix : (found.previousPrefix ?? found.prefix))
}

/** The key with this id, while it is in force: for tokens that were given for it. */
export async function findKeyById(db: Queryable, keyId: string, now: Date): Promise<KeyInForce | undefined> {
  const [found] = await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.id, keyId), inForce(now)))
  if (!found) return undefined
  await noteUse(db, found, now)
  return keyInForce(found, found.prefix)
}

const inForce = (now: Date) =>
  and(isNull(apiKeys.revokedAt), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)))

function keyInForce(row: ApiKeyRow, prefix: string): KeyInForce {
  const { id: keyId, organizationId, role, scopes } = row
  return { keyId, prefix, organizationId, role, scopes }
}

async function noteUse(db: Queryable, { id, lastUsedAt }: ApiKeyRow, now: Date): Promise<void> {
  const due = new Date(now.getTime() - USE_IS_NOTED_EVERY_MS)
  if (lastUsedAt !== null && lastUsedAt >= due) return
  await db
    .update(apiKeys)
    .set({ lastUsedAt: now })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, due))))
}

/** Every key of every organisation, revoked ones too, without anything a key could be made from. */
export async function listApiKeys(db: Queryable) {
  return db
    .select({
      keyId: apiKeys.id,
      organization: organizations.name,
      name: apiKeys.name,
      role: apiKeys.role,
      scopes: apiKeys.scopes,
      prefix: apiKeys.prefix,
      createdAt: apiKeys.createdAt,
      expiresAt: apiKeys.expiresAt,
      lastUsedAt: apiKeys.lastUsedAt,
      revokedAt: apiKeys.revokedAt,
    })
    .from(apiKeys)
    .innerJoin(organizations, eq(organizations.id, apiKeys.organizationId))
    .orderBy(asc(organizations.name), asc(apiKeys.createdAt))
}

/** Revokes the key whose secret, or the one before its last rotation, begins so. @returns what was in force and is revoked */
export async function revokeApiKey(db: Queryable, prefix: string, now: Date): Promise<ApiKeyRow[]> {
  return db
    .update(apiKeys)
    .set({ revokedAt: now })
    .where(and(or(eq(apiKeys.prefix, prefix), eq(apiKeys.previousPrefix, prefix)), isNull(apiKeys.revokedAt)))
    .returning()
}

/** One organisation's keys, the oldest first. @param after the last of the page before */
export async function listKeys(
  db: Queryable,
  organizationId: string,
  after: { at: Date; id: string } | undefined,
  limit: number,
): Promise<ApiKeyRow[]> {
  return db
    .select()
    .from(apiKeys)
    .where(
      and(
        eq(apiKeys.organizationId, organizationId),
        after &&
          sql`(${apiKeys.createdAt}, ${apiKeys.id}) > (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(asc(apiKeys.createdAt), asc(apiKeys.id))
    .limit(limit)
}

/** One organisation's key, which nobody else changes until the transaction ends. */
export async function lockKey(
  tx: Transaction,
  organizationId: string,
  keyId: string,
): Promise<ApiKeyRow | undefined> {
  const [row] = await tx
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.organizationId, organizationId), eq(apiKeys.id, keyId)))
    .for('update')
  return row
}

/**
 * Gives a key that {@link lockKey} holds a new secret. The one before it works until `previousUntil`, one still older
 * no more.
 */
export async function rotateKey(
  tx: Transaction,
  row: ApiKeyRow,
  { now, previousUntil }: { now: Date; previousUntil: Date },
): Promise<{ key: string; row: ApiKeyRow }> {
  const { key, prefix, hash } = newSecret()
  const previous = { previousPrefix: row.prefix, previousHash: row.hash, previousUntil }
  const [rotated] = await tx
    .update(apiKeys)
    .set({ prefix, hash, ...previous, rotatedAt: now })
    .where(eq(apiKeys.id, row.id))
    .returning()
  if (!rotated) throw new Error(`The key ${row.id} is gone although it was locked`)
  return { key, row: rotated }
}

/** Revokes a key that {@link lockKey} holds: its secrets and the tokens given for it work no more. */
export async function revokeKey(tx: Transaction, keyId: string, now: Date): Promise<void> {
  await tx.update(apiKeys).set({ revokedAt: now }).where(eq(apiKeys.id, keyId))
}
