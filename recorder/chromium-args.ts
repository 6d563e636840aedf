// Chromium's command line as values: how a person writes it, and how repeated switches become one.
import { parse } from 'shell-quote'

/** A text that is not a plain list of words; the message says what to write instead. */
export class BadShellWords extends Error {
  readonly reason: 'operator' | 'glob' | 'comment' | 'unclosed-quote'

  constructor(reason: BadShellWords['reason'], message: string) {
    super(message)
    this.name = 'BadShellWords'
    this.reason = reason
  }
}

/**
 * Splits a text into words as a shell does (quotes and backslashes honoured), and nothing more: `$NAME` stays as
 * it is written; operators, globs and comments are refused with `BadShellWords`.
 */
export function splitShellWords(text: string): string[] {
  refuseUnclosedQuote(text)
  return parse(text, name => `$${name}`).map(token => {
    if (typeof token === 'string') return token
    if ('comment' in token) {
      throw new BadShellWords('comment', `"#${token.comment}" reads as a comment; put the word in quotes`)
    }
    if (token.op === 'glob') {
      throw new BadShellWords(
        'glob',
        `"${token.pattern}" holds a wildcard and files are not looked up here; put the word in quotes`,
      )
    }
    throw new BadShellWords(
      'operator',
      `"${token.op}" is a shell operator and no shell runs here; put the word that holds it in quotes`,
    )
  })
}

function refuseUnclosedQuote(text: string): void {
  let open: string | undefined
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    if (char === '\\' && open !== "'") index++
    else if (open !== undefined) open = char === open ? undefined : open
    else if (char === '"' || char === "'") open = char
  }
  if (open !== undefined) throw new BadShellWords('unclosed-quote', `a ${open} is opened and never closed`)
}

const LIST_SWITCHES = [
  '--disable-features',
  '--enable-features',
  '--disable-blink-features',
  '--enable-blink-features',
]

/**
 * Puts repeated list switches together, because Chromium honours only the last of each
 * (`--disable-features=A --disable-features=B` would switch A on again). Other switches keep their place.
 */
export function mergeListSwitches(args: readonly string[]): string[] {
  const lists = new Map<string, Set<string>>()
  const others: string[] = []
  for (const arg of args) {
    const [name, value] = splitOnce(arg)
    if (!LIST_SWITCHES.includes(name) || value === undefined) {
      others.push(arg)
      continue
    }
    const list = lists.get(name) ?? new Set<string>()
    for (const item of value.split(',')) if (item !== '') list.add(item)
    lists.set(name, list)
  }
  return [...others, ...[...lists].map(([name, items]) => `${name}=${[...items].join(',')}`)]
}

function splitOnce(arg: string): [string, string | undefined] {
  const at = arg.indexOf('=')
  return at === -1 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)]
}
