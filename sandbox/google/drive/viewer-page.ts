import type { IncomingMessage } from 'node:http'
import type { Answer, World } from '../world.ts'
import { sendContent } from './file-handlers.ts'

/**
 * The page behind `webViewLink`, so that a person can open a recording's Drive link: `/file/d/<id>/view` shows the
 * video, `/file/d/<id>/content` sends its bytes. Nobody is asked to sign in.
 */
export function viewerAnswer(world: World, request: IncomingMessage, url: URL): Answer {
  const [, fileId = '', what] = /^\/file\/d\/([\w-]+)\/(view|content)$/.exec(url.pathname) ?? []
  const file = world.state.files.get(fileId)
  if (!file?.content || !what) return { status: 404, text: 'This file does not exist in the sandbox.' }
  if (what === 'content') return sendContent(file, file.content, request)
  const name = escapeHtml(file.name)
  const player = file.mimeType.startsWith('video/')
    ? `<video src="content" controls style="max-width:100%;max-height:85vh"></video>`
    : `<p><a href="content" download="${name}">${name}</a></p>`
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${name} - Google Drive (sandbox)</title>
<body style="font-family:sans-serif;margin:2rem;background:#1f1f1f;color:#eee"><h1 style="font-size:1.2rem">${name}</h1>
${player}<p>${file.content.sizeBytes} bytes, SHA-256 ${file.content.checksums.sha256Checksum}</p></body></html>`
  return { headers: { 'content-type': 'text/html; charset=utf-8' }, text: page }
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
