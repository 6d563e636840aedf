import { eq } from 'drizzle-orm'
import { noteAudit, OPERATOR } from './audit-notes.ts'
import type { Queryable } from './connect.ts'
import { organizations } from './schema.ts'

/**
 * Says whose people the users of a Google Workspace domain are.
 * @param domain lower-cased; null: nobody signs in with Google
 */
export async function setGoogleDomain(
  db: Queryable,
  organization: string,
  domain: string | null,
): Promise<'set' | 'taken' | 'no_organization'> {
  if (domain !== null) {
    const owner = await findByGoogleDomain(db, domain)
    if (owner && owner.name !== organization) return 'taken'
  }
  return setByOperator(db, organization, { googleDomain: domain })
}

/** Changes what only whoever runs Testigo may, and writes it into the organisation's audit log. */
async function setByOperator(
  db: Queryable,
  organization: string,
  change: { googleDomain: string | null } | { hosts: string[] },
): Promise<'set' | 'no_organization'> {
  return db.transaction(async tx => {
    const [before] = await tx
      .select()
      .from(organizations)
      .where(eq(organizations.name, organization))
      .for('no key update')
    if (!before) return 'no_organization'
    await tx.update(organizations).set(change).where(eq(organizations.id, before.id))
    await noteAudit(tx, {
      organizationId: before.id,
      actor: OPERATOR,
      action: 'organization.changed',
      subject: `organization:${before.id}`,
      before: 'hosts' in change ? { hosts: before.hosts } : { googleDomain: before.googleDomain },
      after: change,
    })
    return 'set'
  })
}

/** The organisation whose people the users of this Google Workspace domain are. */
export async function findByGoogleDomain(
  db: Queryable,
  domain: string,
): Promise<{ id: string; name: string } | undefined> {
  const [found] = await db
    .select({ id: organizations.id, name: organizations.name })
    .from(organizations)
    .where(eq(organizations.googleDomain, domain))
  return found
}

/**
 * Says in whose calendars, beside the installation's own, an organisation may have meetings made.
 * @param hosts lower-cased addresses; meetings that are made already keep theirs
 */
export async function setHosts(
  db: Queryable,
  organization: string,
  hosts: readonly string[],
): Promise<'set' | 'no_organization'> {
  return setByOperator(db, organization, { hosts: [...new Set(hosts)] })
}
