// The document frame and its stack of layers: meet-dom-structures.md §1.
import { h } from './elements.js'
import { state } from './page-state.js'

const layers = {}
let wiz
let stack

/** Builds the empty frame, the three bare audio elements and the announcer. */
export function buildFrame() {
  const { model } = state
  const anonymous = model.account === null
  stack = h('div', { 'data-hc-context': 5 })
  wiz = h(
    'c-wiz',
    {
      jsrenderer: 'XCoqFe',
      jscontroller: 'JGjVRe',
      'data-unresolved-meeting-id': model.code,
      'data-auto-join': false,
      'data-hc-context': 1,
      'data-is-adhoc': model.layout === 'apr-2026' ? true : null,
      'data-start-source': model.layout === 'apr-2026' ? 0 : null,
      'data-feedback-call-state': model.layout === 'apr-2026' ? 1 : null,
      id: model.layout === 'aug-2026' ? 'DARUcf-a9D5U' : null,
    },
    h('div', {
      class: 'flag',
      'data-auto-ack-recording': false,
      'data-auto-ack-broadcast': false,
      'data-is-anonymous': anonymous,
    }),
    h('div', { jsname: 'RFn3Rd', class: 'crqnQb' }, h('div', { 'data-hc-context': 3 }, stack)),
  )
  document.querySelector('#yDmH0d').replaceChildren(wiz)
  for (let count = 0; count < 3; count++) document.body.append(document.createElement('audio'))
  document.body.append(h('div', { 'aria-live': 'polite', 'data-mdc-dom-announce': true, class: 'announcer' }))
}

export function announce(text) {
  document.querySelector('[data-mdc-dom-announce]').textContent = text
}

/** Shows a screen that fills the stage: green room or end screen. */
export function showAlone(...content) {
  stack.replaceChildren(...content)
}

/** Lays out the layers of a call (or of the waiting room). */
export function showLayers({ top, stage, captions, right, left, bottom, corner }) {
  const layer = (priority, side, ...content) =>
    h('div', { class: 'fJsklc', 'data-priority': priority, 'data-side': side }, ...content)
  layers.top = layer(1150, 1, top)
  layers.captions = layer(999, 3, captions)
  layers.captions.style.bottom = '80px'
  const sides = h('div', { id: 'ME4pNd' }, layer(1050, 2, right), layer(1050, 4, left))
  layers.bottom = layer(1100, 3, bottom)
  layers.corner = h('div', { class: 'fJsklc', 'data-priority': 2, 'data-corner': 3 }, corner)
  const stageHolder = h('div', { jscontroller: 'iIjHBc' }, stage)
  stack.replaceChildren(layers.top, stageHolder, layers.captions, sides, layers.bottom, layers.corner)
}

/** Appears when the call is entered and stays true after its end (§9.12). */
export function markInCall() {
  if (wiz.querySelector('[data-in-call]') === null)
    wiz.prepend(h('div', { class: 'flag', 'data-in-call': true }))
}
