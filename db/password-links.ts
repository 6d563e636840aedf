import { createHash, randomBytes } from 'node:crypto'
import { and, eq, gt, isNull } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { passwordLinks, users } from './schema.ts'
import type { UserRow } from './users.ts'

const WORKS_FOR_MS = 72 * 3_600_000
const TOKEN_SHAPE = /^tp_[\w-]{43}$/
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

/** Makes a link's token with which a user sets a password once. Those made before work no more. */
export async function makePasswordLink(
  db: Queryable,
  { id: userId, organizationId }: UserRow,
  now: Date,
): Promise<{ token: string; expiresAt: Date }> {
  const token = `tp_${randomBytes(32).toString('base64url')}`
  const expiresAt = new Date(now.getTime() + WORKS_FOR_MS)
  await voidLinks(db, userId, now)
  await db
    .insert(passwordLinks)
    .values({ hash: hashOf(token), organizationId, userId, createdAt: now, expiresAt })
  return { token, expiresAt }
}

/** Uses up a link's token. @returns whose password it sets; undefined for one unknown, used, over, or of somebody disabled */
export async function takePasswordLink(
  tx: Transaction,
  token: string,
  now: Date,
): Promise<UserRow | undefined> {
  if (!TOKEN_SHAPE.test(token)) return undefined
  const [taken] = await tx
    .update(passwordLinks)
    .set({ usedAt: now })
    .where(
      and(
        eq(passwordLinks.hash, hashOf(token)),
        isNull(passwordLinks.usedAt),
        gt(passwordLinks.expiresAt, now),
      ),
    )
    .returning({ userId: passwordLinks.userId })
  if (!taken) return undefined
  const [user] = await tx
    .select()
    .from(users)
    .where(and(eq(users.id, taken.userId), isNull(users.disabledAt)))
    .for('update')
  return user
}

/** Makes every link of a user useless. */
export async function voidLinks(db: Queryable, userId: string, now: Date): Promise<void> {
  await db
    .update(passwordLinks)
    .set({ usedAt: now })
    .where(and(eq(passwordLinks.userId, userId), isNull(passwordLinks.usedAt)))
}
