import type { IncomingMessage } from 'node:http'
import type { Answer, World } from './world.ts'

/**
 * The metadata server of a Google machine: the token of its own service account. Without the header
 * `Metadata-Flavor: Google` it answers 403, as the real one does to keep browsers out.
 */
export function metadataAnswer(world: World, request: IncomingMessage, url: URL): Answer {
  const headers = { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' }
  if (request.headers['metadata-flavor'] !== 'Google')
    return { status: 403, headers, text: 'Missing Metadata-Flavor:Google header.' }
  const account = '/computeMetadata/v1/instance/service-accounts/default'
  const email = world.identity.machineEmail
  if (url.pathname === `${account}/email`) return { headers, text: email }
  if (url.pathname !== `${account}/token`) return { status: 404, headers, text: 'Not Found' }
  const scopes = url.searchParams.get('scopes')?.split(',') ?? [
    'https://www.googleapis.com/auth/cloud-platform',
  ]
  const expiresAtMs = world.nowMs() + 3_599_000
  const token = world.identity.issue({ email, isServiceAccount: true, scopes: new Set(scopes), expiresAtMs })
  return { headers, json: { access_token: token, expires_in: 3599, token_type: 'Bearer' } }
}
