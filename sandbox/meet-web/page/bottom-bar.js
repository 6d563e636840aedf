// The bar with the call controls: meet-dom-structures.md §5.4.
import { toggleCaptions } from './captions.js'
import { did, tell } from './connection.js'
import { deviceToggle } from './devices.js'
import { h, icon, id, tooltip } from './elements.js'
import { openLeaveMenu, openMoreMenu } from './menus.js'
import { state, t } from './page-state.js'
import { togglePanel } from './panels.js'
import { clockAndTitle } from './title.js'

/** `inCall` false is the waiting room: microphone, camera, reactions and leave only, no panel buttons (§4). */
export function buildBottomBar(inCall) {
  const april = state.model.layout === 'apr-2026'
  const left = h('div', { class: 'lefKC' }, anchor('start'), april && inCall ? clockAndTitle() : null)
  const controls = h(
    'div',
    { jsname: 'vNB5le', role: 'region', 'aria-label': t('callControls'), class: 'centre' },
    ...(inCall ? callControls() : lobbyControls()),
    anchor('center'),
  )
  const right = h(
    'div',
    { class: 'jsNRx' },
    h('nav', { class: 'tMdQNe' }, ...(inCall ? panelButtons() : [])),
    anchor('end'),
  )
  return h(
    'div',
    { jsname: 'EaZ7Cc' },
    h('div', { class: 'UnvNgf', 'data-is-auto-rejoin': false }, left, controls, right),
  )
}

function anchor(place) {
  const hint = place === 'center' ? null : h('span', { class: 'flag' }, t('extensionHint'))
  return h('div', { id: `browser-extension-${place}-buttons` }, hint)
}

/**
 * One control: wrapper, real button with role=button, ligature, and the tooltip that repeats the label.
 */
export function control({
  jsname,
  wrapper,
  label,
  glyph,
  attributes = {},
  click,
  tip = label,
  outer,
  twice = false,
}) {
  const tooltipId = id('tt-')
  const glyphs = h('span', { jsname: 'S5tZuc', 'aria-hidden': true }, icon(glyph), twice ? icon(glyph) : null)
  const button = h(
    'button',
    {
      role: 'button',
      jscontroller: 'PIVayb',
      jsname,
      'aria-label': label,
      'data-tooltip-id': tooltipId,
      class: 'round',
      click: click ?? (() => did('control', { label })),
      ...attributes,
    },
    h('span', { class: 'XjoK4b' }),
    glyphs,
  )
  const wrapped = h('span', { 'data-is-tooltip-wrapper': true }, button, tooltip(tip, tooltipId))
  return h('div', { jscontroller: wrapper, ...outer }, wrapped)
}

const popup = { 'aria-haspopup': 'dialog', 'aria-expanded': false }

function settingsArrow(label) {
  const glyph = 'keyboard_arrow_up'
  return control({
    jsname: 'ndfw3d',
    wrapper: 'Eur95e',
    label,
    glyph,
    attributes: { ...popup, class: 'round small' },
  })
}

function reactions() {
  const attributes = { 'aria-pressed': false, 'aria-expanded': false }
  return control({ jsname: 'G0pghc', wrapper: 'M3NJxf', label: t('reaction'), glyph: 'mood', attributes })
}

function lobbyControls() {
  return [deviceToggle('mic'), deviceToggle('camera'), reactions(), leave()]
}

function callControls() {
  return [
    settingsArrow(t('audioSettings')),
    deviceToggle('mic'),
    settingsArrow(t('videoSettings')),
    deviceToggle('camera'),
    control({
      jsname: 'hNGZQc',
      wrapper: 'Ur0fCe',
      label: t('shareScreen'),
      glyph: 'computer_arrow_up',
      attributes: { 'data-promo-anchor-id': 'hNGZQc' },
    }),
    reactions(),
    captions(),
    hand(),
    control({
      jsname: 'NakZHc',
      wrapper: 'ZEUvv',
      outer: { jsname: 'aGHX8e' },
      label: t('moreOptions'),
      glyph: 'more_vert',
      attributes: { 'aria-haspopup': 'menu', 'aria-expanded': false, 'data-promo-anchor-id': 'aGHX8e' },
      click: openMoreMenu,
    }),
    leave(),
  ]
}

function captions() {
  const april = state.model.layout === 'apr-2026'
  const part = control({
    jsname: 'RrG0hf',
    wrapper: april ? 'iBwifb' : 'aevrLd',
    outer: april ? {} : { jsname: 'wOezY' },
    label: t('captionsOn'),
    glyph: 'closed_caption_off',
    click: () => {
      const on = toggleCaptions()
      const label = t(on ? 'captionsOff' : 'captionsOn')
      const button = part.querySelector('button')
      button.setAttribute('aria-label', label)
      button.querySelector('i').replaceWith(icon(on ? 'closed_caption' : 'closed_caption_off'))
      part.querySelector('[role=tooltip]').textContent = label
    },
  })
  return part
}

function hand() {
  let raised = false
  const part = control({
    jsname: 'FpSaz',
    wrapper: 'LtjzW',
    outer: { jsname: 'Bd6YIb' },
    label: t('raiseHand'),
    glyph: 'back_hand',
    twice: true,
    attributes: { jscontroller: 'WD3M3d', 'aria-pressed': false, 'data-promo-anchor-id': 'e7iErc' },
    click: () => {
      raised = !raised
      const button = part.querySelector('button')
      button.setAttribute('aria-pressed', String(raised))
      button.setAttribute('aria-label', t(raised ? 'lowerHand' : 'raiseHand'))
      button.classList.toggle('HlOR8e', raised)
    },
  })
  return part
}

function leave() {
  const confirm = state.model.hostSeat
  const attribute = state.model.layout === 'aug-2026' ? confirm : null
  return control({
    jsname: 'CQylAd',
    wrapper: 'm1IMT',
    outer: { class: 'NHaLPe', 'data-should-confirm-hangup': attribute },
    label: t('leaveCall'),
    glyph: 'call_end',
    attributes: { class: 'round leave' },
    click: () =>
      confirm && state.screen === 'call' ? openLeaveMenu() : tell({ type: 'leave', button: 'leave-button' }),
  })
}

function panelButtons() {
  const panel = (number, wrapper, label, glyph, promo, outer) =>
    control({
      jsname: 'A5il2e',
      wrapper,
      outer,
      label,
      glyph,
      twice: true,
      attributes: {
        'aria-expanded': false,
        'aria-controls': 'ME4pNd',
        'data-panel-id': number,
        'data-promo-anchor-id': promo,
      },
      click: () => togglePanel(number),
    })
  const warning = control({
    jsname: 'OfoTlf',
    wrapper: 'x2MhAc',
    outer: { class: 'eLNT1d' },
    label: t('endingSoon'),
    tip: t(state.model.layout === 'apr-2026' ? 'endsSoonTooltipApril' : 'endsSoonTooltip'),
    glyph: 'alarm',
    attributes: popup,
  })
  return [
    warning,
    state.model.layout === 'apr-2026' ? panel(5, 'rYZP8b', t('details'), 'info', 'K6uMk') : null,
    panel(2, 'rYZP8b', t('chat'), 'chat', 'pFez5e', { jsname: 'S5EFRd' }),
    panel(10, 'nl7Wy', t('tools'), 'apps', 'xQywmc'),
    state.model.hostSeat ? panel(16, 'upoJje', t('hostControls'), 'lock_person') : null,
  ]
}
