// Modal dialogs: meet-dom-structures.md §6, meet-web-facts.md §3.2, §3.4, §7.
import { tell } from './connection.js'
import { showConsentBanner } from './consent-banner.js'
import { askForDevices } from './devices.js'
import { h, textButton } from './elements.js'
import { t } from './page-state.js'

const open = new Map()

/** Shows a modal over the page. `buttons` are elements; with `closable` it has a "Close dialog" button. */
export function openModal(kind, { title, text, body, buttons = [], closable, onEscape, attributes = {} }) {
  closeModal(kind)
  const close = closable
    ? h(
        'button',
        { 'aria-label': t('closeDialog'), class: 'round small', click: () => closeModal(kind) },
        '×',
      )
    : null
  const box = h(
    'div',
    {
      role: 'dialog',
      'aria-modal': true,
      'aria-label': title,
      tabindex: -1,
      class: 'uW2Fw-P5QLlc',
      ...attributes,
    },
    h('h2', {}, h('span', { jsname: 'MdSI6d' }, title)),
    text ? h('div', { class: 'dialog-text' }, text) : null,
    body,
    h('div', { class: 'dialog-buttons' }, ...buttons),
    close,
  )
  const portal = h('div', { jscontroller: 'dGzwdb', class: 'uW2Fw-Sx9Kwc' }, box)
  const onKey = event =>
    event.key === 'Escape' && (onEscape ?? (closable ? () => closeModal(kind) : () => {}))()
  addEventListener('keydown', onKey)
  document.body.append(portal)
  open.set(kind, () => {
    removeEventListener('keydown', onKey)
    portal.remove()
  })
}

export function closeModal(kind) {
  open.get(kind)?.()
  open.delete(kind)
}

export function closeAllModals() {
  for (const kind of [...open.keys()]) closeModal(kind)
}

/** Shows one of the dialogs the server asks for; its answer is told to the server. */
export function showDialog(kind, extra) {
  const answer = button => {
    closeModal(kind)
    tell({ type: 'dialog-answer', kind, button })
    if (button === 'joinNow') showConsentBanner(kind)
  }
  const button = (text, name, action, click) => {
    const attributes = { 'data-mdc-dialog-action': action ?? null }
    const secondary = ['leave', 'leaveNow', 'dismiss', 'withoutDevices'].includes(name)
    return textButton({
      text,
      attributes,
      kind: secondary ? 'secondary' : 'primary',
      click: click ?? (() => answer(name)),
    })
  }
  const notice = name => ({
    title: t(`${name}Title`),
    text: t(`${name}Text`),
    buttons: [button(t('leave'), 'leave', 'cancel'), button(t('joinNow'), 'joinNow', 'ok')],
    // Escape counts as refusing: the page leaves the call (meet-web-facts.md §7).
    onEscape: () => answer('escape'),
  })
  const gotIt = name => ({
    title: t(`${name}Title`),
    text: t(`${name}Text`),
    buttons: [button(t('gotIt'), 'gotIt', 'ok')],
    onEscape: () => answer('escape'),
  })
  const makers = {
    recording: () => notice('recording'),
    transcription: () => notice('transcription'),
    gemini: () => notice('gemini'),
    'third-party-notes': () => notice('thirdParty'),
    'others-see-differently': () => gotIt('others'),
    'sign-in-promo': () => gotIt('promo'),
    alone: () => ({
      title: t('aloneTitle'),
      text: t('aloneText', extra),
      buttons: [button(t('leaveNow'), 'leaveNow'), button(t('stay'), 'stay')],
    }),
    'lobby-still-there': () => ({
      title: t('stillThereTitle'),
      text: t('stillThereText'),
      buttons: [button(t('keepWaiting'), 'keepWaiting', 'ok')],
    }),
    'call-limit': () => ({
      title: t('limitTitle', { minutes: extra.minutes ?? 10 }),
      text: t('limitText'),
      buttons: [button(t('dismiss'), 'dismiss')],
      attributes: { 'data-is-auto-hide': false, 'aria-modal': null },
    }),
    'mic-reminder': () => ({
      title: t('micReminderTitle'),
      buttons: [button(t('dismiss'), 'dismiss')],
      attributes: { 'aria-modal': null },
    }),
    permission: () => ({
      title: t('permissionTitle'),
      text: t('permissionText'),
      buttons: [
        button(t('useDevices'), 'useDevices', null, async () => {
          answer('useDevices')
          await askForDevices()
        }),
        button(t('withoutDevices'), 'withoutDevices'),
      ],
    }),
  }
  openModal(kind, makers[kind]())
}
