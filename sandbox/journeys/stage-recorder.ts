import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { withTimeout } from '../../clock.ts'
import { type ServiceProcess, startService } from '../../scripts/service-process.ts'

/** A recorder on a machine of its own, as far as one machine can pretend: name, disk and wall clock. */
export interface StageRecorder extends AsyncDisposable {
  /** Host name. */
  name: string
  /** Its disk. */
  dataDir: string
  /** The process that runs, or ran last. */
  process: ServiceProcess
  /** Is it alive? */
  runs(): boolean
  /** Starts it again with the disk it has, when it is not running. */
  start(): Promise<void>
  /** Ends it in order, leaving its calls at once (SIGINT), and waits for its end. */
  stop(): Promise<void>
  /** Ends it as a platform does (SIGTERM): it may take its time. Gives what its end looked like. */
  drain(limitMs: number): Promise<string>
  /** Its disk is lost with everything on it. */
  loseDisk(): Promise<void>
  /** Steps its wall clock, in milliseconds ahead of the real one. */
  setClockAhead(ms: number): Promise<void>
}

export interface StageRecorderOptions {
  name: string
  dataDir: string
  env: Record<string, string | undefined>
  onOutput?: ((text: string) => void) | undefined
  /** Its disk is a file system of its own with room for so many bytes (Linux, needs the right to mount). */
  diskBytes?: number
}

const STEPPED_CLOCK = new URL('../stepped-clock.ts', import.meta.url).href

/** Starts a recorder and waits until it takes jobs. */
export async function startStageRecorder(options: StageRecorderOptions): Promise<StageRecorder> {
  const { name, dataDir, onOutput, diskBytes } = options
  await mkdir(dirname(dataDir), { recursive: true })
  const clockFile = `${dataDir}.clock`
  await writeFile(clockFile, '0')
  const env = {
    ...options.env,
    TESTIGO_RECORDER_HOST: name,
    TESTIGO_DATA_DIR: dataDir,
    NODE_OPTIONS: `--import=${STEPPED_CLOCK}`,
    SANDBOX_CLOCK_FILE: clockFile,
  }
  let alive = false
  const begin = async () => {
    await mkdir(dataDir, { recursive: true })
    const service = await startService('recorder/main.ts', env, {
      ready: /recorder .* is ready/,
      ...(onOutput ? { onOutput } : {}),
      ...(diskBytes === undefined ? {} : { startedBy: onDiskOf(diskBytes, dataDir) }),
    })
    alive = true
    service.died.catch(() => {
      alive = false
    })
    return service
  }
  // A command that ends by an error must not leave bots in calls that are no more.
  const endWithUs = () => endAllOn(dataDir)
  process.once('exit', endWithUs)
  const recorder: StageRecorder = {
    name,
    dataDir,
    process: await begin(),
    runs: () => alive,
    async start() {
      if (!alive) recorder.process = await begin()
    },
    async stop() {
      await recorder.process.stop()
      alive = false
    },
    async drain(limitMs) {
      process.kill(recorder.process.pid, 'SIGTERM')
      const ended = recorder.process.died.catch((error: Error) => error.message)
      return await withTimeout(ended, limitMs, `the end of the recorder ${name}`)
    },
    loseDisk: () => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }),
    setClockAhead: ms => writeFile(clockFile, String(ms)),
    async [Symbol.asyncDispose]() {
      await recorder.stop()
      // A recorder that was killed leaves its children behind, as it should; not so the stage.
      endAllOn(dataDir)
      process.off('exit', endWithUs)
      await Promise.all(
        [dataDir, clockFile].map(path => rm(path, { recursive: true, force: true, maxRetries: 5 })),
      )
    },
  }
  return recorder
}

/** Ends everything that was started with this data folder, whoever its parent is by now. */
function endAllOn(dataDir: string): void {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    if (environmentOf(name).includes(`TESTIGO_DATA_DIR=${dataDir}`)) end(Number(name))
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch (error) {
    // Gone, or somebody else's.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return []
    throw error
  }
}

/** A mount namespace of its own with a small tmpfs at the data folder; root's, or that of a user namespace. */
function onDiskOf(bytes: number, dataDir: string): string[] {
  const isRoot = process.getuid?.() === 0
  const mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
  return ['unshare', isRoot ? '-m' : '-rm', 'sh', '-c', mount, 'sh', String(bytes), dataDir]
}
