// Making elements, and the one delegated listener that serves all clicks (meet-dom-structures.md §1).

const clickHandlers = new WeakMap()
let scrambleJsnames = false
let counter = 0

/** In a meeting whose words changed, jsnames and controllers are other ones too. */
export function changeNames() {
  scrambleJsnames = true
}

/** Attributes a page is built from that are made anew by each build of the web app. */
const builtAttributes = new Set(['jsname', 'jscontroller', 'class', 'data-promo-anchor-id'])

function scrambled(value) {
  const letters = [...value].map(letter => String.fromCharCode(97 + ((letter.charCodeAt(0) * 7 + 5) % 26)))
  return letters.reverse().join('')
}

/**
 * An element. `null` and `undefined` attributes are left out, `disabled` and `hidden` are set or left out, all
 * others are written as text. `click` is served by the delegated listener.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue
    if (name === 'click') {
      clickHandlers.set(element, value)
      element.setAttribute('jsaction', `click:h${counter++}`)
    } else if (name === 'disabled' || name === 'hidden') {
      if (value) element.setAttribute(name, '')
    } else if (scrambleJsnames && name !== 'class' && builtAttributes.has(name)) {
      element.setAttribute(name, scrambled(String(value)))
    } else element.setAttribute(name, String(value))
  }
  element.append(...children.filter(child => child !== null && child !== undefined))
  return element
}

export const id = prefix => `${prefix}${counter++}`

/** A material symbol: the ligature is the text, the drawn shape comes from the style sheet. */
export function icon(ligature, classes = 'google-symbols notranslate') {
  return h('i', { class: classes, 'aria-hidden': true, 'data-shape': shapes[ligature] ?? '•' }, ligature)
}

/** Stand-ins for the symbol font, which is not at hand. */
const shapes = {
  mic: '🎙',
  mic_off: '∅',
  videocam: '▣',
  videocam_off: '▢',
  call_end: '☎',
  more_vert: '⋮',
  chat: '✉',
  mood: '☺',
  info: 'ℹ',
  apps: '⁘',
  people: '☻',
  back_hand: '✋',
  computer_arrow_up: '⇧',
  lock_person: '⚿',
  closed_caption: '▤',
  closed_caption_off: '▤',
  keyboard_arrow_up: '˄',
  domain_disabled: '⊘',
  send: '➤',
}

/** Every icon button is followed by a tooltip that repeats its label. */
export function tooltip(text, tooltipId) {
  return h(
    'div',
    { role: 'tooltip', 'aria-hidden': true, id: tooltipId, class: 'ne2Ple-oshW8e-V67aGc' },
    text,
  )
}

/**
 * Text button, skeleton of meet-dom-structures.md §3.2. `kind` 'primary' is the UywwFc family, 'secondary'
 * mUIrbf. Returns the outer wrapper; the button is inside.
 */
export function textButton({
  text,
  click,
  outer,
  inner,
  kind = 'primary',
  label,
  disabled,
  attributes = {},
}) {
  const family = kind === 'primary' ? 'UywwFc' : 'mUIrbf'
  const button = h(
    'button',
    {
      class: `${family}-LgbsSe`,
      jscontroller: 'O626Fe',
      jsname: inner,
      'aria-label': label,
      disabled,
      click,
      ...attributes,
    },
    ...buttonSpans(family, text),
  )
  return h('div', { jsname: outer }, h('div', { 'data-is-touch-wrapper': true }, button))
}

export function buttonSpans(family, text) {
  return [
    h('span', { class: 'XjoK4b' }),
    h('span', { class: 'UTNHae', jsname: 'm9ZlFb' }),
    h('span', { class: `${family}-RLmnJb` }),
    h('span', { jsname: 'Xr1QTb' }),
    h('span', { jsname: 'V67aGc', class: `${family}-vQzf8d` }, text),
    h('span', { jsname: 'UkTUqb' }),
  ]
}

/** Serves trusted and synthetic clicks alike. */
export function listenForClicks() {
  document.addEventListener('click', event => {
    for (let at = event.target; at instanceof Element; at = at.parentElement) {
      if (at.hasAttribute('disabled') || at.getAttribute('aria-disabled') === 'true') return
      const handler = clickHandlers.get(at)
      if (handler === undefined) continue
      handler(event)
      return
    }
  })
}
