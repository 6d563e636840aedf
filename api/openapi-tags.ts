import { type OpenApiDocument, operationsOf } from './openapi-document.ts'

/** The chapters of the document, by the first word of an address below `/v1/`, or of one that is not there. */
const TAGS: Record<string, { name: string; description: string }> = {
  meetings: { name: 'Meetings', description: 'Calls, who is invited, and their recordings' },
  series: { name: 'Meetings', description: '' },
  webhooks: { name: 'Webhooks', description: 'Being told of what happens' },
  audit: { name: 'Audit', description: 'Who did what and when' },
  organization: { name: 'Organisation', description: 'Settings of your organisation' },
  retention: { name: 'Retention', description: 'How long things are kept, and erasure' },
  erasures: { name: 'Retention', description: '' },
  keys: { name: 'API keys', description: 'Keys of services' },
  users: { name: 'People', description: 'Users of your organisation' },
  me: { name: 'People', description: '' },
  auth: { name: 'Signing in', description: 'Sessions of people' },
  oauth: { name: 'Signing in', description: '' },
  '.well-known': { name: 'Signing in', description: '' },
  hooks: { name: 'From Google', description: 'What Google tells us; nobody else asks here' },
  hosts: { name: 'Organisation', description: '' },
  healthz: { name: 'Health', description: 'For whoever runs Testigo' },
  readyz: { name: 'Health', description: '' },
}
const OTHERS = { name: 'Others', description: 'What belongs to no other chapter' }

/** Puts each operation into a chapter. */
export function withTags(document: OpenApiDocument): OpenApiDocument {
  const used = new Set<string>()
  for (const { path, operation } of operationsOf(document)) {
    const { name } = tagOf(path)
    operation.tags = [name]
    used.add(name)
  }
  document.tags = [...Object.values(TAGS), OTHERS].filter(
    ({ name, description }) => description !== '' && used.has(name),
  )
  return document
}

function tagOf(path: string): { name: string } {
  const words = path
    .replace(/^\/v1(?=\/)/, '')
    .split('/')
    .slice(1)
  return (words[2] === 'retention' ? TAGS.retention : TAGS[words[0] ?? '']) ?? OTHERS
}
