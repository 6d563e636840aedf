import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Manifest, manifestSchema } from '../../recorder/manifest.ts'

export interface ReadManifest {
  manifest: Manifest
  /** SHA-256 of the very bytes that were read. */
  sha256: string
}

/** The bytes are no manifest; the message says what is wrong with them. */
export class NoManifest extends Error {
  readonly code = 'no_manifest'
}

/** @throws {NoManifest} */
export function readManifest(bytes: Buffer, name: string): ReadManifest {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new NoManifest(`${name} is not JSON: ${(error as Error).message}`)
  }
  const parsed = manifestSchema.safeParse(json)
  if (!parsed.success)
    throw new NoManifest(`${name} is not a manifest of Testigo:\n${z.prettifyError(parsed.error)}`)
  return { manifest: parsed.data, sha256 }
}
