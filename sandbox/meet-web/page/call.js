// The call: puts the layers together and keeps them in line with what the server tells.
import { buildBottomBar } from './bottom-bar.js'
import { addCaption, buildCaptions } from './captions.js'
import { onConnectionLost, onMessage } from './connection.js'
import { markInCall, showLayers } from './frame.js'
import { watchMouse } from './idle.js'
import { connectionState, onMediaChange } from './media.js'
import { state } from './page-state.js'
import { addChat, buildLeftPanel, buildSidePanel, drawPeoplePanel } from './panels.js'
import { animateSpeakers, buildStage, drawTiles } from './tiles.js'
import { buildCorner, showReconnecting, showToast } from './toasts.js'
import { buildTopBar, drawPeopleChip } from './top-bar.js'

export function showCall() {
  markInCall()
  showLayers({
    top: buildTopBar(),
    stage: buildStage(),
    captions: buildCaptions(),
    right: buildSidePanel(),
    left: buildLeftPanel(),
    bottom: buildBottomBar(true),
    corner: buildCorner(),
  })
  animateSpeakers()
  watchMouse()
}

export function listenForCall() {
  onMessage('people', ({ people }) => {
    state.people = people
    if (state.screen !== 'call') return
    drawTiles()
    drawPeopleChip()
    drawPeoplePanel()
  })
  onMessage('toast', ({ kind, name }) => showToast(kind, name))
  onMessage('caption', ({ name, text }) => addCaption(name, text))
  onMessage('chat', ({ name, text }) => addChat(name, text))
  onMediaChange(() => {
    if (state.screen !== 'call') return
    drawTiles()
    drawConnection()
  })
  onConnectionLost(lost => {
    isOffline = lost
    if (state.screen === 'call') drawConnection()
  })
}

let isOffline = false

function drawConnection() {
  showReconnecting(isOffline || ['disconnected', 'failed'].includes(connectionState()))
}
