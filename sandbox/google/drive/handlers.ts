import { GoogleError } from '../errors.ts'
import type { Answer, Call, Handlers } from '../world.ts'
import { fileHandlers } from './file-handlers.ts'
import { listHandlers } from './listing.ts'
import { permissionHandlers } from './permission-handlers.ts'

/** The methods of Drive v3 that the sandbox plays. */
export const driveHandlers: Handlers = {
  ...fileHandlers,
  ...listHandlers,
  ...permissionHandlers,
  'drive.about.get': aboutCaller,
}

/** Who asks. Drive gives nothing of this without `fields`. */
function aboutCaller({ world, caller, parameters }: Call): Answer {
  if (parameters.fields === undefined)
    throw new GoogleError(400, "The 'fields' parameter is required for this method.", { reason: 'required' })
  const displayName = world.identity.user(caller.email)?.name ?? caller.email
  const user = { kind: 'drive#user', displayName, emailAddress: caller.email, me: true }
  return { json: { kind: 'drive#about', user } }
}
