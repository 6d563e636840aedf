/** Numbers of 32 bits, most significant byte first, as the tables of an MP4 hold them: a list that grows. */
export class WordList {
  #bytes = Buffer.alloc(1024)
  #length = 0

  /** How many numbers there are. */
  get length(): number {
    return this.#length / 4
  }

  /** Each number between -2³¹ and 2³²-1. */
  push(...numbers: readonly number[]): void {
    const neededBytes = this.#length + numbers.length * 4
    if (neededBytes > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(neededBytes, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
    }
    for (const number of numbers) {
      this.#bytes.writeInt32BE(number | 0, this.#length)
      this.#length += 4
    }
  }

  /** As a view: it is no longer true after the next `push`. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }
}
