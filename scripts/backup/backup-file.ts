import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { finished, pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

/**
 * The file of a backup made by COPY: gzip of lines of JSON and of blocks of data.
 *
 *     {"format":"testigo-backup","version":1, …}          once, at the beginning
 *     {"table":"public.meetings","columns":["id", …]}     then for each table:
 *     {"bytes":65536}                                      a block's length, then the block: COPY's text format
 *     {"rows":12,"sha256":"…"}                             of all blocks of the table
 *     {"complete":true,"tables":21}                        once, at the end
 */

export interface BackupHeader {
  format: 'testigo-backup'
  version: 1
  /** ISO 8601. */
  madeAt: string
  /** Hashes of the migrations that the tables are made by, the oldest first. */
  migrations: string[]
  serverVersion: string
}

export interface TableHeader {
  /** With its schema. */
  table: string
  columns: string[]
}

export interface TableEnd {
  rows: number
  sha256: string
}

export type BackupPart =
  | ({ kind: 'header' } & BackupHeader)
  | ({ kind: 'table' } & TableHeader)
  | { kind: 'data'; data: Buffer }
  | ({ kind: 'end' } & TableEnd)
  | { kind: 'complete'; tables: number }

/** A file is no backup, or not a whole one. */
export class BackupDamaged extends Error {
  readonly code = 'backup_damaged'
}

export interface BackupWriter {
  table(header: TableHeader, data: AsyncIterable<Buffer>): Promise<TableEnd>
}

/**
 * Writes a backup. The file is there when it is whole and on the disk, and not before; only its owner may read it.
 * @returns the SHA-256 of the file, in hexadecimal
 */
export async function writeBackup(
  path: string,
  header: BackupHeader,
  work: (writer: BackupWriter) => Promise<void>,
): Promise<{ sha256: string; sizeBytes: number }> {
  const part = `${path}.part`
  try {
    const file = createWriteStream(part, { mode: 0o600, flags: 'w', flush: true })
    const gzip = createGzip({ level: 5 })
    const written = pipeline(gzip, file)
    // Reported where it is awaited below; a write that waits is ended by `finished`.
    written.catch(() => undefined)
    const put = async (bytes: Buffer | string) => {
      if (!gzip.write(bytes)) await Promise.race([once(gzip, 'drain'), written])
    }
    const line = (value: object) => put(`${JSON.stringify(value)}\n`)
    let tables = 0
    await line(header)
    await work({
      async table(of, data) {
        await line(of)
        const hash = createHash('sha256')
        let rows = 0
        for await (const block of data) {
          hash.update(block)
          rows += countLines(block)
          await line({ bytes: block.length })
          await put(block)
        }
        const end = { rows, sha256: hash.digest('hex') }
        await line(end)
        tables += 1
        return end
      },
    })
    await line({ complete: true, tables })
    gzip.end()
    await written
    await syncFolder(part)
    const facts = await fingerprintOf(part)
    await rename(part, path)
    await syncFolder(path)
    return facts
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

/** Reads a backup part by part. @throws {BackupDamaged} where it is cut off, changed, or no backup */
export async function* readBackup(path: string): AsyncGenerator<BackupPart> {
  const source = createReadStream(path)
  const gunzip = createGunzip()
  const read = pipeline(source, gunzip)
  // Reported by the reading below: what ends the pipeline ends `gunzip` with the same error.
  read.catch(() => undefined)
  const bytes = byteReader(gunzip)
  try {
    yield* partsOf(bytes)
  } catch (error) {
    if (error instanceof BackupDamaged) throw error
    const { code = '' } = error as NodeJS.ErrnoException
    if (/^Z_|^ERR_STREAM_PREMATURE/.test(code) || error instanceof SyntaxError)
      throw new BackupDamaged(`${path} is not a whole backup (${code || 'unreadable'}).`, { cause: error })
    throw error
  } finally {
    source.destroy()
    gunzip.destroy()
    // Only for its end: why it ended has been reported above.
    await finished(gunzip).catch(() => undefined)
  }
}

async function* partsOf(bytes: ByteReader): AsyncGenerator<BackupPart> {
  const header = await bytes.line()
  if (header?.format !== 'testigo-backup' || header.version !== 1)
    throw new BackupDamaged('This is no backup of Testigo, or one of a newer version.')
  yield { kind: 'header', ...(header as unknown as BackupHeader) }
  let tables = 0
  for (;;) {
    const next = await bytes.line()
    if (next?.complete === true) {
      if (next.tables !== tables) throw new BackupDamaged('Tables are missing in the backup.')
      yield { kind: 'complete', tables }
      return
    }
    if (typeof next?.table !== 'string') throw new BackupDamaged('The backup ends in its middle.')
    const table = next as unknown as TableHeader
    yield { kind: 'table', ...table }
    const hash = createHash('sha256')
    let rows = 0
    for (;;) {
      const what = await bytes.line()
      if (typeof what?.bytes === 'number') {
        const data = await bytes.exactly(what.bytes)
        hash.update(data)
        rows += countLines(data)
        yield { kind: 'data', data }
        continue
      }
      const end = what as TableEnd | undefined
      if (end?.sha256 !== hash.digest('hex') || end.rows !== rows)
        throw new BackupDamaged(`The rows of ${table.table} are not those that were backed up.`)
      yield { kind: 'end', rows, sha256: end.sha256 }
      tables += 1
      break
    }
  }
}

interface ByteReader {
  /** The next line as an object; undefined at the end. */
  line(): Promise<Record<string, unknown> | undefined>
  exactly(count: number): Promise<Buffer>
}

const LONGEST_LINE = 1_000_000

function byteReader(stream: AsyncIterable<Buffer>): ByteReader {
  const iterator = stream[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const next = await iterator.next()
    if (next.done) return false
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value])
    return true
  }
  return {
    async line() {
      for (;;) {
        const end = rest.indexOf(0x0a)
        if (end >= 0) {
          const text = rest.subarray(0, end).toString('utf8')
          rest = rest.subarray(end + 1)
          return JSON.parse(text)
        }
        if (rest.length > LONGEST_LINE) throw new BackupDamaged('This is no backup of Testigo.')
        if (!(await more())) return undefined
      }
    },
    async exactly(count) {
      const pieces: Buffer[] = []
      let missing = count
      for (;;) {
        const piece = rest.subarray(0, missing)
        pieces.push(piece)
        rest = rest.subarray(piece.length)
        missing -= piece.length
        if (missing === 0) return Buffer.concat(pieces)
        if (!(await more())) throw new BackupDamaged('The backup ends in its middle.')
      }
    },
  }
}

// In COPY's text format a row is a line, and a line break within a value is written as \n.
function countLines(block: Buffer): number {
  let lines = 0
  for (let at = block.indexOf(0x0a); at >= 0; at = block.indexOf(0x0a, at + 1)) lines += 1
  return lines
}

async function fingerprintOf(path: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(piece)
    sizeBytes += piece.length
  }
  return { sha256: hash.digest('hex'), sizeBytes }
}

/** A file that was just made or renamed survives a power cut only when its folder is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path) || '.', 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
