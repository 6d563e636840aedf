import { createReadStream } from 'node:fs'
import type { Manifest } from '../../recorder/manifest.ts'
import type { Finding } from './findings.ts'
import { checkInnerConsistency } from './inner-consistency.ts'
import type { ReadManifest } from './read-manifest.ts'
import { differenceOf, hashStream } from './stored-objects.ts'
import type { Proof } from './verify-recording.ts'

/** Proves what a manifest and a copy of the video prove by themselves, and says what nobody looked at. */
export async function verifyOffline(given: ReadManifest, video: string | undefined): Promise<Proof> {
  const { manifest, sha256 } = given
  const unseen = (what: Finding['what'], sentence: string): Finding => ({
    what,
    state: 'not_checked',
    sentence,
  })
  return {
    recordingId: manifest.recordingId,
    manifestSha256: sha256,
    manifest,
    findings: [
      unseen(
        'manifest',
        `It has SHA-256 ${sha256}. Whether the audit log names this one was not asked: compare it with the row "recording.finished" of recording:${manifest.recordingId}.`,
      ),
      ...checkInnerConsistency(manifest),
      ...(video === undefined
        ? manifest.files.map(({ key }) =>
            unseen('file', `${key} was not looked at: give a copy of it with --video.`),
          )
        : [await checkLocalVideo(manifest, video)]),
      ...manifest.segments.map(({ key }) => ({ ...unseen('segment', `${key} was not looked at.`), key })),
      unseen('audit log', 'The database was not asked.'),
      unseen('rows', 'The database was not asked.'),
    ],
  }
}

/** Compares a file of this machine with the video of a manifest. */
export async function checkLocalVideo({ files }: Manifest, video: string): Promise<Finding> {
  const found = await hashStream(createReadStream(video))
  const same = files.find(file => file.sha256 === found.sha256 && file.sizeBytes === found.sizeBytes)
  if (same)
    return {
      what: 'file',
      state: 'ok',
      sentence: `${video} is ${same.key}: ${found.sizeBytes} bytes, SHA-256 ${found.sha256}.`,
    }
  const [first] = files
  const fault = first ? differenceOf(found, first) : 'is named by nothing in the manifest.'
  return { what: 'file', state: 'different', sentence: `${video} ${fault}` }
}
