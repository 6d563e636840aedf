// Cuts a live Matroska stream (RFC 9559) into its header and its blocks, as MediaRecorder and ffmpeg write it.

const EBML = 0x1a45dfa3
const SEGMENT = 0x18538067
const INFO = 0x1549a966
const TIMESTAMP_SCALE = 0x2ad7b1
const TRACKS = 0x1654ae6b
const TRACK_ENTRY = 0xae
const TRACK_NUMBER = 0xd7
const TRACK_TYPE = 0x83
const CLUSTER = 0x1f43b675
const TIMESTAMP = 0xe7
const SIMPLE_BLOCK = 0xa3
const BLOCK_GROUP = 0xa0
const BLOCK = 0xa1

/** A cluster of unknown size: blocks may follow for as long as they like. */
const CLUSTER_HEAD = Buffer.from('1f43b67501ffffffffffffff', 'hex')
const SEGMENT_HEAD = Buffer.from('1853806701ffffffffffffff', 'hex')
const MAX_ELEMENT_BYTES = 64 * 1024 * 1024

class NotMatroska extends Error {}

export interface Block {
  kind: 'picture' | 'sound' | 'other'
  /** Whether it is a picture that can be decoded alone. */
  key: boolean
  timeMs: number
  /** The block as it stands in its cluster. */
  bytes: Buffer
  /** A cluster of its time, to be written before it when it is the first block after anything else. */
  cluster: Buffer
  /** Whether it is the first block of its cluster. */
  opensCluster: boolean
}

export interface MatroskaCutter {
  /** The blocks that are whole after these bytes came. */
  push(bytes: Buffer): Block[]
  /** Everything before the first cluster, or undefined before it is whole. */
  header(): Buffer | undefined
  /** What came and cannot be cut because it is no Matroska; undefined as long as all is well. Push no more then. */
  foreign(): Buffer | undefined
}

/** One stream cut as it comes; sizes of clusters, indexes and checksums are left out, so that it can go on anywhere. */
export function cutMatroska(): MatroskaCutter {
  let held: Buffer = Buffer.alloc(0)
  const head: Buffer[] = []
  let headIsWhole = false
  let isForeign = false
  let scaleMs = 1
  let kinds = new Map<number, Block['kind']>()
  let cluster: { bytes: Buffer; timestamp: number; isFresh: boolean } | undefined

  const readBlock = (id: number, bytes: Buffer, content: Buffer): Block => {
    if (cluster === undefined) throw new NotMatroska('a block stands before the time of its cluster')
    // A group says in other elements whether it can be decoded alone; it is not taken for a key frame.
    const block =
      id === SIMPLE_BLOCK ? content : childrenOf(content).find(child => child.id === BLOCK)?.content
    if (block === undefined) throw new NotMatroska('a group holds no block')
    const track = readNumber(block, 0, false)
    const kind = kinds.get(track?.value ?? -1) ?? 'other'
    const at = track?.bytes ?? 1
    const opensCluster = cluster.isFresh
    cluster.isFresh = false
    return {
      kind,
      key: kind === 'picture' && id === SIMPLE_BLOCK && (block.readUInt8(at + 2) & 0x80) !== 0,
      timeMs: (cluster.timestamp + block.readInt16BE(at)) * scaleMs,
      bytes,
      cluster: cluster.bytes,
      opensCluster,
    }
  }
  const take = (id: number, bytes: Buffer, content: Buffer): Block | undefined => {
    if (id === SIMPLE_BLOCK || id === BLOCK_GROUP) return readBlock(id, bytes, content)
    if (id === TIMESTAMP) {
      cluster = {
        bytes: Buffer.concat([CLUSTER_HEAD, bytes]),
        timestamp: readUnsigned(content),
        isFresh: true,
      }
      return undefined
    }
    if (id === INFO) {
      const scale = childrenOf(content).find(child => child.id === TIMESTAMP_SCALE)
      if (scale !== undefined) scaleMs = readUnsigned(scale.content) / 1_000_000
    }
    if (id === TRACKS) kinds = readKinds(content)
    if (id === EBML || id === INFO || id === TRACKS) head.push(bytes)
    return undefined
  }
  /** Cuts what is held into `blocks`; gives how far it came through `cutAt`, also when it throws. */
  const cut = (blocks: Block[], cutAt: (at: number) => void) => {
    for (let at = 0; ; cutAt(at)) {
      const element = readElementHead(held, at)
      if (element === undefined) return
      const { id, headBytes, sizeBytes } = element
      if (id === SEGMENT || id === CLUSTER) {
        // What stands in them is read one by one, wherever they end.
        if (id === SEGMENT) head.push(SEGMENT_HEAD)
        else headIsWhole = true
        at += headBytes
        continue
      }
      if (sizeBytes > MAX_ELEMENT_BYTES || (head.length === 0 && id !== EBML)) {
        throw new NotMatroska(`an element ${id.toString(16)} of ${sizeBytes} bytes`)
      }
      const end = at + headBytes + sizeBytes
      if (end > held.length) return
      const block = take(id, held.subarray(at, end), held.subarray(at + headBytes, end))
      if (block !== undefined) blocks.push(block)
      at = end
    }
  }
  return {
    push(bytes) {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
      const blocks: Block[] = []
      let doneBytes = 0
      try {
        cut(blocks, at => {
          doneBytes = at
        })
      } catch (error) {
        // A RangeError is a block too short for what it must hold.
        if (!(error instanceof NotMatroska || error instanceof RangeError)) throw error
        isForeign = true
      }
      held = held.subarray(doneBytes)
      return blocks
    },
    header: () => (headIsWhole || isForeign ? Buffer.concat(head) : undefined),
    foreign: () => (isForeign ? held : undefined),
  }
}

