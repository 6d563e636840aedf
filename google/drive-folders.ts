import { drive, type drive_v3 } from 'googleapis/build/src/apis/drive/index.js'
import type { Call, CallGoogle } from './call.ts'
import { isFault } from './fault.ts'

const FOLDER = 'application/vnd.google-apps.folder'
/** Property that marks our folders, so that one a person made with the same name is left alone. */
const FOLDER_KEY = 'testigoFolder'

/** Describes a call to Drive by its method: user, scopes and signal are settled. */
export type DriveCall = (method: string, more?: Partial<Call>) => Call

interface Place {
  parentId: string
  name: string
  /** The shared drive it is in; undefined in somebody's own Drive. */
  driveId: string | undefined
}

/** The folders that recordings are filed in. */
export interface Folders {
  /**
   * The folder `year/month` below a root, made where it is missing; the same folder however often it is asked for.
   * @param month `{year: '2026', month: '03'}`
   */
  ensureMonth(about: DriveCall, rootId: string, month: { year: string; month: string }): Promise<string>
}

export function createFolders(call: CallGoogle, nextFileId: (about: DriveCall) => Promise<string>): Folders {
  const { files } = drive('v3')
  // One search at a time for each folder. Nothing is kept afterwards: a person may move or delete a folder.
  const flights = new Map<string, Promise<string>>()

  const driveOf = async (about: DriveCall, rootId: string): Promise<string | undefined> => {
    const answer = await call(about('files.get'), options =>
      files.get({ fileId: rootId, supportsAllDrives: true, fields: 'id,driveId' }, options),
    )
    return answer.data.driveId ?? undefined
  }

  const find = async (about: DriveCall, { parentId, name, driveId }: Place): Promise<string[]> => {
    const q = [
      `name = '${name}'`,
      `'${parentId}' in parents`,
      `mimeType = '${FOLDER}'`,
      `appProperties has { key='${FOLDER_KEY}' and value='${name}' }`,
      'trashed = false',
    ].join(' and ')
    const where: drive_v3.Params$Resource$Files$List =
      driveId === undefined ? { corpora: 'user' } : { corpora: 'drive', driveId }
    const answer = await call(about('files.list'), options =>
      files.list(
        {
          q,
          ...where,
          supportsAllDrives: true,
          includeItemsFromAllDrives: true,
          orderBy: 'createdTime',
          fields: 'files(id)',
        },
        options,
      ),
    )
    return (answer.data.files ?? []).map(file => file.id ?? '').filter(id => id !== '')
  }

  const make = async (about: DriveCall, place: Place): Promise<string> => {
    const { parentId, name } = place
    const id = await nextFileId(about)
    const requestBody = {
      id,
      name,
      mimeType: FOLDER,
      parents: [parentId],
      appProperties: { [FOLDER_KEY]: name },
    }
    try {
      await call(about('files.create', { idempotent: true }), options =>
        files.create({ requestBody, supportsAllDrives: true, fields: 'id' }, options),
      )
    } catch (error) {
      // The answer to an earlier try was lost: the folder with this id is ours.
      if (!isFault(error, 'conflict')) throw error
    }
    // Two machines can get here at once: the older folder is everybody's.
    const [oldest] = await find(about, place)
    return oldest ?? id
  }

  const ensure = async (about: DriveCall, place: Place): Promise<string> => {
    const key = `${place.parentId}/${place.name}`
    const inFlight = flights.get(key)
    if (inFlight) return inFlight
    const flight = find(about, place).then(ids => ids[0] ?? make(about, place))
    flights.set(key, flight)
    try {
      return await flight
    } finally {
      flights.delete(key)
    }
  }

  return {
    ensureMonth: async (about, rootId, { year, month }) => {
      const driveId = await driveOf(about, rootId)
      const yearId = await ensure(about, { parentId: rootId, name: year, driveId })
      return ensure(about, { parentId: yearId, name: month, driveId })
    },
  }
}
