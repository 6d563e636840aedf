import { randomUUID } from 'node:crypto'
import { and, asc, eq, sql } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import type { Role } from './roles.ts'
import { users } from './schema.ts'

export type UserRow = typeof users.$inferSelect

/** Writes a new user. @returns undefined when the organisation has a user with this address already */
export async function insertUser(
  db: Queryable,
  wish: { organizationId: string; email: string; name: string | null; role: Role; googleSubject?: string },
): Promise<UserRow | undefined> {
  const [row] = await db
    .insert(users)
    .values({ id: randomUUID(), ...wish })
    .onConflictDoNothing({ target: [users.organizationId, users.email] })
    .returning()
  return row
}

/** One organisation's users by the time they were made. @param after the last of the page before */
export async function listUsers(
  db: Queryable,
  organizationId: string,
  after: { at: Date; id: string } | undefined,
  limit: number,
): Promise<UserRow[]> {
  return db
    .select()
    .from(users)
    .where(
      and(
        eq(users.organizationId, organizationId),
        after &&
          sql`(${users.createdAt}, ${users.id}) > (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(asc(users.createdAt), asc(users.id))
    .limit(limit)
}

/** One organisation's user. */
export async function findUser(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<UserRow | undefined> {
  const [row] = await db
    .select()
    .from(users)
    .where(and(eq(users.organizationId, organizationId), eq(users.id, id)))
  return row
}

/** One organisation's user, whom nobody else changes until the transaction ends. */
export async function lockUser(
  tx: Transaction,
  organizationId: string,
  id: string,
): Promise<UserRow | undefined> {
  const [row] = await tx
    .select()
    .from(users)
    .where(and(eq(users.organizationId, organizationId), eq(users.id, id)))
    .for('update')
  return row
}

/** Everybody with this address, of any organisation or of one; the same person may be a user of several. */
export async function findUsersByEmail(
  db: Queryable,
  email: string,
  organizationId?: string,
): Promise<UserRow[]> {
  return db
    .select()
    .from(users)
    .where(
      and(
        eq(users.email, email),
        organizationId === undefined ? undefined : eq(users.organizationId, organizationId),
      ),
    )
    .orderBy(asc(users.createdAt), asc(users.id))
}

/** The organisation's user whom Google knows by this id. */
export async function findUserBySubject(
  db: Queryable,
  organizationId: string,
  googleSubject: string,
): Promise<UserRow | undefined> {
  const [row] = await db
    .select()
    .from(users)
    .where(and(eq(users.organizationId, organizationId), eq(users.googleSubject, googleSubject)))
  return row
}

/** Changes a user. */
export async function changeUser(
  db: Queryable,
  id: string,
  change: Partial<Omit<UserRow, 'id' | 'organizationId' | 'createdAt'>>,
): Promise<UserRow> {
  const [row] = await db.update(users).set(change).where(eq(users.id, id)).returning()
  if (!row) throw new Error(`The user ${id} is gone although users are never removed`)
  return row
}
