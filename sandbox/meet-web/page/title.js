// Clock, title and access button: at the bottom in April 2026, at the top since August (§5.2).
import { h, icon, id, tooltip } from './elements.js'
import { state, t } from './page-state.js'
import { togglePanel } from './panels.js'

export function clockAndTitle() {
  const { model } = state
  const april = model.layout === 'apr-2026'
  const title = model.title ?? model.code
  const [hour, half] = new Date()
    .toLocaleTimeString('en-US', { hour: 'numeric', minute: '2-digit' })
    .split(' ')
  const heading = h(
    'div',
    { role: 'heading', 'aria-level': april ? null : 1 },
    h('div', { jsname: 'NeC6gb', class: 'u6vdEc' }, title),
    tooltip(title, id('tt-')),
  )
  const holder = april
    ? h('div', { jscontroller: 'XMlCJe', 'data-meeting-title': title }, heading)
    : h('div', { jscontroller: 'CXNSjc' }, heading)
  return h(
    'div',
    { class: 'title-part' },
    h('span', { jsname: 'W5i7Bf' }, hour),
    h('span', { jsname: 'd1rraf' }, half),
    holder,
    april ? null : detailsButton(),
    accessButton(april),
  )
}

function accessButton(hidden) {
  const attributes = { jsname: 'kNx9ke', 'aria-label': t('openToAnyone'), class: 'round small' }
  const button = h('button', attributes, icon('meeting_room'))
  return h('span', { class: hidden ? 'flag' : '' }, button, tooltip(t('openToAnyone'), id('tt-')))
}

function detailsButton() {
  const button = h(
    'button',
    {
      role: 'button',
      jscontroller: 'PIVayb',
      jsname: 'A5il2e',
      'aria-label': t('details'),
      'aria-expanded': false,
      'aria-controls': 'ME4pNd',
      'data-panel-id': 5,
      class: 'round small',
      click: () => togglePanel(5),
    },
    h('span', { jsname: 'S5tZuc', 'aria-hidden': true }, icon('info'), icon('info')),
  )
  const wrapped = h('span', { 'data-is-tooltip-wrapper': true }, button, tooltip(t('details'), id('tt-')))
  return h('div', { jscontroller: 'rYZP8b', 'data-promo-anchor-id': 'K6uMk' }, wrapped)
}
