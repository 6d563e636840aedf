import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { contentPath, folderType, rootFolderId, type StoredFile } from '../drive/file.ts'
import { newFileId } from '../drive/file-creation.ts'
import type { World } from '../world.ts'

const run = promisify(execFile)
const encodeLimitMs = 60_000
const folderName = 'Meet Recordings'

/**
 * Puts a recording as Google makes it into the "Meet Recordings" folder of the space's owner and returns its Drive id
 * (google-apis.md §2.5): a real MP4, but always two seconds of a test picture.
 */
export async function storeNativeVideo(world: World, owner: string, title: string): Promise<string> {
  const file = blankFile(world, owner, `${title}.mp4`, 'video/mp4', meetFolder(world, owner).id)
  const target = contentPath(world, file.id)
  await makeVideo(target)
  const bytes = await readFile(target)
  const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  const checksums = {
    md5Checksum: digest('md5'),
    sha1Checksum: digest('sha1'),
    sha256Checksum: digest('sha256'),
  }
  const { size: sizeBytes } = await stat(target)
  world.state.files.set(file.id, { ...file, content: { path: target, sizeBytes, checksums } })
  return file.id
}

async function makeVideo(target: string): Promise<void> {
  await run(
    'ffmpeg',
    [
      ...['-v', 'error', '-nostdin', '-y'],
      ...['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=15', '-f', 'lavfi', '-i', 'sine=f=440'],
      ...['-t', '2', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
      ...['-movflags', '+faststart', '-f', 'mp4', path.resolve(target)],
    ],
    { timeout: encodeLimitMs },
  )
}

function meetFolder(world: World, owner: string): StoredFile {
  const found = [...world.state.files.values()].find(
    file => file.owner === owner && file.name === folderName && file.mimeType === folderType,
  )
  if (found) return found
  const folder = blankFile(world, owner, folderName, folderType, rootFolderId(owner))
  world.state.files.set(folder.id, folder)
  return folder
}

function blankFile(world: World, owner: string, name: string, mimeType: string, parent: string): StoredFile {
  const now = new Date(world.nowMs()).toISOString()
  return {
    id: newFileId(),
    name,
    mimeType,
    parent,
    owner,
    createdTime: now,
    modifiedTime: now,
    trashed: false,
    appProperties: {},
    properties: {},
    permissions: [{ id: `owner-${owner}`, type: 'user', role: 'owner', emailAddress: owner }],
    madeByApp: false,
  }
}
