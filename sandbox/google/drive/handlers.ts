import type { Handlers } from '../world.ts'
import { fileHandlers } from './file-handlers.ts'
import { listHandlers } from './listing.ts'
import { permissionHandlers } from './permission-handlers.ts'

/** The methods of Drive v3 that the sandbox plays. */
export const driveHandlers: Handlers = { ...fileHandlers, ...listHandlers, ...permissionHandlers }
