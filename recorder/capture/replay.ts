// The last seconds of the captured stream, kept so that another ffmpeg can take over where one died.
import { type Block, cutMatroska } from './matroska-blocks.ts'

const MOST_KEPT_BYTES = 32 * 1024 * 1024

export interface Replay {
  /**
   * The stream from the oldest that is kept on, then as it comes, until the source or `close()` ends it. A reader that
   * leaves loses nothing for the next one. Never throws.
   */
  read(): AsyncIterable<Buffer>
  /** From where a new reader would begin; undefined when it would not begin with a key frame. */
  resumePoint(): ResumePoint | undefined
  /** Lets go of what lies before the last key frame at or before this time. */
  forget(beforeMs: number): void
  /** Whether the stream is over. */
  isOver(): boolean
  /** Ends the stream after what has come; tells the source that nobody reads on. */
  close(): void
}

/** Times as the stream itself has them. */
export interface ResumePoint {
  pictureMs: number
  /** The first sound that is kept; undefined when there is none. */
  soundMs: number | undefined
}

/**
 * Keeps what came since the last `forget`, at most 32 MiB: then the oldest goes, up to a key frame. A stream that is no
 * Matroska is handed on as it is and not kept.
 * @param onError told when the source breaks, which ends the stream
 */
export function keepReplay(
  source: AsyncIterable<Buffer>,
  onError: (error: unknown) => void,
  mostKeptBytes = MOST_KEPT_BYTES,
): Replay {
  const items = source[Symbol.asyncIterator]()
  const cutter = cutMatroska()
  let kept: Block[] = []
  let keptBytes = 0
  /** How many blocks went before `kept[0]`. */
  let forgotten = 0
  let raw: Buffer[] | undefined
  let over = false
  const closed = Promise.withResolvers<void>()
  let pulling: Promise<void> | undefined

  const dropTo = (index: number) => {
    for (const { bytes } of kept.slice(0, index)) keptBytes -= bytes.length
    kept = kept.slice(index)
    forgotten += index
  }
  const add = (bytes: Buffer) => {
    if (raw !== undefined) {
      raw.push(bytes)
      return
    }
    const countBefore = kept.length
    for (const block of cutter.push(bytes)) {
      kept.push(block)
      keptBytes += block.bytes.length
    }
    const foreign = cutter.foreign()
    if (foreign !== undefined) raw = [foreign]
    while (keptBytes > mostKeptBytes) {
      // What has just come is not read yet.
      const next = kept.findIndex(({ key }, index) => index > 0 && index < countBefore && key)
      dropTo(next === -1 ? countBefore : next)
      if (next === -1) break
    }
  }
  const pull = () => {
    pulling ??= (async () => {
      try {
        const item = await items.next()
        if (item.done) over = true
        else add(item.value)
      } catch (error) {
        over = true
        onError(error)
      } finally {
        pulling = undefined
      }
    })()
    return Promise.race([pulling, closed.promise])
  }
  async function* read(): AsyncGenerator<Buffer> {
    let at = forgotten
    let headerSent = false
    let opened = false
    while (true) {
      const pieces: Buffer[] = []
      const header = cutter.header()
      if (!headerSent && header !== undefined) {
        headerSent = true
        pieces.push(header)
      }
      for (const block of kept.slice(Math.max(0, at - forgotten))) {
        if (block.opensCluster || !opened) pieces.push(block.cluster)
        opened = true
        pieces.push(block.bytes)
      }
      at = forgotten + kept.length
      if (raw !== undefined) pieces.push(...raw.splice(0))
      if (pieces.length > 0) yield Buffer.concat(pieces)
      else if (over) return
      else await pull()
    }
  }
  return {
    read,
    resumePoint() {
      const first = kept[0]
      if (raw !== undefined || first === undefined || !first.key) return undefined
      return { pictureMs: first.timeMs, soundMs: kept.find(({ kind }) => kind === 'sound')?.timeMs }
    },
    forget(beforeMs) {
      const index = kept.findLastIndex(({ key, timeMs }) => key && timeMs <= beforeMs)
      if (index > 0) dropTo(index)
    },
    isOver: () => over,
    close() {
      over = true
      closed.resolve()
      // A source that hangs answers never, so nobody waits for it.
      items.return?.()?.catch(() => undefined)
    },
  }
}
