import { eq } from 'drizzle-orm'
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
  const set = await db
    .update(organizations)
    .set({ googleDomain: domain })
    .where(eq(organizations.name, organization))
    .returning({ id: organizations.id })
  return set.length > 0 ? 'set' : 'no_organization'
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
  const set = await db
    .update(organizations)
    .set({ hosts: [...new Set(hosts)] })
    .where(eq(organizations.name, organization))
    .returning({ id: organizations.id })
  return set.length > 0 ? 'set' : 'no_organization'
}
