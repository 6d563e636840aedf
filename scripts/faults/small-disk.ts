import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'

/** A file system that can be filled without harm to anybody else. */
export interface SmallDisk {
  /** What `addRecorder` needs to put a recorder on it. */
  place: { diskBytes: number } | { dataDir: string }
  /** Said where it is not one of the recorder's own. */
  note?: string
}

/** No file system of this machine may be filled. */
export class NoSmallDisk extends Error {
  readonly code = 'no_small_disk'
}

const LARGEST_BYTES = 512 * 1024 * 1024

/**
 * A tmpfs of its own in a private mount namespace, or where that is forbidden (some containers) an existing small one,
 * such as a container's /dev/shm: to be full, it is filled for all.
 * @throws {NoSmallDisk}
 */
export function findSmallDisk(wantedBytes: number, name: string): SmallDisk {
  const isRoot = process.getuid?.() === 0
  const probe = ['sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /tmp']
  const { status } = spawnSync('unshare', [isRoot ? '-m' : '-rm', ...probe], { stdio: 'ignore' })
  if (status === 0) return { place: { diskBytes: wantedBytes } }
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, folder = '', type] = line.split(' ')
    if (type === 'tmpfs' && isRoomy(folder, wantedBytes / 2))
      return {
        place: { dataDir: join(folder, name) },
        note: `a private mount is forbidden; ${folder} was filled`,
      }
  }
  throw new NoSmallDisk(
    `There is no disk to fill: this machine forbids private mounts (unshare), and has no writable tmpfs of at most ${LARGEST_BYTES / 1024 / 1024} MiB with ${wantedBytes / 2 / 1024 / 1024} MiB free`,
  )
}

function isRoomy(folder: string, leastBytes: number): boolean {
  try {
    accessSync(folder, constants.W_OK)
    const { bsize, blocks, bavail } = statfsSync(folder)
    return bsize * blocks <= LARGEST_BYTES && bsize * bavail >= leastBytes
  } catch (error) {
    if (['EACCES', 'ENOENT', 'EROFS', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false
    throw error
  }
}