interface Element {
  id: number
  content: Buffer
}

function childrenOf(content: Buffer): Element[] {
  const children: Element[] = []
  for (let at = 0; ; ) {
    const head = readElementHead(content, at)
    if (head === undefined) return children
    const startAt = at + head.headBytes
    at = startAt + head.sizeBytes
    if (at > content.length) return children
    children.push({ id: head.id, content: content.subarray(startAt, at) })
  }
}

function readKinds(tracks: Buffer): Map<number, Block['kind']> {
  const kinds = new Map<number, Block['kind']>()
  for (const { id, content } of childrenOf(tracks)) {
    if (id !== TRACK_ENTRY) continue
    const entry = new Map(childrenOf(content).map(child => [child.id, child.content]))
    const type = readUnsigned(entry.get(TRACK_TYPE) ?? Buffer.alloc(0))
    const kind = type === 1 ? 'picture' : type === 2 ? 'sound' : 'other'
    kinds.set(readUnsigned(entry.get(TRACK_NUMBER) ?? Buffer.alloc(0)), kind)
  }
  return kinds
}

function readElementHead(bytes: Buffer, at: number) {
  const id = readNumber(bytes, at, true)
  if (id === undefined) return undefined
  const size = readNumber(bytes, at + id.bytes, false)
  if (size === undefined) return undefined
  return { id: id.value, headBytes: id.bytes + size.bytes, sizeBytes: size.value }
}

/** A number of variable size (RFC 8794 §4): an id keeps its length marker, a size does not. */
function readNumber(bytes: Buffer, at: number, keepMarker: boolean) {
  const first = bytes[at]
  if (first === undefined) return undefined
  const length = Math.clz32(first) - 23
  if (length > 8) throw new NotMatroska('a number of more than 8 bytes')
  if (at + length > bytes.length) return undefined
  let value = keepMarker ? first : first & (0xff >> length)
  for (let index = 1; index < length; index++) value = value * 256 + (bytes[at + index] ?? 0)
  return { value, bytes: length }
}

function readUnsigned(content: Buffer): number {
  return content.reduce((value, byte) => value * 256 + byte, 0)
}
