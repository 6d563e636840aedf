// The chips over the stage: meet-dom-structures.md §5.1.
import { h, icon, id } from './elements.js'
import { state, t } from './page-state.js'
import { togglePanel } from './panels.js'
import { clockAndTitle } from './title.js'

let region = null
let peopleCell = null

/** The bar with its hidden cells; the visible chips mount some seconds after the call opens. */
export function buildTopBar() {
  peopleCell = null
  const hiddenCells = Array.from({ length: 14 }, () => cell(null, true))
  region = h(
    'div',
    { role: 'region', 'aria-label': t('featureRegion'), jscontroller: 'baDByd', class: 'chips' },
    cell(textChip(t('handRaises')), true),
    cell(textChip(t('meetingTimer')), true),
    cell(h('span', { role: 'button', 'aria-label': t('moreActivities') }), true),
    ...hiddenCells,
  )
  setTimeout(mountChips, state.model.chipsDelayMs)
  return h('div', { class: 'top' }, state.model.layout === 'aug-2026' ? clockAndTitle() : null, region)
}

function mountChips() {
  if (state.screen !== 'call') return
  peopleCell = cell(h('span'), false)
  region.append(cell(chip(t('external'), 'ext-nav9Xe', icon('domain_disabled')), false), peopleCell)
  drawPeopleChip()
}

export function drawPeopleChip() {
  if (peopleCell === null) return
  const count = state.people.length
  const avatars = state.people.map(person =>
    h('span', { class: 'avatar-dot', 'data-letter': person.name[0] }),
  )
  const content = h(
    'div',
    { class: 'fdZ55' },
    h('span', { 'data-avatar-count': count }, ...avatars),
    h('div', { class: 'egzc7c' }, String(count)),
  )
  const made = chip(t('people'), 'ppl-nav9Xe', content, () => togglePanel(1))
  peopleCell.querySelector('[jsslot], [data-slot]').replaceChildren(made.label, made.button)
}

function cell(content, hidden) {
  const slot = h('div', { jsslot: '', 'data-slot': '' })
  if (content?.button) slot.append(content.label, content.button)
  else if (content) slot.append(content)
  const shadow = h('span', { jsshadow: '', jscontroller: 'YPfzL' }, slot)
  const wrapped = h(
    'span',
    { 'data-unique-tt-id': id('tt-') },
    h('span', { 'data-is-tooltip-wrapper': true }, shadow),
  )
  const element = h(
    'div',
    { class: 'CvJr8b', jscontroller: 'zTdX8e' },
    h('span', { 'data-badge-id': id('b') }),
    wrapped,
  )
  if (hidden) element.style.display = 'none'
  return element
}

/** A chip has no aria-label and is no `button`: its name is a hidden span it is labelled by. */
function chip(name, labelId, content, click = () => {}) {
  const label = h('span', { id: labelId, class: 'flag' }, name)
  const button = h(
    'div',
    {
      jsname: 'ocqpFe',
      role: 'button',
      tabindex: 0,
      'aria-haspopup': 'dialog',
      'aria-expanded': false,
      'aria-labelledby': labelId,
      class: 'JgybGf',
      click,
    },
    h('div', { jsname: 'WyRtCb' }),
    content,
  )
  return { label, button }
}

function textChip(text) {
  return h(
    'div',
    { jsname: 'ocqpFe', role: 'button', tabindex: -1, class: 'JgybGf' },
    h('div', { jsname: 'WyRtCb' }),
    text,
  )
}
