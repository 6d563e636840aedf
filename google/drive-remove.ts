import { drive } from 'googleapis/build/src/apis/drive/index.js'
import type { Call, CallGoogle } from './call.ts'
import { isFault } from './fault.ts'

/** Removing files of Drive, as a user who may. */
export interface DriveRemoval {
  /**
   * Deletes a file for good; where the user may only move it to the bin, as a content manager of a shared drive, it goes
   * there, which Drive empties after 30 days (google-apis.md §4; files.delete: "the user must be an organizer on the
   * parent folder"). Repeating it is no fault.
   * @throws {GoogleFault} `forbidden` where the user may do neither
   */
  remove(as: string, fileId: string, signal?: AbortSignal): Promise<'deleted' | 'trashed' | 'not_there'>
}

const SCOPES = ['https://www.googleapis.com/auth/drive']

export function createDriveRemoval({ call }: { call: CallGoogle }): DriveRemoval {
  const { files } = drive('v3')
  const about = (subject: string, method: string, signal: AbortSignal | undefined): Call => ({
    service: 'drive',
    method,
    subject,
    scopes: SCOPES,
    signal,
    idempotent: true,
  })

  return {
    remove: async (as, fileId, signal) => {
      try {
        await call(about(as, 'files.delete', signal), options =>
          files.delete({ fileId, supportsAllDrives: true }, options),
        )
        return 'deleted'
      } catch (error) {
        if (isFault(error, 'not_found') || isFault(error, 'gone')) return 'not_there'
        if (!isFault(error, 'forbidden')) throw error
      }
      try {
        await call(about(as, 'files.update', signal), options =>
          files.update({ fileId, supportsAllDrives: true, requestBody: { trashed: true } }, options),
        )
        return 'trashed'
      } catch (error) {
        if (isFault(error, 'not_found')) return 'not_there'
        throw error
      }
    },
  }
}
