import { checksum, codeStepMs, layout } from './pattern.in-page.js'

/** Outer edges of a panel's white ring, in px of the frame, as fractions of a pixel. */
export interface Tile {
  left: number
  top: number
  right: number
  bottom: number
}

export interface TileReading {
  participant: number
  /** Time code as shown, below `codeModuloMs`. */
  codeMs: number
  /** Whether the flash bar is lit. */
  flash: boolean
}

export interface Picture {
  luma: Uint8Array
  width: number
  height: number
}

/** Luma between black and white, in limited and in full range alike. */
const middle = 120
/** Shortest ring looked for: that of a tile about 100 px wide. */
const shortestRing = 60
/** A ring seen through two lossy codecs may be off by this share of its width. */
const tolerance = 0.04
/** Least difference between white and black of a readable panel. */
const leastContrast = 60

const ringWidthUnits = layout.panelWidth - 2 * layout.margin
const ringHeightUnits = layout.panelHeight - 2 * layout.margin
/** From the ring's outer edge to the first cell. */
const cellsAt = layout.ring + layout.gap

interface Edge {
  x0: number
  x1: number
  y0: number
  y1: number
}

/** Every readable panel in the picture, wherever and however large it is; the largest first. */
export function findTiles(picture: Picture): { tile: Tile; reading: TileReading }[] {
  const found: { tile: Tile; reading: TileReading }[] = []
  const edges = longEdges(picture)
  edges.forEach((upper, index) => {
    const width = upper.x1 - upper.x0
    const near = Math.max(3, width * tolerance)
    for (const lower of edges.slice(index)) {
      if (Math.abs(lower.x0 - upper.x0) > near || Math.abs(lower.x1 - upper.x1) > near) continue
      const ratio = (lower.y1 - upper.y0) / width / (ringHeightUnits / ringWidthUnits)
      if (ratio < 0.85 || ratio > 1.15) continue
      const tile = sharpen(picture, { left: upper.x0, right: upper.x1, top: upper.y0, bottom: lower.y1 })
      const reading = tile && readTile(picture, tile)
      if (tile && typeof reading === 'object') found.push({ tile, reading })
    }
  })
  return found.sort((a, b) => b.tile.right - b.tile.left - (a.tile.right - a.tile.left))
}

/** Long horizontal bright lines: rows of a bright run with the same ends, joined where they touch. */
function longEdges({ luma, width, height }: Picture): Edge[] {
  const isBright = (index: number) => (luma[index] ?? 0) >= middle
  const edges: Edge[] = []
  let open: Edge[] = []
  for (let y = 0; y < height; y += 1) {
    const row = y * width
    const still: Edge[] = []
    // A run of at least `shortestRing` cannot hide between steps of half of it.
    for (let x = 0; x < width; x += shortestRing / 2) {
      if (!isBright(row + x)) continue
      let x0 = x
      while (x0 > 0 && isBright(row + x0 - 1)) x0 -= 1
      let x1 = x + 1
      while (x1 < width && isBright(row + x1)) x1 += 1
      x += Math.floor((x1 - x) / (shortestRing / 2)) * (shortestRing / 2)
      if (x1 - x0 < shortestRing) continue
      const near = Math.max(3, (x1 - x0) * tolerance)
      const same = open.find(edge => Math.abs(edge.x0 - x0) <= near && Math.abs(edge.x1 - x1) <= near)
      if (same) {
        same.y1 = y + 1
        still.push(same)
      } else {
        const edge = { x0, x1, y0: y, y1: y + 1 }
        edges.push(edge)
        still.push(edge)
      }
    }
    open = still
  }
  return edges
}

