// Runs inside Meet's page (page.evaluate): must not use anything from outside the function. It only reads.

export interface AwaitSpeechInput {
  tile: string
  marks: string
  ownGlyphs: readonly string[]
  limitMs: number
}

/** Resolves to true as soon as the tile of somebody else shows sound, to false when none does within the limit. */
export function awaitSpeech({ tile, marks, ownGlyphs, limitMs }: AwaitSpeechInput): Promise<boolean> {
  const isOthers = (element: Element) => {
    const of = element.closest(tile)
    return (
      of !== null && ![...of.querySelectorAll('i')].some(icon => ownGlyphs.includes(icon.textContent ?? ''))
    )
  }
  return new Promise(resolve => {
    const done = (heard: boolean) => {
      observer.disconnect()
      clearTimeout(timer)
      resolve(heard)
    }
    const observer = new MutationObserver(changes => {
      if (
        changes.some(({ target }) => target instanceof Element && target.matches(marks) && isOthers(target))
      )
        done(true)
    })
    const timer = setTimeout(() => done(false), limitMs)
    if ([...document.querySelectorAll(marks)].some(isOthers)) done(true)
    else
      observer.observe(document.documentElement, {
        subtree: true,
        attributes: true,
        attributeFilter: ['class'],
      })
  })
}
