// The page's socket to the server. A lost one is opened again, as Meet does by itself when the network is back.

const tryAgainMs = 1_000
const listeners = new Map()
const lossListeners = []
let socket
let queue = Promise.resolve()
let code = ''
/** The seat the server knows this page by; a page that comes back says it. */
let seat = null
let leaving = false

/** Handles the server's messages of a type, one after another. */
export function onMessage(type, handler) {
  listeners.set(type, handler)
}

/** Calls back with `true` when the connection is gone and with `false` when it is there again. */
export function onConnectionLost(listener) {
  lossListeners.push(listener)
}

export function connect(meetingCode) {
  code = meetingCode
  onMessage('seat', ({ id }) => {
    seat = id
  })
  addEventListener('pagehide', () => {
    leaving = true
    tell({ type: 'bye' })
  })
  open()
}

/** No more attempts: the page shows that the call is over. */
export function stayAway() {
  leaving = true
}

function open() {
  const hl = new URLSearchParams(location.search).get('hl') ?? ''
  const query = new URLSearchParams({ code, hl, ...(seat === null ? {} : { seat }) })
  socket = new WebSocket(`wss://${location.host}/_sandbox/page-socket?${query}`)
  socket.onopen = () => {
    for (const listener of lossListeners) listener(false)
  }
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    queue = queue.then(() => listeners.get(message.type)?.(message)).catch(error => report(error))
  }
  socket.onclose = () => {
    if (leaving) return
    for (const listener of lossListeners) listener(true)
    setTimeout(() => leaving || open(), tryAgainMs)
  }
}

export function tell(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
}

/** Notes in the meeting's log what was done on the page. */
export function did(what, detail = {}) {
  tell({ type: 'did', what, detail })
}

function report(error) {
  did('page-fault', { message: String(error), stack: String(error.stack) })
  console.error(error)
}
