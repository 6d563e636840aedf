// The SFU's side of each bot's connection: three audio streams and one video stream per participant.

const videoBitsPerSecond = 900_000

export class Peer {
  #pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
  #videos = new Map()
  #queue = Promise.resolve()
  #negotiating = false
  #changed = false

  /** `syncStreams`: one per audio track; a video in the same stream is kept in step with that sound. */
  constructor({ audioTracks, syncStreams, send, onFault }) {
    this.send = send
    this.onFault = onFault
    audioTracks.forEach((track, index) => {
      this.#pc.addTransceiver(track, { direction: 'sendonly', streams: [syncStreams[index]] })
    })
    this.#pc.onicecandidate = ({ candidate }) => candidate && send({ candidate })
  }

  /** `videos`: Map of media id → { track, syncStream }. Adds and removes m-lines until they match. */
  setVideos(videos) {
    for (const [id, { transceiver, track }] of this.#videos) {
      if (videos.get(id)?.track === track) continue
      transceiver.stop()
      this.#videos.delete(id)
      this.#changed = true
    }
    for (const [id, { track, syncStream }] of videos) {
      if (this.#videos.has(id)) continue
      const transceiver = this.#pc.addTransceiver(track, {
        direction: 'sendonly',
        streams: [syncStream],
        sendEncodings: [{ maxBitrate: videoBitsPerSecond, networkPriority: 'high' }],
      })
      preferVp8(transceiver)
      this.#videos.set(id, { transceiver, track })
      this.#changed = true
    }
    if (this.#changed || this.#pc.localDescription === null) this.negotiate()
  }

  negotiate() {
    if (this.#negotiating) {
      this.#changed = true
      return
    }
    this.#negotiating = true
    this.#changed = false
    this.#inOrder(async () => {
      await this.#pc.setLocalDescription(await this.#pc.createOffer())
      const videoIds = {}
      for (const [id, { transceiver }] of this.#videos) videoIds[transceiver.mid] = id
      this.send({ offer: this.#pc.localDescription.sdp, videoIds })
    })
  }

  receive(signal) {
    this.#inOrder(async () => {
      if (signal.candidate) await this.#pc.addIceCandidate(signal.candidate)
      if (!signal.answer) return
      await this.#pc.setRemoteDescription({ type: 'answer', sdp: startFast(signal.answer) })
      await this.#keepResolution()
      this.#negotiating = false
      if (this.#changed) this.negotiate()
    })
  }

  close() {
    this.#pc.close()
  }

  async #keepResolution() {
    for (const { transceiver } of this.#videos.values()) {
      const parameters = transceiver.sender.getParameters()
      parameters.degradationPreference = 'maintain-resolution'
      await transceiver.sender.setParameters(parameters)
    }
  }

  #inOrder(step) {
    this.#queue = this.#queue.then(step).catch(error => {
      if (this.#pc.signalingState !== 'closed') this.onFault(`signalling: ${error.message}`)
    })
  }
}

/** VP8 costs the two browsers least. */
function preferVp8(transceiver) {
  const { codecs } = RTCRtpSender.getCapabilities('video')
  const rank = codec => (codec.mimeType === 'video/VP8' ? 0 : 1)
  transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)))
}

/** Without a start rate the first seconds of every call are too blurred to read the time code. */
function startFast(sdp) {
  const payloads = [...sdp.matchAll(/a=rtpmap:(\d+) VP8\/90000/g)].map(match => match[1])
  const line = payload => `a=fmtp:${payload} x-google-start-bitrate=1500`
  return payloads.reduce((text, payload) => {
    if (text.includes(`a=fmtp:${payload} x-google-start-bitrate`)) return text
    return text.replaceAll(
      `a=rtpmap:${payload} VP8/90000\r\n`,
      `a=rtpmap:${payload} VP8/90000\r\n${line(payload)}\r\n`,
    )
  }, sdp)
}
