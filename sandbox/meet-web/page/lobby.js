// The waiting room: the call's frame without foreign tiles and panel buttons (meet-dom-structures.md §4).
import { buildBottomBar } from './bottom-bar.js'
import { h, icon } from './elements.js'
import { showLayers } from './frame.js'
import { state, t } from './page-state.js'

export function showLobby() {
  const back = h(
    'button',
    { 'aria-label': t('returnHome'), class: 'round', click: () => location.assign('/') },
    '←',
  )
  const effects = h('button', { 'aria-label': t('effects') }, icon('visual_effects'))
  // The own preview carries a participant's mark here too (meet-web-facts.md §4).
  const mark = { 'data-participant-id': `spaces/${state.model.code}/devices/0` }
  const ownPreview = h('div', { class: 'lobby-self', ...mark }, effects)
  showLayers({
    top: h('div', { class: 'top' }, back),
    stage: h(
      'main',
      { class: 'axUSnc lobby' },
      ownPreview,
      h('div', { role: 'heading', 'aria-level': 2 }, t('lobbyTitle')),
      h('div', { class: 'lobby-text' }, t('lobbyText')),
      h('div', { class: 'lobby-text' }, t('lobbyWait')),
    ),
    captions: null,
    right: null,
    left: null,
    bottom: buildBottomBar(false),
    corner: null,
  })
}
