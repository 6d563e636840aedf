// Runs inside Meet's page (page.evaluate): must not use anything from outside the function. It only reads.
import type { ButtonSeen, ElementPlace, MuteToggle, Snapshot, TileSeen } from './snapshot.ts'
import type { Selectors } from './words.ts'

/** What the in-page function is given, because it cannot import. Texts are normalised (match-text.ts). */
export interface ReadScreenInput {
  selectors: Selectors
  peopleChip: readonly string[]
}

/** Reads the page as it is now. Opacity does not count as hidden: Meet's bar fades out by itself (meet-web-facts.md §6). */
export function readScreen({ selectors, peopleChip }: ReadScreenInput): Snapshot {
  const MOST_LINES = 120
  const MOST_BUTTONS = 150

  const squeeze = (text: string | null | undefined) => (text ?? '').replace(/\s+/g, ' ').trim()
  const normalise = (text: string) => squeeze(text.normalize('NFD').replace(/\p{Mn}/gu, '')).toLowerCase()
  const all = (selector: string, root: ParentNode = document) => [
    ...root.querySelectorAll<HTMLElement>(selector),
  ]

  // Closed side panels stay mounted and are moved out sideways (meet-dom-structures.md §5.5).
  const isVisible = (element: Element) => {
    if (!element.checkVisibility({ visibilityProperty: true })) return false
    const box = element.getBoundingClientRect()
    return box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0
  }
  const visible = (selector: string, root?: ParentNode) => all(selector, root).filter(isVisible)

  const glyphOf = (element: Element) =>
    squeeze([...element.querySelectorAll('i')].find(icon => squeeze(icon.textContent) !== '')?.textContent)

  // Visible text in reading order, one line per block; `skip` cuts whole subtrees.
  const linesOf = (root: Element, skip: (element: Element) => boolean) => {
    const lines: string[] = []
    let line = ''
    const endLine = () => {
      const text = squeeze(line)
      if (text !== '' && lines.length < MOST_LINES) lines.push(text)
      line = ''
    }
    const walk = (node: Node) => {
      if (node instanceof Text) line += node.data
      if (!(node instanceof Element) || skip(node)) return
      const style = getComputedStyle(node)
      if (style.display === 'none') return
      const inline = style.display.startsWith('inline') || style.display === 'contents'
      if (!inline) endLine()
      if (style.visibility === 'visible') for (const child of node.childNodes) walk(child)
      else for (const child of node.children) walk(child)
      if (!inline || node.tagName === 'BR') endLine()
    }
    walk(root)
    endLine()
    return lines
  }
  const textOf = (element: Element) => linesOf(element, node => node.matches('i, [role="tooltip"]')).join(' ')

  const labelOf = (element: Element) => {
    const ids = element.getAttribute('aria-labelledby')
    if (ids === null) return squeeze(element.getAttribute('aria-label'))
    return squeeze(
      ids
        .split(/\s+/)
        .map(id => document.getElementById(id)?.textContent ?? '')
        .join(' '),
    )
  }
  const placeOf = (element: Element): ElementPlace => {
    const path: number[] = []
    for (let at: Element | null = element; at?.parentElement; at = at.parentElement) {
      path.unshift([...at.parentElement.children].indexOf(at))
    }
    return { path, label: labelOf(element), text: textOf(element) }
  }

  const dialogElements = visible(selectors.dialog)
  const buttonElements = visible(selectors.button).slice(0, MOST_BUTTONS)
  const buttons: ButtonSeen[] = buttonElements.map(element => ({
    ...placeOf(element),
    jsname: element.getAttribute('jsname') ?? '',
    outerJsname: element.parentElement?.closest('[jsname]')?.getAttribute('jsname') ?? '',
    glyph: glyphOf(element),
    disabled: element.matches(':disabled, [aria-disabled="true"]'),
    faint: !element.checkVisibility({ opacityProperty: true }),
    dialogAction: element.getAttribute(selectors.dialogAction) ?? '',
    dialog: dialogElements.findLastIndex(dialog => dialog.contains(element)),
  }))

  const tiles = all(selectors.tile).map((tile): TileSeen => {
    const glyphs = [...tile.querySelectorAll('i')].map(icon => squeeze(icon.textContent))
    const name = all(selectors.tileName, tile).find(
      candidate =>
        candidate.closest('button, i, [role="tooltip"]') === null && squeeze(candidate.textContent) !== '',
    )
    const ownGlyphs: readonly string[] = selectors.ownTileGlyphs
    return {
      participantId: tile.getAttribute('data-participant-id') ?? '',
      mediaId: tile.getAttribute('data-tile-media-id') ?? '',
      name: squeeze(name?.textContent),
      own: glyphs.some(glyph => ownGlyphs.includes(glyph)),
      muted: glyphs.includes(selectors.mutedGlyph),
      video: tile.querySelector('video') !== null,
    }
  })

  const avatars = visible(selectors.avatarCount)[0]
  const chip = visible(selectors.peopleChip).find(element => {
    const name = normalise(labelOf(element)).replace(/[\s\d-]+.*$/, '')
    return peopleChip.includes(name)
  })
  const chipElement = chip ?? avatars?.closest<HTMLElement>(selectors.button)
  const chipNumber = chipElement ? squeeze(textOf(chipElement)).match(/(\d+)\D*$/) : null

  const toggles = [selectors.microphone, selectors.camera].flatMap((selector, index) =>
    visible(selector)
      .slice(0, 1)
      .map((element): MuteToggle => {
        const device = index === 0 ? 'microphone' : 'camera'
        const muted = element.getAttribute('data-is-muted') === 'true'
        // The hook may sit on a wrapper; what is pressed is the button in it.
        const pressed = element.matches(selectors.button)
          ? element
          : (element.querySelector(selectors.button) ?? element)
        return { ...placeOf(pressed), device, muted, glyph: glyphOf(element) }
      }),
  )

  const nameInputs = visible(selectors.nameInput).filter(
    input => input.closest('aside, [role="dialog"]') === null,
  )
  const nameInput =
    nameInputs.find(input => input.getAttribute('jsname') === selectors.nameInputJsname) ?? nameInputs[0]
  const joinWrapper = visible(selectors.joinControl).filter(element => element.closest('aside') === null)[0]
  const joinControl = joinWrapper?.matches(selectors.button)
    ? joinWrapper
    : joinWrapper && visible(selectors.button, joinWrapper)[0]

  const streams = all('audio, video').map(element => (element as HTMLMediaElement).srcObject)
  const audioTracks = streams.flatMap(stream =>
    stream instanceof MediaStream ? stream.getAudioTracks() : [],
  )

  const hasToggles = all(selectors.muteState).length > 0
  const skipped = (element: Element) =>
    element.matches(selectors.notMeetsWords) ||
    dialogElements.includes(element as HTMLElement) ||
    (hasToggles && element.matches(selectors.titleOrHeading))
  const lines = linesOf(document.body, skipped)
  const inSight = [...lines, ...buttons.map(button => button.label)].join(' ')
  const isMeetsWord = (element: Element) => element.closest(selectors.notMeetsWords) === null
  const anonymous = document.querySelector(selectors.anonymous)?.getAttribute('data-is-anonymous')

  return {
    url: location.href,
    lang: document.documentElement.lang,
    title: document.title,
    readyState: document.readyState,
    startupCode: visible(selectors.terminalFrame)[0]?.getAttribute(selectors.startupCodeAttribute) ?? null,
    callEnded: visible(selectors.callEnded).length > 0,
    connectionLost: visible(selectors.connectionLost).length > 0,
    titleOrHeading: squeeze(visible(selectors.titleOrHeading)[0]?.textContent),
    headings: visible(selectors.heading)
      .filter(heading => isMeetsWord(heading) && !heading.matches(selectors.titleOrHeading))
      .map(heading => textOf(heading)),
    buttons,
    dialogs: dialogElements.map(dialog => ({
      label: labelOf(dialog),
      text: textOf(dialog),
      modal: dialog.getAttribute('aria-modal') === 'true',
    })),
    alerts: visible(selectors.alert).filter(isMeetsWord).map(textOf),
    tiles,
    avatarCount: avatars ? Number(avatars.getAttribute('data-avatar-count')) : null,
    chipCount: chipNumber ? Number(chipNumber[1]) : null,
    toggles,
    nameInput: nameInput
      ? {
          ...placeOf(nameInput),
          value: (nameInput as HTMLInputElement).value,
          jsname: nameInput.getAttribute('jsname') ?? '',
          placeholder: nameInput.getAttribute('placeholder') ?? '',
        }
      : null,
    hangUp: buttonElements.some(
      element => element.matches(selectors.hangUpButton) || glyphOf(element) === selectors.hangUpGlyph,
    ),
    panels: visible(selectors.panelButton).map(button => button.getAttribute('data-panel-id') ?? ''),
    captionsButton: visible(selectors.captionsButton).length > 0,
    handButton: visible(selectors.handButton).length > 0,
    joinControl: joinControl ? placeOf(joinControl) : null,
    anonymous: anonymous === undefined || anonymous === null ? null : anonymous === 'true',
    emails: [...new Set(inSight.match(/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g) ?? [])],
    audioElements: all('audio').length,
    liveAudioTracks: audioTracks.filter(track => track.readyState === 'live' && !track.muted).length,
    lines,
  }
}

/** Finds the element of a snapshot again; null when something else stands there by now. */
export function findPlace({ path, label, text }: ElementPlace): HTMLElement | null {
  let element: Element | undefined = document.documentElement
  for (const index of path) element = element?.children[index]
  if (!(element instanceof HTMLElement)) return null
  const ids = element.getAttribute('aria-labelledby')
  const squeeze = (words: string | null | undefined) => (words ?? '').replace(/\s+/g, ' ').trim()
  const labelNow = ids
    ? squeeze(
        ids
          .split(/\s+/)
          .map(id => document.getElementById(id)?.textContent ?? '')
          .join(' '),
      )
    : squeeze(element.getAttribute('aria-label'))
  // The text may carry a count or an icon; that its words are still there is enough.
  const same =
    labelNow === label && (text === '' || squeeze(element.textContent).includes(text.split(' ')[0] ?? ''))
  return same ? element : null
}
