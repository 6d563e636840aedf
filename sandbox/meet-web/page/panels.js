// The side panels: meet-dom-structures.md §5.5. Both asides are always mounted; closed means moved out by a class.
import { tell } from './connection.js'
import { h, icon, id, tooltip } from './elements.js'
import { openRowMenu } from './menus.js'
import { state, t } from './page-state.js'

let aside = null
let openPanel = null
let messages = null
let messageCount = 0

export function buildSidePanel() {
  openPanel = null
  messages = h('div', { jsname: 'xySENc', 'aria-live': 'polite', jscontroller: 'Mzzivb' })
  aside = h(
    'aside',
    { jsname: 'ME4pNd', 'data-shell-id': 1, 'aria-label': t('sidePanel'), class: 'side qdulke' },
    container(2, chatPanel),
    container(5, () => [
      h('h2', {}, t('details')),
      h('div', {}, t('joiningInfo')),
      h('div', {}, location.href),
    ]),
    container(10, toolsPanel),
    state.model.hostSeat
      ? container(16, () => [h('h2', {}, t('hostControls')), h('button', {}, t('hostMuteAll'))])
      : null,
  )
  return aside
}

export function buildLeftPanel() {
  return h('aside', {
    jsname: 'ME4pNd',
    'data-shell-id': 2,
    'aria-label': t('leftSidePanel'),
    class: 'side left qdulke',
  })
}

export function togglePanel(number) {
  openPanel = openPanel === number ? null : number
  aside.querySelector('[data-panel-container-id=sidePanel1]')?.remove()
  if (openPanel === 1) aside.append(container(1, peoplePanel))
  for (const part of aside.querySelectorAll('[data-panel-container-id]')) {
    part.classList.toggle('qdulke', part.getAttribute('data-panel-container-id') !== `sidePanel${openPanel}`)
  }
  aside.classList.toggle('qdulke', openPanel === null)
  for (const button of document.querySelectorAll('button[data-panel-id]')) {
    button.setAttribute('aria-expanded', String(button.getAttribute('data-panel-id') === String(openPanel)))
  }
  if (openPanel === 2) markRead()
}

/** The people panel exists only while it is open. */
export function drawPeoplePanel() {
  if (openPanel !== 1) return
  aside.querySelector('[data-panel-container-id=sidePanel1]').replaceWith(container(1, peoplePanel, false))
}

/** A message of somebody else arrives: unread mark on the button, row in the list. */
export function addChat(name, text) {
  if (messages === null) return
  messageCount += 1
  const messageId = `${state.self.id.split('/devices')[0]}/messages/${messageCount}`
  const pinLabel = t('pinMessage')
  const pin = h('button', { 'data-message-id': messageId, 'aria-label': pinLabel }, icon('keep_outline'))
  const time = new Date().toLocaleTimeString('en-US', { hour: 'numeric', minute: '2-digit' })
  messages.append(
    h(
      'div',
      { jsname: 'Ypafjf' },
      h('div', {}, name === state.self.name ? null : h('div', {}, name), h('div', {}, time)),
      h(
        'div',
        { 'data-message-id': messageId, class: 'RLrADb' },
        h('div', { jsname: 'dTKtvb' }, ...text.split('\n').map(line => h('div', {}, line))),
        pin,
      ),
    ),
  )
  if (openPanel !== 2) markUnread()
}

const chatButton = () => document.querySelector('button[data-panel-id="2"]')

function markUnread() {
  chatButton()?.setAttribute('aria-label', t('chat') + t('newMessage'))
  const wrapper = chatButton()?.parentElement
  if (!wrapper?.querySelector('.unread'))
    wrapper?.append(h('div', { jscontroller: 'fIa6jf', class: 'unread' }))
}

function markRead() {
  chatButton()?.setAttribute('aria-label', t('chat'))
  document.querySelector('.unread')?.remove()
}

function container(number, build, hidden = true) {
  const inner = h('div', { jsname: 'b0t70b', 'data-panel-id': number }, ...build())
  const attributes = {
    'data-panel-container-id': `sidePanel${number}`,
    jsname: 'OmTKLc',
    class: hidden ? 'qdulke' : '',
  }
  return h('div', attributes, inner)
}

function chatPanel() {
  const { chatForm } = state.model
  if (chatForm === 'embedded') {
    return [
      h('h2', {}, 'Chat'),
      h('h3', {}, t('loading')),
      h('div', { role: 'button' }, t('close')),
      h('input', { 'aria-label': t('searchChat') }),
    ]
  }
  const composer =
    chatForm === 'textarea'
      ? h('textarea', { jsname: 'YPqjbf', maxlength: 4000, 'aria-label': t('sendMessage') })
      : h('div', {
          contenteditable: true,
          role: 'textbox',
          'aria-multiline': true,
          'aria-label': t('historyOn'),
        })
  const textOf = () => (composer.value ?? composer.textContent).trim()
  const clear = () => {
    if (chatForm === 'textarea') composer.value = ''
    else composer.textContent = ''
    send.disabled = true
  }
  const submit = () => {
    const text = textOf()
    tell({ type: 'chat', text })
    addChat(state.self.name, text)
    clear()
  }
  const send = h(
    'button',
    { jsname: 'SoqoBf', 'aria-label': t('sendMessage'), disabled: true, click: submit },
    icon('send'),
  )
  composer.addEventListener('input', () => {
    send.disabled = textOf() === ''
  })
  const holder = h('div', { 'aria-label': t('sendMessage') }, composer)
  return [h('h2', {}, t('inCallMessages')), messages, holder, send]
}

/** The jsname of the host's join control is used again here (§9.12). */
function toolsPanel() {
  return [h('h2', {}, t('tools')), h('div', { jsname: 'z0F4cd' }, h('button', {}, t('transcribe')))]
}

function peoplePanel() {
  const rows = state.people.map(row)
  return [
    h('h2', {}, t('people')),
    h('button', { 'aria-label': t('addPeople') }, t('addPeople')),
    h('input', {
      type: 'text',
      role: 'textbox',
      'aria-label': t('searchPeople'),
      placeholder: t('searchPeople'),
    }),
    h('h3', {}, t('inTheMeeting')),
    h('button', {}, `${t('contributors')} ${state.people.length}`),
    h(
      'div',
      { role: 'region', 'aria-label': t('inCall') },
      h('div', { role: 'list', 'aria-label': t('participants') }, ...rows),
    ),
  ]
}

function row(person, index) {
  const isSelf = person.id === state.self.id
  const tags = [
    isSelf ? t('youTag') : null,
    index === 0 ? t('meetingHost') : null,
    person.visitor ? t('visitor') : null,
  ]
  const muteLabel = person.muted ? t('cannotUnmute') : t('mute', person)
  const more = h(
    'button',
    {
      jsname: 'YEvVxd',
      'aria-label': t('moreActions'),
      'aria-haspopup': 'menu',
      click: () => openRowMenu(person),
    },
    icon('more_vert'),
  )
  return h(
    'div',
    {
      role: 'listitem',
      'aria-label': person.name,
      'data-participant-id': person.id,
      'data-scroll-target': '',
      jscontroller: 'ZHOeze',
      class: 'cxdMu KV1GEc',
    },
    h('span', {}, person.name),
    ...tags.filter(tag => tag !== null).map(tag => h('span', {}, tag)),
    h('button', { 'aria-label': muteLabel, disabled: person.muted }, icon(person.muted ? 'mic_off' : 'mic')),
    tooltip(muteLabel, id('tt-')),
    more,
  )
}
