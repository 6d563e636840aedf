import type { IncomingMessage } from 'node:http'
import { ZodError, z } from 'zod'
import type { Fault } from './faults.ts'
import { readJson } from './request-body.ts'
import type { Answer, World } from './world.ts'

/**
 * The sandbox's own door for people and scripts: `POST /_sandbox/faults` adds a fault (see faults.ts),
 * `DELETE /_sandbox/faults` clears them, `GET /_sandbox/state` shows what the sandbox remembers.
 */
export async function controlAnswer(world: World, request: IncomingMessage, url: URL): Promise<Answer> {
  const asked = `${request.method} ${url.pathname}`
  if (asked === 'GET /_sandbox/state') return { json: describeState(world) }
  if (asked === 'GET /_sandbox/faults') return { json: world.faults.active }
  if (asked === 'DELETE /_sandbox/faults') {
    world.faults.clear()
    return { status: 204 }
  }
  if (asked !== 'POST /_sandbox/faults') return { status: 404, json: { error: `No such door: ${asked}` } }
  try {
    world.faults.add((await readJson(request)) as Fault)
  } catch (error) {
    if (!(error instanceof ZodError)) throw error
    return { status: 400, json: { error: z.prettifyError(error) } }
  }
  return { status: 201, json: world.faults.active }
}

function describeState(world: World): object {
  const { state } = world
  return {
    events: [...state.events.values()],
    spaces: [...state.spaces.values()],
    conferences: state.conferences,
    files: [...state.files.values()].map(({ content, ...file }) => ({
      ...file,
      sizeBytes: content?.sizeBytes,
    })),
    sharedDrives: [...state.sharedDrives.values()],
    // Addresses of sessions are secrets; how far each is, is not.
    uploads: [...state.uploads.values()].map(upload => ({
      fileId: upload.file.id,
      storedBytes: upload.storage.sizeBytes,
      finished: upload.finished,
    })),
    mails: state.mails,
    requests: state.requests,
    faults: world.faults.active,
  }
}
