// Runs inside the capture extension's page. Functions here close over nothing: they are sent as text.

export interface InPageSettings {
  /** Address of the recorder's loopback WebSocket, token included. */
  url: string
  tabId: number
  width: number
  height: number
  fps: number
  videoBitsPerSecond: number
  keyFrameSeconds: number
  timesliceMs: number
  /** How often the page tells its figures. */
  statsEveryMs: number
  mimeType: string
  /** Chunks on their way that the recorder has not taken yet; more wait in the page. */
  maxUnacknowledged: number
  /** What may wait in the page before the capture fails with `reader-too-slow`. */
  maxWaitingBytes: number
}

/** What the page tells beside the media itself. */
export type PageMessage =
  | { type: 'ready' }
  | { type: 'started'; atMs: number }
  | { type: 'ended' }
  | { type: 'failed'; reason: 'reader-too-slow' | 'recorder-error' | 'track-ended'; detail: string }
  | {
      type: 'stats'
      framesDelivered: number
      framesDropped: number
      waitingBytes: number
      /** The loudest sample since the last message, 0 to 1; null when the sound could not be measured. */
      soundPeak: number | null
    }

/** What the recorder tells the page. */
export type RecorderMessage = { type: 'begin' } | { type: 'ack' } | { type: 'stop' }

/**
 * Captures one tab with picture and sound and, when told to begin, encodes it with MediaRecorder and sends the chunks
 * over the WebSocket. Resolves when all is ready; everything after that is told over the WebSocket. Rejects when the tab
 * cannot be captured.
 */
export async function captureTab(settings: InPageSettings): Promise<void> {
  interface TabCaptureApi {
    tabCapture: { getMediaStreamId(options: { targetTabId: number }): Promise<string> }
  }
  type TrackWithStats = MediaStreamTrack & {
    stats?: { deliveredFrames: number; discardedFrames: number; totalFrames: number }
  }

  const socket = new WebSocket(settings.url)
  socket.binaryType = 'arraybuffer'
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve()
    socket.onerror = () => reject(new Error('the recorder cannot be reached'))
  })

  const { tabCapture } = (globalThis as unknown as { chrome: TabCaptureApi }).chrome
  const streamId = await tabCapture.getMediaStreamId({ targetTabId: settings.tabId })
  const source = { chromeMediaSource: 'tab', chromeMediaSourceId: streamId }
  const { width, height, fps } = settings
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { mandatory: source },
    video: {
      mandatory: {
        ...source,
        minWidth: width,
        maxWidth: width,
        minHeight: height,
        maxHeight: height,
        // A page that does not move is captured anew this often: its sound waits for no picture longer.
        minFrameRate: 4,
        maxFrameRate: fps,
      },
    },
  } as unknown as MediaStreamConstraints)
  const videoTrack = stream.getVideoTracks()[0] as TrackWithStats
  const recorder = new MediaRecorder(stream, {
    mimeType: settings.mimeType,
    videoBitsPerSecond: settings.videoBitsPerSecond,
    videoKeyFrameIntervalDuration: settings.keyFrameSeconds * 1000,
  } as MediaRecorderOptions)

  const waiting: Blob[] = []
  let waitingBytes = 0
  let unacknowledged = 0
  let reading = false
  let over = false
  // `recorder.state` says inactive before the last chunk is handed out; the stop event comes after it.
  let recorderDone = false

  const tell = (message: PageMessage) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }
  const release = () => {
    if (recorder.state !== 'inactive') recorder.stop()
    clearInterval(telling)
    if (audio.state !== 'closed') void audio.close()
    for (const track of stream.getTracks()) track.stop()
  }
  const fail = (reason: (PageMessage & { type: 'failed' })['reason'], detail: string) => {
    // Told at once; what is already encoded still follows.
    if (!over) tell({ type: 'failed', reason, detail })
    over = true
    release()
  }
  const send = async () => {
    if (reading) return
    reading = true
    while (unacknowledged < settings.maxUnacknowledged) {
      const chunk = waiting.shift()
      if (chunk === undefined) break
      waitingBytes -= chunk.size
      unacknowledged++
      socket.send(await chunk.arrayBuffer())
    }
    reading = false
    if (recorderDone && waiting.length === 0) {
      tell({ type: 'ended' })
      socket.close(1000)
    }
  }

  // Without an output: the sound is looked at and goes nowhere. The window is longer than the time between two looks.
  const audio = new AudioContext({ latencyHint: 'playback', sinkId: { type: 'none' } } as AudioContextOptions)
  const analyser = audio.createAnalyser()
  analyser.fftSize = 32_768
  audio.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const loudest = () => {
    if (audio.state !== 'running') return null
    analyser.getFloatTimeDomainData(samples)
    return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)
  }
  const tellStats = () => {
    const frames = videoTrack.stats
    tell({
      type: 'stats',
      framesDelivered: frames?.deliveredFrames ?? 0,
      framesDropped: frames?.discardedFrames ?? 0,
      waitingBytes,
      soundPeak: loudest(),
    })
  }
  const telling = setInterval(tellStats, settings.statsEveryMs)

  recorder.ondataavailable = event => {
    if (event.data.size > 0) {
      waiting.push(event.data)
      waitingBytes += event.data.size
    }
    if (waitingBytes > settings.maxWaitingBytes) {
      fail('reader-too-slow', `${Math.round(waitingBytes / 1_048_576)} MiB wait to be taken`)
    }
    void send()
  }
  recorder.onerror = event => {
    const { error } = event as Event & { error?: Error }
    fail('recorder-error', error?.message ?? 'unknown')
  }
  recorder.onstop = () => {
    recorderDone = true
    over = true
    void send()
  }
  videoTrack.onended = () => fail('track-ended', 'the picture of the tab ended')
  socket.onmessage = event => {
    const message = JSON.parse(event.data as string) as RecorderMessage
    if (message.type === 'begin') begin()
    else if (message.type === 'ack') {
      unacknowledged--
      void send()
    } else {
      over = true
      // Stopped before it began there is no last chunk to wait for.
      if (recorder.state === 'inactive' && !recorderDone) {
        recorderDone = true
        void send()
      }
      release()
    }
  }
  socket.onclose = release

  const begin = () => {
    // The start event comes some 200 ms late; the recorded frames begin with this call.
    const atMs = performance.timeOrigin + performance.now()
    recorder.onstart = () => tell({ type: 'started', atMs })
    recorder.start(settings.timesliceMs)
  }
  tell({ type: 'ready' })
}
