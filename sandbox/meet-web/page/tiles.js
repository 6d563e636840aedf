// The tiles of the call: meet-dom-structures.md §5.3.
import { h, icon, id, tooltip } from './elements.js'
import { audioLevels, videoTrack } from './media.js'
import { state, t } from './page-state.js'

const tiles = new Map()
const levelClasses = ['I8fSpb', 'Oaajhc', 'HX2H7', 'wEsLMd', 'OgVli']
let main = null
let ssrc = 11_000

export function buildStage() {
  tiles.clear()
  const hint = h(
    'div',
    { class: 'hidden-hint' },
    t('raisingHand'),
    icon('front_hand', 'google-material-icons'),
  )
  main = h('main', { class: 'axUSnc' }, h('div', { class: 'eJH2ke' }), h('div', { jsname: 'Qiayqc' }), hint)
  main.style.inset = stageInset(false)
  return main
}

/** Captions push the stage up by 216 px (§5.6). */
export function stageInset(captions) {
  const top = state.model.layout === 'aug-2026' ? 64 : 16
  return `${top}px 16px ${captions ? 352 : 136}px`
}

export function setCaptionsRoom(captions) {
  main.style.inset = stageInset(captions)
  layOut()
}

/** Brings the tiles in line with the people and their media: others first, own tile last. */
export function drawTiles() {
  if (main === null) return
  const wanted = new Map()
  for (const person of state.people) {
    const isSelf = person.id === state.self.id
    if (person.presenting)
      wanted.set(`${person.id}/presentation`, { person, isSelf: false, presentation: true })
    if (!isSelf) wanted.set(person.id, { person, isSelf, presentation: false })
  }
  const self = state.people.find(person => person.id === state.self.id)
  if (self !== undefined) wanted.set(self.id, { person: self, isSelf: true, presentation: false })
  for (const [mediaId, tile] of tiles) {
    if (wanted.has(mediaId)) continue
    tile.holder.remove()
    tiles.delete(mediaId)
  }
  const after = main.querySelector('.eJH2ke')
  for (const [mediaId, wish] of wanted) {
    if (!tiles.has(mediaId)) tiles.set(mediaId, makeTile(mediaId, wish))
    const tile = tiles.get(mediaId)
    tile.person = wish.person
    after.before(tile.holder)
    updateTile(mediaId, tile)
  }
  layOut()
}

function makeTile(mediaId, { person, isSelf, presentation }) {
  const name = presentation ? t('presentation', person) : person.name
  const ring = h('div', { jsname: 'QgSmzd', class: 'DYfzY cYKTje gjg47c' })
  const meter = h(
    'div',
    { jsname: 'QgSmzd', class: 'IisKdb GF8M7d gjg47c YFyDbd' },
    h('div'),
    h('div'),
    h('div'),
  )
  const avatar = h('div', { class: 'SOQwsf', 'data-letter': name[0] })
  const videoPlace = h('div', { 'data-ssrc': ssrc++, class: 'p2hjYe' })
  const plane = h(
    'div',
    {
      jscontroller: 'dTVdqe',
      'data-layout': 'roi-crop',
      'data-resolution-cap': 0,
      'data-context': 1,
      class: 'koV58',
    },
    h('div', { jsname: 'Jaieyd', class: 'knW4sf' }, ring, avatar),
    h('div', { jsname: 'Nl0j0e', class: 'LBDzPb' }, videoPlace),
  )
  const border = h('div', { jscontroller: 'HTP19d', class: 'tC2Wod' })
  const status = statusPart(meter)
  const overlay = h(
    'div',
    { jscontroller: 'gu0YGc', class: 'overlay' },
    border,
    hoverControls(person, isSelf, presentation),
    h(
      'div',
      { jsname: 'giiMnc', class: 'ZY8hPc' },
      h(
        'div',
        { class: 'XEazBc' },
        h('div', {}, h('span', { class: 'notranslate' }, name), tooltip(name, id('tt-'))),
      ),
    ),
    status,
  )
  if (isSelf) {
    overlay.append(
      h('div', { jsname: 'Ac69Jc', class: 'flag' }, t('fullVideo')),
      h('div', { class: 'jb1oQc KUNJSe' }),
    )
  }
  const element = h(
    'div',
    {
      jsname: 'E2KThb',
      jscontroller: 'K3Z5Df',
      tabindex: -1,
      'data-participant-id': person.id,
      'data-requested-participant-id': person.id,
      'data-tile-media-id': mediaId,
      class: 'oZRSLe',
    },
    h('div', { jscontroller: 'W156lc', class: 'FKJK2b' }, h('div', { class: 'CNjCjf' }, plane), overlay),
  )
  element.addEventListener('mouseenter', () => element.classList.add('MSqqjf'))
  element.addEventListener('mouseleave', () => element.classList.remove('MSqqjf'))
  const holder = h('div', { class: 'dkjMxf' }, element)
  return { person, isSelf, holder, plane, videoPlace, ring, meter, border, status }
}

/** Mute-flash blocks with empty names and the `devices` glyph are always there (§5.3 d, §9.12). */
function statusPart(meter) {
  const flash = empty => h('div', { class: 'flag' }, h('span', { class: `notranslate ${empty}` }))
  const inner = h(
    'div',
    { jscontroller: 'mUJV5', class: 'JHK7jb' },
    meter,
    icon('devices', 'google-material-icons notranslate'),
    flash('cR8Azd'),
    flash('zYrqtc'),
  )
  return h('div', { jscontroller: 'HTP19d', class: 'lH9pqf atLQQ' }, inner)
}