/** Moves each side of a rough ring to where the luma passes `middle`, between pixels. */
function sharpen({ luma, width, height }: Picture, rough: Tile): Tile | undefined {
  const at = (x: number, y: number) => luma[y * width + x] ?? 0
  // Not so far that it leaves the black margin, which is 3.6 % of the ring's width.
  const reach = Math.max(2, Math.round((rough.right - rough.left) * 0.03))
  const cross = (from: number, step: number, limit: number, value: (at: number) => number) => {
    for (let distance = 0; distance <= 2 * reach; distance += 1) {
      const outside = Math.round(from) + (distance - reach) * step
      const inside = outside + step
      if (Math.min(outside, inside) < 0 || Math.max(outside, inside) >= limit) continue
      const [dark, bright] = [value(outside), value(inside)]
      if (dark < middle && bright >= middle) return outside + 0.5 + (step * (middle - dark)) / (bright - dark)
    }
    return undefined
  }
  const along = (low: number, high: number, find: (position: number) => number | undefined) => {
    const hits = [0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85]
      .map(share => find(Math.round(low + (high - low) * share)))
      .filter(hit => hit !== undefined)
      .sort((a, b) => a - b)
    return hits[Math.floor(hits.length / 2)]
  }
  const { left, right, top, bottom } = rough
  const tile = {
    left: along(top, bottom, y => cross(left, 1, width, x => at(x, y))),
    right: along(top, bottom, y => cross(right - 1, -1, width, x => at(x, y))),
    top: along(left, right, x => cross(top, 1, height, y => at(x, y))),
    bottom: along(left, right, x => cross(bottom - 1, -1, height, y => at(x, y))),
  }
  if (Object.values(tile).includes(undefined)) return undefined
  return tile as Tile
}

/**
 * Reads the panel at a known place. `'unreadable'`: a ring is there, but the code fails its checksum. `'absent'`:
 * no ring is there.
 */
export function readTile(
  { luma, width, height }: Picture,
  tile: Tile,
): TileReading | 'unreadable' | 'absent' {
  const unitX = (tile.right - tile.left) / ringWidthUnits
  const unitY = (tile.bottom - tile.top) / ringHeightUnits
  if (tile.left < 0 || tile.top < 0 || tile.right > width || tile.bottom > height) return 'absent'
  const at = (x: number, y: number) =>
    luma[Math.floor(tile.top + y * unitY) * width + Math.floor(tile.left + x * unitX)] ?? 0
  /** Points along the middle of a frame of one ring's thickness that lies `depth` units inside the ring. */
  const around = (depth: number) => {
    const values: number[] = []
    const [w, h] = [ringWidthUnits - 2 * depth, ringHeightUnits - 2 * depth]
    for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      values.push(at(depth + w * share, depth), at(depth + w * share, depth + h))
      values.push(at(depth, depth + h * share), at(depth + w, depth + h * share))
    }
    return values
  }
  const ring = around(layout.ring / 2)
  const gap = around(layout.ring + layout.gap / 2)
  const white = mean(ring)
  const black = mean(gap)
  const threshold = (white + black) / 2
  const odd = ring.filter(value => value < threshold).length + gap.filter(value => value > threshold).length
  if (white - black < leastContrast || odd > 4) return 'absent'

  const cell = (column: number, row: number, columns: number) => {
    let sum = 0
    for (const shareX of inCell) {
      for (const shareY of inCell) {
        sum += at(cellsAt + (column + shareX * columns) * layout.cell, cellsAt + (row + shareY) * layout.cell)
      }
    }
    return sum / inCell.length ** 2 > threshold ? 1 : 0
  }
  const bits = Array.from({ length: layout.columns * layout.rows }, (_, index) =>
    cell(index % layout.columns, Math.floor(index / layout.columns), 1),
  )
  const number = (from: number, to: number) =>
    bits.slice(from, to).reduce<number>((value, bit) => value * 2 + bit, 0)
  if (checksum(bits.slice(0, 24)) !== number(24, 36) || number(0, 4) === 0) return 'unreadable'
  return {
    participant: number(0, 4),
    codeMs: number(4, 24) * codeStepMs,
    flash: cell(0, layout.flashRow, layout.columns) === 1,
  }
}

/** Where a cell is sampled: its inner half, away from its neighbours' blur. */
const inCell = [0.3, 0.43, 0.57, 0.7]

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
