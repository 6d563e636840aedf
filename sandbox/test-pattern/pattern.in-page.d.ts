/** Types of the in-page pattern for programs in TypeScript; a page loads the `.js` as it is. */

export interface PatternSettings {
  /** 1 to 15: the number in the time code, the pitch and the slot within each second. */
  participant: number
  /** Written into the picture for humans. */
  name: string
  /** Picture size in px; made for 16:9, from 320×180 up. */
  width: number
  height: number
  fps: number
  /** Shared by several patterns of one page; without it the pattern makes and closes its own. */
  audioContext?: AudioContext
  /** Where the sound goes besides the stream, for example `audioContext.destination` to be heard in the tab. */
  destination?: AudioNode
}

export interface RunningPattern {
  /** One video track (the canvas, one frame per drawing) and one mono audio track. */
  stream: MediaStream
  canvas: HTMLCanvasElement
  /** Ends drawing, sound and both tracks. */
  stop(): void
}

export declare function startPattern(settings: PatternSettings): RunningPattern

export declare const layout: {
  panelWidth: number
  panelHeight: number
  margin: number
  ring: number
  gap: number
  columns: number
  rows: number
  cell: number
  flashRow: number
  widthShare: number
  topShare: number
}
export declare const codeModuloMs: number
export declare const codeStepMs: number
export declare const beepMs: number
export declare const maxParticipant: number
export declare function slotMs(participant: number): number
export declare function pitchHz(participant: number): number
export declare function checksum(bits: readonly number[]): number
export declare function codeCells(participant: number, codeMs: number): number[]
export declare function codeAt(wallMs: number): number
export declare function flashesAt(participant: number, codeMs: number): boolean
