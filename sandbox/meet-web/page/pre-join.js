// The green room: meet-dom-structures.md §3.
import { tell } from './connection.js'
import { deviceToggle } from './devices.js'
import { buttonSpans, h, textButton } from './elements.js'
import { showAlone } from './frame.js'
import { state, t } from './page-state.js'

export function showPreJoin() {
  const { model } = state
  const [main, second] = model.joinButtons
  const nameInput = model.account === null ? nameField() : null
  const join = joinControl(main, nameInput)
  const inList = second !== undefined && model.joinHereToo === 'list'
  const others =
    second === undefined || inList ? null : secondary(t(second), () => askToJoin(second, nameInput))
  const list = h('ul', { role: 'menu' })
  const openList = () => {
    if (inList)
      list.replaceChildren(
        h('li', { role: 'menuitem', click: () => askToJoin(second, nameInput) }, t(second)),
      )
  }
  const names = state.model.participants
    .filter(person => person.joinAfterMs === undefined)
    .map(person => person.name)
  const here = names.length === 0 ? t('noOneElse') : t('inThisCall', { names: names.join(', ') })
  showAlone(
    h(
      'div',
      { jscontroller: 'dyDNGc', class: 'green-room' },
      h('div', { class: 'bar' }, accountPart(), returnHome()),
      h(
        'div',
        { class: 'preview' },
        deviceToggle('mic', model.preJoinToggles),
        deviceToggle('camera', model.preJoinToggles),
      ),
      h(
        'div',
        { class: 'join-side' },
        h('div', { jsname: 'r4nke', class: 'meeting-title' }, model.title ?? model.code),
        h('h1', {}, nameInput === null ? t('readyToJoin') : t('whatsYourName')),
        nameInput === null ? null : h('label', { class: 'qdOxv-fmcmS-yrriRe' }, nameInput),
        h('div', {}, second === undefined ? here : t('alreadyHere')),
        h('div', { 'data-promo-anchor-id': 'w5gBed' }, join),
        hiddenTwin(),
        others,
        h('div', { jsname: 'hNGZQc' }, secondary(t('otherWays'), openList), list),
        h('div', { class: 'terms' }, t('terms')),
      ),
    ),
  )
}

function nameField() {
  return h('input', {
    jsname: 'YPqjbf',
    type: 'text',
    'aria-label': t('yourName'),
    placeholder: t('yourName'),
    autocomplete: 'name',
    maxlength: 60,
    class: 'qdOxv-fmcmS-wGMbrd',
  })
}

/** The main control in the form the meeting asks for (§9.2); without a name a guest cannot use it. */
function joinControl(key, nameInput) {
  const { joinControl: form, joinAriaLabel } = state.model
  const text = t(key)
  const label = joinAriaLabel ? (state.cameraMuted ? t('withoutCamera', { join: text }) : text) : null
  const click = () => askToJoin(key, nameInput)
  const disabled = nameInput !== null
  const jsname = state.model.hostSeat ? 'z0F4cd' : 'Qx7uuf'
  let wrapper
  if (form === 'role-button') {
    const attributes = { role: 'button', tabindex: 0, 'aria-label': label, 'aria-disabled': disabled, click }
    wrapper = h(
      'div',
      { ...attributes, jsname: null, class: 'UywwFc-LgbsSe' },
      ...buttonSpans('UywwFc', text),
    )
  } else if (form === 'outer-div') wrapper = textButton({ text, click, label, disabled, outer: jsname })
  else wrapper = textButton({ text, click, label, disabled, inner: jsname })
  nameInput?.addEventListener('input', () => {
    const empty = nameInput.value.trim() === ''
    const button = wrapper.querySelector('button')
    if (button === null) wrapper.setAttribute('aria-disabled', String(empty))
    else button.disabled = empty
  })
  nameInput?.addEventListener('keydown', event => {
    if (event.key === 'Enter' && nameInput.value.trim() !== '') click()
  })
  return wrapper
}

/** An invisible "Ask to join" that swallows clicks stands beside the visible control (§3.1). */
function hiddenTwin() {
  const twin = textButton({ text: t('askToJoin'), click: () => {} })
  twin.style.visibility = 'hidden'
  twin.style.height = '0'
  twin.setAttribute('aria-hidden', 'true')
  return twin
}

function secondary(text, click) {
  return textButton({ text, click, kind: 'secondary' })
}

function accountPart() {
  const { account } = state.model
  if (account === null) {
    const href = `https://accounts.google.com/ServiceLogin?continue=${encodeURIComponent(location.href)}`
    return h('a', { href }, t('signIn'))
  }
  const label = t('accountChip', account)
  return h(
    'div',
    { class: 'account' },
    h('span', {}, account.email),
    h('a', { href: 'https://accounts.google.com/AccountChooser' }, t('switchAccount')),
    h(
      'a',
      { role: 'button', 'aria-label': label, href: 'https://accounts.google.com/', class: 'chip' },
      account.name[0],
    ),
  )
}

function returnHome() {
  return h(
    'button',
    { 'aria-label': t('returnHome'), class: 'round', click: () => location.assign('/') },
    '←',
  )
}

function askToJoin(button, nameInput) {
  const name = state.model.account?.name ?? nameInput.value.trim()
  state.self.name = name
  tell({ type: 'join', name, button, micMuted: state.micMuted, cameraMuted: state.cameraMuted })
}
