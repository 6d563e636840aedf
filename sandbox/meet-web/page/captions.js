// The captions region: meet-dom-structures.md §5.6. It is absent while captions are off.
import { did } from './connection.js'
import { h, icon } from './elements.js'
import { state, t } from './page-state.js'
import { setCaptionsRoom } from './tiles.js'

const languages = ['en-US', 'en-GB', 'es-ES', 'es-MX', 'es-CO', 'pt-BR', 'fr-FR', 'de-DE', 'it-IT']
let holder = null
let region = null
let lastName = null

export function buildCaptions() {
  region = null
  holder = h('div', { jscontroller: 'D1tHje' })
  return holder
}

/** Switches captions; returns whether they are on now. */
export function toggleCaptions() {
  const on = region === null
  did('captions', { on })
  lastName = null
  region = on ? buildRegion() : null
  holder.replaceChildren(...(on ? [h('div', { class: 'a4cQT' }, settingsBar(), wrap(region))] : []))
  setCaptionsRoom(on)
  return on
}

/** Adds words to the speaker's turn, or begins a new turn. */
export function addCaption(name, text) {
  if (region === null) return
  const turns = region.querySelectorAll('.nMcdL')
  if (name === lastName) {
    turns[turns.length - 1].querySelector('.ygicle').append(` ${text}`)
    return
  }
  lastName = name
  const shown = name === state.self.name ? t('you') : name
  const speaker = h('div', { class: 'KcIKyf' }, h('span', { class: 'NWpY1d' }, shown))
  const turn = h(
    'div',
    { class: 'nMcdL bj4p3b' },
    h('div', { class: 'adE6rb' }, h('img', { alt: '' }), speaker),
    h('div', { class: 'ygicle VbkSUe' }, text),
  )
  region.querySelector('.caption-end').before(turn)
}

function buildRegion() {
  return h(
    'div',
    {
      role: 'region',
      'aria-label': t('captionsRegion'),
      tabindex: 0,
      jscontroller: 'KPn5nb',
      class: 'caption-rows',
    },
    h('div', { class: 'caption-end' }),
    h('div', {}, h('button', { jsname: 'Xke7ne', 'aria-label': t('jumpLabel') }, t('jumpToBottom'))),
  )
}

function wrap(rows) {
  return h('div', { class: 'DtJ7e' }, h('div', { jsname: 'dsyhDe', class: 'iOzk7' }, rows))
}

/** The language can be chosen from a combobox here, or from the list in the settings dialog. */
function settingsBar() {
  return h(
    'div',
    { class: 'NmXUuc' },
    h(
      'div',
      {
        role: 'combobox',
        'aria-label': t('meetingLanguage'),
        jsname: 'oYxtQd',
        tabindex: 0,
        'aria-expanded': false,
      },
      icon('language'),
      h(
        'ul',
        { role: 'listbox', 'aria-label': t('meetingLanguage'), class: 'flag' },
        ...languageOptions('captions-bar'),
      ),
    ),
  )
}

export function languageOptions(where) {
  const pick = value => () => did('caption-language', { value, where })
  return languages.map(value => h('li', { role: 'option', 'data-value': value, click: pick(value) }, value))
}
