// The page's end of the WebRTC connection: three audio streams, one video per participant (meet-web-facts.md §9).
import { did, onMessage, tell } from './connection.js'
import { state } from './page-state.js'

let peer = null
let session = null
let webAudio = null
const videoTracks = new Map()
const listeners = []

/** Calls back whenever the set of videos or the state of the connection changed. */
export function onMediaChange(listener) {
  listeners.push(listener)
}

/** Media id (a participant's id, or that plus "/presentation") → video track. */
export function videoTrack(mediaId) {
  return videoTracks.get(mediaId)
}

export const connectionState = () => peer?.connectionState ?? 'none'

/** Loudness from 0 to 1 of each of the three audio streams right now. */
export function audioLevels() {
  const receivers = peer?.getTransceivers().filter(({ receiver }) => receiver.track.kind === 'audio') ?? []
  return receivers.map(({ receiver }) => receiver.getSynchronizationSources()[0]?.audioLevel ?? 0)
}

export function listenForMedia() {
  onMessage('signal', async ({ signal }) => {
    if (signal.offer) await answer(signal)
    else if (signal.candidate && signal.session === session) await peer.addIceCandidate(signal.candidate)
  })
  addEventListener('click', () => playAll(), true)
}

/** Ends the connection; the elements fall silent. */
export function closeMedia() {
  peer?.close()
  peer = null
  session = null
  videoTracks.clear()
  for (const audio of audioElements()) audio.srcObject = null
}

async function answer({ offer, session: offered, videoIds }) {
  if (offered !== session) {
    closeMedia()
    session = offered
    peer = newPeer(offered)
  }
  const pc = peer
  await pc.setRemoteDescription({ type: 'offer', sdp: offer })
  attach(pc.getTransceivers(), videoIds)
  await pc.setLocalDescription(await pc.createAnswer())
  tell({ type: 'signal', signal: { answer: pc.localDescription.sdp } })
  for (const listener of listeners) listener()
}

function newPeer(of) {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
  pc.onicecandidate = ({ candidate }) => {
    if (candidate && of === session) tell({ type: 'signal', signal: { candidate } })
  }
  pc.onconnectionstatechange = () => {
    did('media-connection', { state: pc.connectionState })
    for (const listener of listeners) listener()
  }
  return pc
}

function attach(transceivers, videoIds) {
  videoTracks.clear()
  const audioTracks = []
  for (const { mid, receiver, currentDirection, direction } of transceivers) {
    if (direction === 'stopped' || currentDirection === 'stopped') continue
    if (receiver.track.kind === 'audio') audioTracks.push(receiver.track)
    else if (videoIds[mid] !== undefined) videoTracks.set(videoIds[mid], receiver.track)
  }
  audioElements().forEach((audio, index) => {
    if (audio.srcObject?.getTracks()[0] !== audioTracks[index])
      audio.srcObject = new MediaStream([audioTracks[index]])
  })
  playAll()
}

function audioElements() {
  return [...document.querySelectorAll('body > audio')]
}

/** Where the browser wants a gesture first, the next click tries again. */
function playAll() {
  if (state.model?.audioOutput === 'web-audio') {
    playThroughWebAudio()
    return
  }
  for (const audio of audioElements()) {
    if (audio.srcObject === null || !audio.paused) continue
    audio.play().catch(error => console.warn(`sound waits: ${error.name}`))
  }
}

/**
 * The mode in which the three elements stay paused and the sound takes another way (§9.9). Chromium decodes a remote
 * track for Web Audio only while some element plays it, so a muted one outside the document does.
 */
function playThroughWebAudio() {
  webAudio ??= { context: new AudioContext(), players: new Map() }
  const { context, players } = webAudio
  context.resume().catch(error => console.warn(`sound waits: ${error.name}`))
  for (const audio of audioElements()) {
    const stream = audio.srcObject
    if (stream === null || players.get(audio)?.srcObject === stream) continue
    const player = new Audio()
    player.muted = true
    player.srcObject = stream
    player.play().catch(error => console.warn(`sound waits: ${error.name}`))
    players.set(audio, player)
    context.createMediaStreamSource(stream).connect(context.destination)
  }
}
