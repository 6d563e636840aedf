// What the modules of the page know in common.

export const state = {
  /** The meeting as the server describes it. */
  model: null,
  texts: {},
  screen: 'loading',
  people: [],
  self: { id: '', name: '' },
  micMuted: true,
  cameraMuted: true,
  micMissing: false,
  cameraMissing: false,
}

/** A text in the page's language; `{name}` places are filled from `values`. */
export function t(key, values = {}) {
  const text = state.texts[key]
  if (text === undefined) throw new Error(`no text "${key}"`)
  return text.replaceAll(/\{(\w+)\}/g, (_, name) => values[name] ?? '')
}
