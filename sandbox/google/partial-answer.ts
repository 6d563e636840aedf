import { GoogleError } from './errors.ts'

type Selection = Map<string, Selection>

/**
 * Applies the `fields` parameter: `id,name`, `files(id,name)`, `files/id`, `*`. The grammar is that of Drive's
 * guide on partial responses (google-apis.md §4.4). Throws 400 `invalidParameter` on a broken selector.
 */
export function selectFields(answer: unknown, fields: string): unknown {
  const reader = { text: fields.replaceAll(/\s/g, ''), at: 0 }
  const selection = readSelection(reader)
  if (reader.at < reader.text.length) throw broken(fields)
  return pick(answer, selection)

  function readSelection(from: { text: string; at: number }): Selection {
    const chosen: Selection = new Map()
    for (;;) {
      readField(from, chosen)
      if (from.text[from.at] !== ',') return chosen
      from.at++
    }
  }

  function readField(from: { text: string; at: number }, into: Selection): void {
    const name = /^[\w*-]+/.exec(from.text.slice(from.at))?.[0]
    if (!name) throw broken(fields)
    from.at += name.length
    let inner: Selection = new Map()
    if (from.text[from.at] === '/') {
      from.at++
      readField(from, inner)
    } else if (from.text[from.at] === '(') {
      from.at++
      inner = readSelection(from)
      if (from.text[from.at] !== ')') throw broken(fields)
      from.at++
    }
    const earlier = into.get(name)
    for (const [key, value] of earlier ?? []) inner.set(key, value)
    into.set(name, inner)
  }
}

function broken(fields: string): GoogleError {
  return new GoogleError(400, `Invalid field selection ${fields}`, {
    reason: 'invalidParameter',
    location: { type: 'parameter', name: 'fields' },
  })
}

function pick(value: unknown, selection: Selection): unknown {
  if (selection.size === 0) return value
  if (Array.isArray(value)) return value.map(item => pick(item, selection))
  if (typeof value !== 'object' || value === null) return value
  const everything = selection.get('*')
  const result: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    const inner = selection.get(key) ?? everything
    if (inner) result[key] = pick(field, inner)
  }
  return result
}
