// Toasts in the corner: meet-dom-structures.md §6.
import { h, icon } from './elements.js'
import { t } from './page-state.js'

const shownMs = 6_000
let corner = null
let count = 0

export function buildCorner() {
  corner = h('div', { class: 'mIw6Bf' })
  return corner
}

const kinds = {
  joined: { key: 'toastJoined', glyph: 'person_add' },
  left: { key: 'toastLeft', glyph: 'logout' },
  hand: { key: 'toastHand', glyph: 'front_hand', action: 'openQueue' },
  chat: { key: 'toastChat', glyph: 'chat' },
  external: { key: 'external', glyph: 'domain_disabled' },
}

/** One of the known kinds, or any other text as it is. */
export function showToast(kind, name) {
  if (corner === null) return
  const known = kinds[kind]
  const toast = h(
    'div',
    { 'data-key': `notification-${count++}`, role: 'status', class: 'toast' },
    icon(known?.glyph ?? 'info'),
    h('span', {}, known === undefined ? kind : t(known.key, { name })),
    known?.action ? h('button', {}, t(known.action)) : null,
    h('button', { 'aria-label': t('close'), click: () => toast.remove() }, '×'),
  )
  corner.append(toast)
  setTimeout(() => toast.remove(), shownMs)
}

let connectionAlert = null

/** Says that the media connection is gone, until it is back. */
export function showReconnecting(lost) {
  if (!lost) {
    connectionAlert?.remove()
    connectionAlert = null
  } else if (connectionAlert === null) {
    connectionAlert = h('div', { role: 'alert', class: 'toast' }, t('reconnecting'))
    corner?.append(connectionAlert)
  }
}
