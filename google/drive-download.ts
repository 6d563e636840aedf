import { drive } from 'googleapis/build/src/apis/drive/index.js'
import type { Call, CallGoogle } from './call.ts'
import { bare } from './drive-session.ts'
import { GoogleFault } from './fault.ts'

/** What Drive says of a file's content. */
export interface DriveFileFacts {
  sizeBytes: number
  /** In hexadecimal; null where Drive says nothing, as for some files that Google's own programs made. */
  sha256: string | null
  md5: string | null
  mimeType: string
}

/** Reading files of Drive, as a user who may. All of it throws {@link GoogleFault}. */
export interface DriveDownloads {
  /** @throws {GoogleFault} `not_found`; `forbidden` with reason `not_downloadable` when the owner's settings forbid it */
  describe(as: string, fileId: string, signal?: AbortSignal): Promise<DriveFileFacts>
  /**
   * The bytes from `fromBytes` to the end, in pieces: one request and at most `pieceBytes` of memory at a time. A piece
   * that is cut off is asked for again, so that what came before stays (google-apis.md §4.8).
   */
  read(
    as: string,
    fileId: string,
    options: { fromBytes: number; sizeBytes: number; pieceBytes?: number; signal?: AbortSignal | undefined },
  ): AsyncIterable<Buffer>
}

// The organizer's own files; granted already for uploads, so that nothing else has to be (google-apis.md §4.8).
const SCOPES = ['https://www.googleapis.com/auth/drive']
const FIELDS = 'id,size,md5Checksum,sha256Checksum,mimeType,capabilities(canDownload)'
const PIECE_BYTES = 8 * 1024 * 1024
const PIECE_TIMEOUT_MS = 300_000
const PIECE_TRY_MS = 120_000

export function createDriveDownloads({ call }: { call: CallGoogle }): DriveDownloads {
  const { files } = drive('v3')
  const about = (subject: string, signal: AbortSignal | undefined, more: Partial<Call> = {}): Call => ({
    service: 'drive',
    method: 'files.get',
    subject,
    scopes: SCOPES,
    signal,
    ...more,
  })

  const readPiece = async (
    as: string,
    fileId: string,
    [first, last]: [number, number],
    signal: AbortSignal | undefined,
  ): Promise<Buffer> => {
    const limits = { timeoutMs: PIECE_TIMEOUT_MS, tryTimeoutMs: PIECE_TRY_MS }
    const answer = await call(about(as, signal, limits), options =>
      options.auth.request<ArrayBuffer>({
        ...bare(options),
        url: `${options.rootUrl}drive/v3/files/${encodeURIComponent(fileId)}?alt=media&supportsAllDrives=true`,
        method: 'GET',
        responseType: 'arraybuffer',
        headers: { range: `bytes=${first}-${last}` },
      }),
    )
    const piece = Buffer.from(answer.data)
    // The whole file in the place of a part of it would be joined wrongly without a word.
    if (piece.length === last - first + 1 && (answer.status === 206 || first === 0)) return piece
    throw new GoogleFault(
      { service: 'drive', code: 'unavailable', reason: 'wrong_range' },
      `Drive sent ${piece.length} bytes of ${fileId} (status ${answer.status}) for bytes ${first} to ${last}.`,
    )
  }

  return {
    describe: async (as, fileId, signal) => {
      const { data } = await call(about(as, signal), options =>
        files.get({ fileId, supportsAllDrives: true, fields: FIELDS }, options),
      )
      if (data.capabilities?.canDownload === false)
        throw new GoogleFault(
          { service: 'drive', code: 'forbidden', reason: 'not_downloadable' },
          `Drive does not let ${as} download ${fileId}. Allow downloads for the file's owner.`,
        )
      return {
        sizeBytes: Number(data.size ?? 0),
        sha256: data.sha256Checksum ?? null,
        md5: data.md5Checksum ?? null,
        mimeType: data.mimeType ?? 'application/octet-stream',
      }
    },

    read: async function* (as, fileId, { fromBytes, sizeBytes, pieceBytes = PIECE_BYTES, signal }) {
      for (let first = fromBytes; first < sizeBytes; first += pieceBytes)
        yield await readPiece(as, fileId, [first, Math.min(first + pieceBytes, sizeBytes) - 1], signal)
    },
  }
}
