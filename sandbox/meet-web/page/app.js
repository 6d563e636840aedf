// Entry of the simulated Meet page: connects, waits for the meeting's description, then shows screen after screen
// at one and the same address.
import { listenForCall, showCall } from './call.js'
import { connect, did, onConnectionLost, onMessage, stayAway } from './connection.js'
import { readDevices } from './devices.js'
import { closeAllModals, closeModal, showDialog } from './dialogs.js'
import { changeNames, h, listenForClicks } from './elements.js'
import { showEnd } from './end-screens.js'
import { buildFrame } from './frame.js'
import { showLobby } from './lobby.js'
import { closeMedia, listenForMedia } from './media.js'
import { state, t } from './page-state.js'
import { showPreJoin } from './pre-join.js'
import { changed } from './texts.changed.js'
import { en } from './texts.en.js'
import { es, es419 } from './texts.es.js'

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

onMessage('hello', async ({ model }) => {
  state.model = model
  const { lang } = document.documentElement
  state.texts = model.wordsChanged ? changed : lang === 'es-419' ? es419 : lang.startsWith('es') ? es : en
  if (model.wordsChanged) changeNames()
  document
    .querySelector('#yDmH0d')
    .replaceChildren(h('div', { class: 'loading' }, t('gettingReady'), h('p', {}, t('notABot'))))
  await readDevices()
  await pause(model.renderDelayMs)
  buildFrame()
  if (model.opensWith === 'not-found' || model.opensWith === 'cannot-join')
    show('end', { kind: model.opensWith })
  else show('pre-join')
})

onMessage('screen', message => {
  if (message.screen === 'call') state.self = { id: message.deviceId, name: message.name }
  show(message.screen, message)
})

function show(screen, message = {}) {
  state.screen = screen
  if (screen === 'end') {
    stayAway()
    closeMedia()
    closeAllModals()
  }
  const screens = {
    'pre-join': showPreJoin,
    lobby: showLobby,
    call: showCall,
    end: () => showEnd(message.kind),
  }
  screens[screen]()
  did('screen-shown', { screen, kind: message.kind })
}

onMessage('dialog', ({ kind, extra }) => showDialog(kind, extra))
onMessage('dialog-hide', ({ kind }) => (kind === null ? closeAllModals() : closeModal(kind)))
onMessage('reload', () => location.reload())
onMessage('resumed', ({ deviceId, name }) => {
  state.self = { id: deviceId, name }
})

let givingUp = null
onConnectionLost(lost => {
  if (!lost) {
    clearTimeout(givingUp)
    givingUp = null
  } else if (givingUp === null && ['lobby', 'call'].includes(state.screen)) {
    givingUp = setTimeout(() => show('end', { kind: 'connection-lost' }), state.model.reconnectGiveUpMs)
  }
})
onMessage('exhaust-memory', () => {
  const kept = []
  for (;;) kept.push(new Array(100_000).fill({ at: kept.length }))
})
onMessage('freeze', ({ durationMs }) => {
  const untilMs = performance.now() + durationMs
  while (performance.now() < untilMs);
})

listenForClicks()
listenForMedia()
listenForCall()
connect(location.pathname.slice(1))
