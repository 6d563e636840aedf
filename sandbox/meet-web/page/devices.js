// Microphone and camera as the page knows them, and their two toggles.
import { h, icon, id, tooltip } from './elements.js'
import { announce } from './frame.js'
import { state, t } from './page-state.js'

const toggles = new Set()

/** Reads which devices there are and whether the page may use them; without permission everything is off. */
export async function readDevices() {
  const devices = await navigator.mediaDevices.enumerateDevices()
  const allowed = async name => (await navigator.permissions.query({ name })).state === 'granted'
  state.micMissing = !devices.some(device => device.kind === 'audioinput')
  state.cameraMissing = !devices.some(device => device.kind === 'videoinput')
  state.micMuted = state.micMissing || !(await allowed('microphone'))
  state.cameraMuted = state.cameraMissing || !(await allowed('camera'))
}

/** "Use microphone and camera": asks the browser as Meet does; a refusal leaves both off. */
export async function askForDevices() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
    for (const track of stream.getTracks()) track.stop()
  } catch (error) {
    if (!(error instanceof DOMException)) throw error
    console.warn(`devices refused: ${error.name}`)
  }
  await readDevices()
  redrawToggles()
}

const kinds = {
  mic: {
    jsname: 'hw0c9',
    on: 'micOn',
    off: 'micOff',
    problem: 'micProblem',
    icons: ['mic', 'mic_off'],
    wrapper: 'AXIsdd',
    promo: 'aSBQL',
  },
  camera: {
    jsname: 'psRWwc',
    on: 'cameraOn',
    off: 'cameraOff',
    problem: 'cameraProblem',
    icons: ['videocam', 'videocam_off'],
    wrapper: 'c3SwJc',
    promo: 'yhZxwc',
  },
}

/** `tag` 'div' is the older form of the green room's toggle (§3.1). */
export function deviceToggle(kind, tag = 'button') {
  const { jsname, wrapper, promo } = kinds[kind]
  const tooltipId = id('tt-')
  const button = h(tag, {
    role: 'button',
    tabindex: tag === 'div' ? 0 : null,
    jscontroller: 'PIVayb',
    jsname,
    'data-tooltip-id': tooltipId,
    'data-promo-anchor-id': promo,
    class: 'round',
    click: () => toggle(kind),
  })
  const tip = tooltip('', tooltipId)
  toggles.add({ kind, button, tip })
  redrawToggles()
  return h('div', { jscontroller: wrapper }, h('span', { 'data-is-tooltip-wrapper': true }, button, tip))
}

function toggle(kind) {
  const [muted, missing] = kind === 'mic' ? ['micMuted', 'micMissing'] : ['cameraMuted', 'cameraMissing']
  if (!state[missing]) state[muted] = !state[muted]
  if (kind === 'mic' && state.micMuted) announce(t('micIsOff'))
  redrawToggles()
}

function redrawToggles() {
  for (const { kind, button, tip } of toggles) {
    const { on, off, problem, icons } = kinds[kind]
    const [muted, missing] =
      kind === 'mic' ? [state.micMuted, state.micMissing] : [state.cameraMuted, state.cameraMissing]
    const label = missing ? t(problem) : t(muted ? on : off)
    button.setAttribute('data-is-muted', String(muted))
    button.setAttribute('aria-label', label)
    tip.textContent = kind === 'mic' ? `${label} (${t('micShortcut')})` : label
    const glyph = icon(icons[muted ? 1 : 0])
    button.replaceChildren(h('span', { jsname: 'S5tZuc', 'aria-hidden': true }, glyph))
  }
}
