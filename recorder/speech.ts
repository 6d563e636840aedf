/** A stretch of media time (ms since the attempt's first picture) in which the page showed somebody speaking. */
export interface Speech {
  fromMs: number
  toMs: number
}

/** Speech that goes on is seen a few times a second; this much around each moment is taken for spoken. */
const AROUND_MS = 250

/** Adds a moment at which somebody spoke to stretches in order of time; the last one grows or a new one begins. */
export function addSpeech(speech: readonly Speech[], atMs: number): Speech[] {
  const fromMs = Math.max(0, Math.round(atMs - AROUND_MS))
  const toMs = Math.round(atMs + AROUND_MS)
  if (toMs <= 0) return [...speech]
  const last = speech.at(-1)
  if (last !== undefined && fromMs <= last.toMs)
    return [...speech.slice(0, -1), { fromMs: last.fromMs, toMs: Math.max(last.toMs, toMs) }]
  return [...speech, { fromMs, toMs }]
}
