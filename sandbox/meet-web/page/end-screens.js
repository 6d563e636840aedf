// End and error screens: meet-dom-structures.md §7, one frame with different headings.
import { h, textButton } from './elements.js'
import { showAlone } from './frame.js'
import { state, t } from './page-state.js'

const screens = {
  left: { heading: 'endLeft', rejoin: 'rejoin' },
  denied: { heading: 'endDenied', again: 'askAgain' },
  'no-response': { heading: 'endNoResponse', again: 'askAgain' },
  removed: { heading: 'endRemoved' },
  'host-ended': { heading: 'endHostEnded' },
  // No capture of these two; nobody has seen the words (meet-dom-structures.md §7.2).
  switched: { heading: 'endSwitched', rejoin: 'rejoin' },
  'connection-lost': { heading: 'endConnectionLost', rejoin: 'rejoin', lost: true },
  'everyone-left': { heading: 'endEveryoneLeft', rejoin: 'rejoin' },
  'cannot-join': { heading: 'endCannotJoin', text: 'endCannotJoinText', safe: true, errorTitle: true },
  'not-found': {
    heading: 'endNotFound',
    text: 'endNotFoundText',
    safe: true,
    errorTitle: true,
    startupCode: 217,
  },
}

/** Shows the screen and counts down to the home page. */
export function showEnd(kind) {
  const screen = screens[kind]
  const { homeCountdownMs } = state.model
  if (screen.errorTitle) document.title = 'Meet'
  const timer = h('div', { role: 'timer', 'aria-label': t('returningHome') }, '')
  const home = textButton({ text: t('returnHome'), inner: 'dqt8Pb', click: goHome })
  const feedback = textButton({
    text: t('submitFeedback'),
    inner: 'rhHFf',
    kind: 'secondary',
    click: () => {},
  })
  showAlone(
    h(
      'div',
      {
        class: 'Fi0Gqc',
        jscontroller: 'VQ0pCb',
        'data-startup-code': screen.startupCode,
        'data-timeout': homeCountdownMs,
        'data-companion-mode': false,
        'data-present-mode': false,
        'data-hc-context': 4,
      },
      h(
        'div',
        { class: 'lAqQo' },
        h('h1', { jsname: 'r4nke', class: 'roSPhc' }, t(screen.heading)),
        screen.text ? h('span', { jsname: 'PIJwL' }, t(screen.text)) : null,
        screen.text ? h('a', { jsname: 'ttVHBc', href: '#' }, t('learnMore')) : null,
        againButton(screen),
        h(
          'div',
          { jsname: 'c6xFrd' },
          h(
            'div',
            { jsname: 'WIVZEd', 'data-call-ended': true, 'data-is-connection-lost': screen.lost ?? false },
            home,
          ),
        ),
        h('div', { jsname: 'eHOY6b', 'data-call-ended': true }, feedback),
        screen.safe ? safeCard() : null,
        h('div', { class: 'countdown' }, timer, h('span', {}, t('returningHome'))),
      ),
    ),
  )
  countDown(timer, homeCountdownMs)
}

function againButton({ rejoin, again }) {
  const key = rejoin ?? again
  if (key === undefined) return null
  return textButton({ text: t(key), inner: rejoin ? 'W6suGc' : undefined, click: () => location.reload() })
}

function safeCard() {
  return h(
    'div',
    { class: 'card' },
    h('img', { alt: t('safeTitle') }),
    h('h2', {}, t('safeTitle')),
    h('div', {}, t('safeText')),
    h('div', { role: 'button', jsname: 'DPJEMd' }, t('learnMore')),
  )
}

function countDown(timer, durationMs) {
  const endsAtMs = Date.now() + durationMs
  const draw = () => {
    const seconds = Math.ceil((endsAtMs - Date.now()) / 1000)
    timer.textContent = String(Math.max(0, seconds))
    if (seconds <= 0) goHome()
    else setTimeout(draw, Math.min(1000, endsAtMs - Date.now()))
  }
  draw()
}

function goHome() {
  location.assign(state.model.account === null ? '/landing' : '/home')
}
