// "More options", the settings and layout dialogs, and the choice when a host leaves (§5.5, §6, §9.7).
import { languageOptions } from './captions.js'
import { did, tell } from './connection.js'
import { openModal } from './dialogs.js'
import { h, icon } from './elements.js'
import { t } from './page-state.js'

/** Menus hang in a `div` without attributes at the end of `body`. */
function openMenu(label, items) {
  const list = h('ul', { role: 'menu', jsname: 'rymPhb', 'aria-label': label }, ...items)
  const portal = h('div', {}, h('div', {}, h('div', { jsname: 'SDSjce', class: 'menu' }, list)))
  document.body.append(portal)
  const closeOnce = event => {
    if (event.type === 'keydown' && event.key !== 'Escape') return
    portal.remove()
    removeEventListener('click', closeOnce)
    removeEventListener('keydown', closeOnce)
  }
  setTimeout(() => {
    addEventListener('click', closeOnce)
    addEventListener('keydown', closeOnce)
  })
}

function item(label, glyph, click, jsname = 'BUtajd') {
  const text = h('span', {}, h('span', { jsname: 'K4r5Ff' }, label))
  return h('li', { role: 'menuitem', tabindex: -1, jsname, 'aria-label': label, click }, icon(glyph), text)
}

export function openMoreMenu() {
  openMenu(t('moreOptions'), [
    item(t('adjustView'), 'view_module', openLayout, 'WZerud'),
    item(t('settings'), 'settings', openSettings),
  ])
}

export function openRowMenu(person) {
  openMenu(t('moreActions'), [
    item(t('pin', person), 'keep_outline', () => did('pinned', { name: person.name })),
  ])
}

export function openLeaveMenu() {
  const choose = button => () => tell({ type: 'leave', button })
  const button = (text, action, click) => h('button', { 'data-mdc-dialog-action': action, click }, text)
  openModal('leave-choice', {
    title: t('leaveCall'),
    buttons: [
      button(t('justLeave'), 'Pd96ce', choose('just-leave')),
      button(t('endForEveryone'), 'end', choose('end-for-everyone')),
    ],
  })
}

function openLayout() {
  const radio = key => {
    const value = key.replace('layout', '')
    const input = h('input', { type: 'radio', name: 'preferences', value })
    input.addEventListener('change', () => did('layout-chosen', { layout: value }))
    return h('label', {}, input, t(key))
  }
  const layouts = ['layoutAuto', 'layoutTiled', 'layoutSpotlight', 'layoutSidebar'].map(radio)
  openModal('adjust-view', { title: t('adjustView'), body: h('div', {}, ...layouts), closable: true })
}

function openSettings() {
  const languages = h(
    'ul',
    { 'aria-label': t('meetingLanguage'), class: 'flag' },
    ...languageOptions('settings'),
  )
  const tabs = h(
    'div',
    {},
    h('button', { 'aria-label': t('settingsVideo') }, t('settingsVideo')),
    h('button', { 'aria-label': t('settingsReactions') }, t('settingsReactions')),
    h(
      'button',
      {
        jsname: 'z4Tpl',
        'aria-label': t('settingsCaptions'),
        click: () => languages.classList.remove('flag'),
      },
      t('settingsCaptions'),
    ),
  )
  openModal('settings', { title: t('settings'), body: h('div', {}, tabs, languages), closable: true })
}
