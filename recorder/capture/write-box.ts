// Boxes of an MP4 (ISO/IEC 14496-12 §4.2), written.
import { HEADER_BYTES } from './mp4-boxes.ts'

/** A box of this type (four letters) with these contents behind one another; up to 4 GiB. */
export function box(type: string, ...content: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(HEADER_BYTES + content.reduce((sum, { length }) => sum + length, 0))
  header.write(type, 4, 'latin1')
  return Buffer.concat([header, ...content])
}

/** Numbers of 32 bits, signed or not. */
export function words(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4)
  for (const [index, number] of numbers.entries()) bytes.writeInt32BE(number | 0, index * 4)
  return bytes
}
