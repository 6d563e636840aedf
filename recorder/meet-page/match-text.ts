// How Meet's words are compared: folded alike on both sides, and only as whole phrases.

// A page shows the same words at every look; folding them is most of the work of naming a screen.
const folded = new Map<string, string>()
const MOST_FOLDED = 1_000

/** Lower case, accents stripped, typographic quotes and dashes folded, white space single. */
export function normalise(text: string): string {
  const known = folded.get(text)
  if (known !== undefined) return known
  if (folded.size >= MOST_FOLDED) folded.clear()
  const made = fold(text)
  folded.set(text, made)
  return made
}

function fold(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()
    .replace(/[\u2018\u2019\u02bc\u2032\u00b4`]/g, "'")
    .replace(/[\u201c\u201d\u00ab\u00bb]/g, '"')
    .replace(/[\u2010-\u2015]/g, '-')
    .replace(/\u2026/g, '...')
    .replace(/[\u200b-\u200f\u2060\ufeff]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Whether `phrase` (normalised) stands in `text` with no letter or digit touching it ("activar" is not in "desactivar"). */
export function hasPhrase(text: string, phrase: string): boolean {
  return standsIn(normalise(text), phrase)
}

export function hasAnyPhrase(text: string, phrases: readonly string[]): boolean {
  const within = normalise(text)
  return phrases.some(phrase => standsIn(within, phrase))
}

/** Whether `text` is one of the phrases, punctuation at its end aside. */
export function isAnyPhrase(text: string, phrases: readonly string[]): boolean {
  return phrases.includes(normalise(text).replace(/[.!?:]+$/, ''))
}

function standsIn(within: string, phrase: string): boolean {
  for (let at = within.indexOf(phrase); at !== -1; at = within.indexOf(phrase, at + 1)) {
    if (!isWordCharacter(within[at - 1]) && !isWordCharacter(within[at + phrase.length])) return true
  }
  return false
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character)
}
