import { eq } from 'drizzle-orm'
import type { Queryable, Transaction } from './connect.ts'
import { organizations } from './schema.ts'

export type OrganizationRow = typeof organizations.$inferSelect
export type OrganizationChange = Partial<
  Pick<OrganizationRow, 'language' | 'notifications' | 'retentionDays'>
>

/** An organisation with its settings. */
export async function readOrganization(db: Queryable, id: string): Promise<OrganizationRow> {
  const [row] = await db.select().from(organizations).where(eq(organizations.id, id))
  if (!row) throw new Error(`There is no organisation ${id}`)
  return row
}

/** The same, and nobody else changes it until the transaction ends. */
export async function lockOrganization(tx: Transaction, id: string): Promise<OrganizationRow> {
  const [row] = await tx.select().from(organizations).where(eq(organizations.id, id)).for('no key update')
  if (!row) throw new Error(`There is no organisation ${id}`)
  return row
}

/** Changes the settings of an organisation that {@link lockOrganization} holds. */
export async function changeOrganization(
  tx: Transaction,
  { id }: OrganizationRow,
  change: OrganizationChange,
): Promise<OrganizationRow> {
  const [row] = await tx.update(organizations).set(change).where(eq(organizations.id, id)).returning()
  if (!row) throw new Error(`The organisation ${id} is gone although it was locked`)
  return row
}
