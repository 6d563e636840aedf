import type { Transaction } from '../db/connect.ts'
import { readOrganization } from '../db/organization-settings.ts'
import type { Caller } from './caller.ts'
import { refusedBody } from './read-input.ts'

/**
 * In whose calendar a meeting is made. An organisation has the installation's own host, and those that whoever runs
 * Testigo gave it; who has to do with own meetings only may name nobody but themselves.
 * @param wanted lower-cased address; undefined: the installation's
 * @throws {Problem} `host_not_allowed`
 */
export async function chooseHost(
  tx: Transaction,
  caller: Caller,
  wanted: string | undefined,
  usual: string,
): Promise<string> {
  if (wanted === undefined || wanted === usual.toLowerCase()) return usual
  if (await mayHost(tx, caller, wanted, usual)) return wanted
  if (caller.role === 'external')
    throw notAllowed(
      'is no calendar in which you may have meetings made. Name your own address, or leave it out',
    )
  const { hosts } = await readOrganization(tx, caller.organizationId)
  throw notAllowed(
    `must be one of ${[usual, ...hosts].join(', ')}. Whoever runs Testigo adds others ("npm run keys -- hosts")`,
  )
}

/** Whether somebody may be named as the host of a caller's meeting. */
export async function mayHost(
  tx: Transaction,
  caller: Caller,
  wanted: string,
  usual: string,
): Promise<boolean> {
  if (wanted === usual.toLowerCase()) return true
  if (caller.role === 'external' && wanted !== caller.email) return false
  return (await readOrganization(tx, caller.organizationId)).hosts.includes(wanted)
}

function notAllowed(message: string) {
  return refusedBody([{ path: 'organizer', code: 'host_not_allowed', message }])
}