/** In the DOM from the start, displayed only while the mouse is over the tile. */
function hoverControls(person, isSelf, presentation) {
  const more = control({ label: t('moreOptionsFor', person), glyph: 'more_vert' })
  const own = () => [
    control({
      jsname: 'nsKqzb',
      label: t('reframe'),
      glyph: 'frame_person',
      disabled: true,
      classes: 'google-material-icons notranslate',
    }),
    control({ label: t('effects'), glyph: 'visual_effects' }),
    more,
  ]
  const foreign = () => [
    control({
      jsname: 'fxbmRe',
      label: t(presentation ? 'pinPresentation' : 'pin', person),
      glyph: 'keep_outline',
      popup: 'menu',
    }),
    control({ jsname: 'LgbsSe', label: t('cannotUnmute'), glyph: 'mic_off', disabled: true }),
    more,
  ]
  const buttons = isSelf ? own() : foreign()
  const group = h('div', { jsname: 'kPfaL', class: 'HNwH4d' }, ...buttons)
  return h('div', { jscontroller: 'h8UR3d', class: 'tTdl5d' }, h('div', { jsname: 'xbky9c' }, group))
}

function control({ jsname, label, glyph, disabled, popup, classes }) {
  const tooltipId = id('tt-')
  const attributes = {
    jsname,
    'aria-label': label,
    'aria-haspopup': popup,
    disabled,
    'data-tooltip-id': tooltipId,
  }
  const button = h('button', attributes, h('span', { 'aria-hidden': true }, icon(glyph, classes)))
  return h('span', { 'data-is-tooltip-wrapper': true }, button, tooltip(label, tooltipId))
}

function updateTile(mediaId, tile) {
  const { person, plane, videoPlace, status, isSelf } = tile
  const presentation = mediaId !== person.id
  const track = isSelf || !(presentation || person.cameraOn) ? undefined : videoTrack(mediaId)
  const video = videoPlace.querySelector('video')
  if (track === undefined) video?.remove()
  else if (video?.srcObject?.getTracks()[0] !== track) {
    video?.remove()
    videoPlace.append(makeVideo(track, mediaId))
  }
  plane.classList.toggle('S7urwe', track !== undefined)
  status.classList.toggle('FTMc0c', person.muted)
}

function makeVideo(track, mediaId) {
  const video = h('video', { 'data-uid': mediaId.split('/').pop(), playsinline: '' })
  video.muted = true
  video.autoplay = true
  video.srcObject = new MediaStream([track])
  return video
}

/** Equal 16:9 boxes in the grid that makes them largest. */
function layOut() {
  const { width, height } = main.getBoundingClientRect()
  const gap = 12
  let best = { tileWidth: 0, columns: 1 }
  for (let columns = 1; columns <= tiles.size; columns++) {
    const rows = Math.ceil(tiles.size / columns)
    const byWidth = (width - gap * (columns - 1)) / columns
    const byHeight = ((height - gap * (rows - 1)) / rows) * (16 / 9)
    const tileWidth = Math.min(byWidth, byHeight)
    if (tileWidth > best.tileWidth) best = { tileWidth, columns }
  }
  const { columns, tileWidth } = best
  const tileHeight = (tileWidth * 9) / 16
  const rows = Math.ceil(tiles.size / columns)
  const top0 = (height - rows * tileHeight - (rows - 1) * gap) / 2
  const size = tileWidth < 300 ? 'eQJ1qd' : tileWidth < 600 ? 'WX1kx' : 'iPFm3e'
  ;[...tiles.values()].forEach(({ holder }, index) => {
    const row = Math.floor(index / columns)
    const inRow = row === rows - 1 ? tiles.size - row * columns : columns
    const left0 = (width - inRow * tileWidth - (inRow - 1) * gap) / 2
    const left = left0 + (index % columns) * (tileWidth + gap)
    Object.assign(holder.style, {
      left: `${Math.round(left)}px`,
      top: `${Math.round(top0 + row * (tileHeight + gap))}px`,
      width: `${Math.round(tileWidth)}px`,
      height: `${Math.round(tileHeight)}px`,
    })
    holder.className = `dkjMxf ${size}`
  })
}

const stepMs = 150
let lastStepMs = 0

/** Speaking marks, drawn from animation frames: in a hidden tab they stand still (§5.3). */
export function animateSpeakers() {
  const step = nowMs => {
    if (state.screen !== 'call') return
    requestAnimationFrame(step)
    if (nowMs - lastStepMs < stepMs) return
    lastStepMs = nowMs
    const levels = audioLevels()
    for (const tile of tiles.values()) {
      const { person, ring, meter, border, status } = tile
      const level = person.muted ? 0 : (levels[person.audioStream] ?? 0)
      const speaking = level > 0.01
      for (const mark of [ring, meter]) {
        mark.classList.remove(...levelClasses)
        mark.classList.toggle('gjg47c', !speaking)
        if (speaking) mark.classList.add(levelClasses[Math.min(4, Math.floor(level * 10))])
      }
      for (const part of [border, status]) part.classList.toggle('kssMZb', speaking)
    }
  }
  requestAnimationFrame(step)
}

addEventListener('resize', () => main?.isConnected && layOut())
