/**
 * Lets requests that ask for the same thing at the same time share the answer. None gets an answer that was asked for before
 * it came: while one look-up is on its way, all that come wait for the one after it. So what is changed takes effect for the
 * next request, as without sharing.
 */
export function shareLookups<Key, Answer>(
  look: (key: Key) => Promise<Answer>,
): (key: Key) => Promise<Answer> {
  const running = new Map<Key, { over: Promise<unknown>; next: Promise<Answer> | undefined }>()

  function start(key: Key): Promise<Answer> {
    const answer = look(key)
    const over = answer.then(ignore, ignore)
    const entry = { over, next: undefined as Promise<Answer> | undefined }
    running.set(key, entry)
    over.then(() => {
      if (!entry.next) running.delete(key)
    })
    return answer
  }

  return key => {
    const entry = running.get(key)
    if (!entry) return start(key)
    entry.next ??= entry.over.then(() => start(key))
    return entry.next
  }
}

// Who asked is told of it.
function ignore(): void {}
