// The page's socket to the server.

const listeners = new Map()
let socket
let queue = Promise.resolve()

/** Handles the server's messages of a type, one after another. */
export function onMessage(type, handler) {
  listeners.set(type, handler)
}

export function connect(code) {
  const query = new URLSearchParams({ code, hl: new URLSearchParams(location.search).get('hl') ?? '' })
  socket = new WebSocket(`wss://${location.host}/_sandbox/page-socket?${query}`)
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    queue = queue.then(() => listeners.get(message.type)?.(message)).catch(error => report(error))
  }
  addEventListener('pagehide', () => tell({ type: 'bye' }))
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
