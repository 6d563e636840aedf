const MOST_PAGES = 200

export interface Page<Item> {
  items: Item[] | undefined
  next: string | null | undefined
}

/** Reads page after page to the end; a list that never ends is a mistake somewhere, not a longer list. */
export async function everyPage<Item>(
  read: (pageToken: { pageToken?: string }) => Promise<Page<Item>>,
): Promise<Item[]> {
  const all: Item[] = []
  let next: string | null | undefined
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const page = await read(next ? { pageToken: next } : {})
    all.push(...(page.items ?? []))
    next = page.next
    if (!next) return all
  }
  throw new Error(`Google's list did not end within ${MOST_PAGES} pages`)
}
