// The files of one attempt's segments on this disk: what they are called and how they are written and read.
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Everything the row of a segment needs; stands as JSON beside its bytes. */
export interface SegmentFacts {
  number: number
  sha256: string
  sizeBytes: number
  startMs: number
  durationMs: number
  wallClockStartMs: number
  thinned: boolean
  /** Milliseconds since 1970 at which the bytes were in the bucket; absent before. */
  storedAtMs?: number
}

const named = (number: number, ending: string) => `${String(number).padStart(5, '0')}.${ending}`

/** A segment still being recorded: whole fragments, the last one perhaps cut off. */
export const openPath = (dir: string, number: number) => join(dir, named(number, 'open'))
/** A closed segment that waits. */
export const partPath = (dir: string, number: number) => join(dir, named(number, 'part'))
export const factsPath = (dir: string, number: number) => join(dir, named(number, 'json'))
/** The attempt's init piece, kept as long as the folder: without it fragments cannot be read. */
export const initPath = (dir: string) => join(dir, 'init.mp4')

/** Which process the folder belongs to. */
export const ownerPath = (dir: string) => join(dir, 'owner.json')
/** Which process brings what a dead owner left to the bucket. */
export const takerPath = (dir: string) => join(dir, 'taker.json')

/** A file that is complete when it appears under its name. */
export async function writeWhole(path: string, content: Buffer | string): Promise<void> {
  const draft = `${path}.tmp`
  try {
    await writeFile(draft, content)
    await rename(draft, path)
  } catch (error) {
    // Half a file would take the room that a full disk lacks.
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
}

/**
 * Writes what the bytes of a segment may be. More than one while they are being replaced: their SHA-256 tells which of
 * them they are.
 */
export async function writeFacts(dir: string, ...oneOf: [SegmentFacts, ...SegmentFacts[]]): Promise<void> {
  await writeWhole(factsPath(dir, oneOf[0].number), JSON.stringify(oneOf))
}

/** What {@link writeFacts} wrote; empty when there is nothing, or nothing that can be read. */
export async function readFacts(dir: string, number: number): Promise<SegmentFacts[]> {
  const text = await readIfThere(factsPath(dir, number))
  if (text === undefined) return []
  try {
    return JSON.parse(text.toString('utf8')) as SegmentFacts[]
  } catch (error) {
    // A machine that lost its power leaves empty files.
    if (error instanceof SyntaxError) return []
    throw error
  }
}

/** Removes every trace of a segment. */
export async function removeSegment(dir: string, number: number): Promise<void> {
  for (const ending of ['open', 'part', 'json']) await rm(join(dir, named(number, ending)), { force: true })
}

/** The bytes of a file, or undefined when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Numbers of the segments of which something is there, in order. No folder: none. */
export async function listSegmentNumbers(dir: string): Promise<number[]> {
  try {
    const found = (await readdir(dir)).map(name => /^(\d{5})\.(?:open|part|json)$/.exec(name)?.[1])
    return [...new Set(found.filter(digits => digits !== undefined).map(Number))].sort((a, b) => a - b)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Does this work folder hold segments that have no row yet? */
export async function somethingWaits(dir: string): Promise<boolean> {
  return (await listSegmentNumbers(dir)).length > 0
}

/** SHA-256 in hexadecimal. */
export const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Did the disk, or this user's part of it, have no room? */
export const isNoRoom = (error: unknown) =>
  ['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException).code))
