// Plays all simulated participants of all meetings and sends them to the bots' pages.
import { startPattern } from '/_sandbox/test-pattern/pattern.in-page.js'
import { Peer } from './peers.in-page.js'

const audioStreams = 3
const audioContext = new AudioContext()
const meetings = new Map()
const peers = new Map()
let settings = { fps: 15, width: 640, height: 360 }

const socket = new WebSocket(`ws://${location.host}/_sandbox/players-socket`)
const tell = message => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message))
const fault = message => tell({ type: 'fault', message })
addEventListener('unhandledrejection', event => fault(String(event.reason)))
addEventListener('error', event => fault(event.message))

socket.onmessage = ({ data }) => {
  const message = JSON.parse(data)
  if (message.type === 'settings') settings = message
  if (message.type === 'participants') setParticipants(message.meeting, message.participants)
  if (message.type === 'peer-open') openPeer(message)
  if (message.type === 'peer-close') closePeer(message.peerId)
  if (message.type === 'signal') peers.get(message.peerId)?.peer.receive(message.signal)
}

function meetingOf(code) {
  let meeting = meetings.get(code)
  if (meeting === undefined) {
    const destinations = Array.from({ length: audioStreams }, () =>
      audioContext.createMediaStreamDestination(),
    )
    const syncStreams = destinations.map(() => new MediaStream())
    meeting = { destinations, syncStreams, players: new Map() }
    meetings.set(code, meeting)
  }
  return meeting
}

function setParticipants(code, participants) {
  const { players, destinations, syncStreams } = meetingOf(code)
  const wanted = new Map(participants.map(person => [person.id, person]))
  for (const [id, player] of players) {
    if (wanted.has(id) && wanted.get(id).name === player.person.name) continue
    player.stop()
    players.delete(id)
  }
  for (const person of participants) {
    const player =
      players.get(person.id) ??
      startPlayer(person, destinations[person.audioStream], syncStreams[person.audioStream])
    player.update(person)
    players.set(person.id, player)
  }
  for (const entry of peers.values()) if (entry.code === code) entry.peer.setVideos(videosOf(code))
}

function startPlayer(person, streamDestination, syncStream) {
  const gain = audioContext.createGain()
  gain.connect(streamDestination)
  const { fps, width, height } = settings
  const options = { participant: person.index, name: person.name, width, height, fps, audioContext }
  const pattern = startPattern({ ...options, destination: gain })
  let shared = null
  return {
    person,
    videos: new Map(),
    update(now) {
      this.person = now
      gain.gain.value = now.muted ? 0 : 1
      if (now.presenting && shared === null) {
        shared = startPattern({
          ...options,
          name: `${now.name} (Presentation)`,
          destination: audioContext.createGain(),
        })
      } else if (!now.presenting && shared !== null) {
        shared.stop()
        shared = null
      }
      this.videos.clear()
      if (!now.cameraOff) this.videos.set(now.id, videoOf(pattern, syncStream))
      if (shared !== null) this.videos.set(`${now.id}/presentation`, videoOf(shared, syncStream))
    },
    stop() {
      pattern.stop()
      shared?.stop()
      gain.disconnect()
    },
  }
}

const videoOf = (pattern, syncStream) => ({ track: pattern.stream.getVideoTracks()[0], syncStream })

function videosOf(code) {
  return new Map([...meetingOf(code).players.values()].flatMap(player => [...player.videos]))
}

function openPeer({ peerId, meeting: code, session }) {
  closePeer(peerId)
  const { destinations, syncStreams } = meetingOf(code)
  const audioTracks = destinations.map(destination => destination.stream.getAudioTracks()[0])
  const send = signal => tell({ type: 'signal', peerId, session, signal: { session, ...signal } })
  const peer = new Peer({ audioTracks, syncStreams, send, onFault: fault })
  peers.set(peerId, { code, peer })
  peer.setVideos(videosOf(code))
}

function closePeer(peerId) {
  peers.get(peerId)?.peer.close()
  peers.delete(peerId)
}
