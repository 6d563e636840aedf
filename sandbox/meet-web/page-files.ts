import { readFile } from 'node:fs/promises'

const types: Record<string, string> = { js: 'text/javascript', css: 'text/css' }
const here = import.meta.url

/** Folders whose files the pages may load, by the first part of the address after `/_sandbox/`. */
const folders: Record<string, URL> = {
  page: new URL('./page/', here),
  players: new URL('./players/', here),
  'test-pattern': new URL('../test-pattern/', here),
}

/** Reads a file of the page side; `null` when the address names none. */
export async function pageFile(pathname: string): Promise<{ type: string; body: Buffer } | null> {
  const [, folder = '', name = '', extension = ''] =
    /^\/_sandbox\/([a-z-]+)\/([A-Za-z0-9.-]+\.(js|css))$/.exec(pathname) ?? []
  const base = folders[folder]
  const type = types[extension]
  if (base === undefined || type === undefined) return null
  try {
    return { type, body: await readFile(new URL(name, base)) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
