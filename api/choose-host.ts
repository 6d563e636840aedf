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
  if (caller.role === 'external' && wanted !== caller.email)
    throw notAllowed('must be your own address, or be left out')
  const { hosts } = await readOrganization(tx, caller.organizationId)
  if (hosts.includes(wanted)) return wanted
  throw notAllowed(
    caller.role === 'external'
      ? 'is not an address in whose calendar your organisation may make meetings. Leave it out'
      : `must be one of ${[usual, ...hosts].join(', ')}. Whoever runs Testigo adds others ("npm run keys -- hosts")`,
  )
}

function notAllowed(message: string) {
  return refusedBody([{ path: 'organizer', code: 'host_not_allowed', message }])
}
