import { readFileSync } from 'node:fs'
import type { ErrorFamily } from './errors.ts'

/** A schema as Google's discovery documents write it (JSON Schema draft 3 with `$ref` by name). */
export interface Schema {
  $ref?: string
  type?: string
  format?: string
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema
  enum?: string[]
  pattern?: string
  minimum?: string
  maximum?: string
  annotations?: { required?: string[] }
}

export interface Parameter extends Schema {
  location: 'path' | 'query'
  required?: boolean
  repeated?: boolean
}

interface MethodDocument {
  id: string
  httpMethod: string
  path: string
  parameters?: Record<string, Parameter>
  request?: { $ref: string }
  response?: { $ref: string }
  scopes?: string[]
  supportsMediaUpload?: boolean
}

interface ApiDocument {
  servicePath: string
  parameters: Record<string, Parameter>
  schemas: Record<string, Schema>
  auth?: { oauth2: { scopes: Record<string, unknown> } }
  resources?: Record<string, ResourceDocument>
  methods?: Record<string, MethodDocument>
}

interface ResourceDocument {
  methods?: Record<string, MethodDocument>
  resources?: Record<string, ResourceDocument>
}

export interface Api {
  name: ApiName
  family: ErrorFamily
  schemas: Record<string, Schema>
}

type ApiName = 'calendar' | 'drive' | 'meet' | 'iam' | 'oauth2' | 'workspaceevents'

/** One method of one API, ready to be matched against a request. */
export interface Method {
  api: Api
  id: string
  httpMethod: string
  parameters: Record<string, Parameter>
  request: Schema | undefined
  response: Schema | undefined
  scopes: readonly string[]
  supportsUpload: boolean
  path: RegExp
  pathParameters: string[]
}

export interface Match {
  method: Method
  /** Decoded path parameters by name. */
  path: Record<string, string>
  /** The request came through `/upload/…`. */
  upload: boolean
}

const documents: [ApiName, ErrorFamily, string][] = [
  ['calendar', 'classic', 'calendar.v3.json'],
  ['drive', 'classic', 'drive.v3.json'],
  ['meet', 'rpc', 'meet.v2.json'],
  ['iam', 'rpc', 'iamcredentials.v1.json'],
  ['oauth2', 'classic', 'oauth2.v2.json'],
  ['workspaceevents', 'rpc', 'workspaceevents.v1.json'],
]

/** Every method of every API that the sandbox knows, as Google's discovery documents describe them. */
const methods: Method[] = []

const scopes = new Set(['openid', 'email', 'profile'])

/** Every OAuth scope that Google would recognise in these APIs. */
export const knownScopes: ReadonlySet<string> = scopes

for (const [name, family, file] of documents) {
  const document = JSON.parse(
    readFileSync(new URL(`./discovery/${file}`, import.meta.url), 'utf8'),
  ) as ApiDocument
  const api: Api = { name, family, schemas: document.schemas }
  for (const scope of Object.keys(document.auth?.oauth2.scopes ?? {})) scopes.add(scope)
  for (const method of methodsOf(document)) methods.push(compile(api, document, method))
}
// Literal paths before parameters, so that files/generateIds is not read as a file id.
methods.sort((a, b) => literalLength(b) - literalLength(a))

function methodsOf(resource: ResourceDocument): MethodDocument[] {
  return [
    ...Object.values(resource.methods ?? {}),
    ...Object.values(resource.resources ?? {}).flatMap(methodsOf),
  ]
}

function compile(api: Api, document: ApiDocument, method: MethodDocument): Method {
  const pathParameters: string[] = []
  const source = `/${document.servicePath}${method.path}`.replace(
    /\{(\+?)(\w+)\}|[.*+?^$()|[\]\\]/g,
    (found, plus: string | undefined, name: string | undefined) => {
      if (!name) return `\\${found}`
      pathParameters.push(name)
      // `{+name}` stands for several segments; its pattern says which.
      const pattern = method.parameters?.[name]?.pattern
      return plus && pattern
        ? `(${pattern.replace(/^\^|\$$/g, '').replaceAll('[^/]+', '[^/:]+')})`
        : '([^/]+)'
    },
  )
  return {
    api,
    id: method.id,
    httpMethod: method.httpMethod,
    parameters: { ...document.parameters, ...method.parameters },
    request: method.request,
    response: method.response,
    scopes: method.scopes ?? [],
    supportsUpload: method.supportsMediaUpload ?? false,
    path: new RegExp(`^${source}$`),
    pathParameters,
  }
}

function literalLength(method: Method): number {
  return method.path.source.replace(/\((?:\[.*?\]|[^)])*\)/g, '').length
}

/**
 * Finds the method that a request asks for. `pathname` is undecoded. Answers `undefined` where Google has none.
 * Resumable and simple uploads share the path of the method behind `/upload` (discovery `mediaUpload`).
 */
export function matchMethod(httpMethod: string, pathname: string): Match | undefined {
  const upload = pathname.startsWith('/upload/')
  const path = upload ? pathname.slice('/upload'.length) : pathname
  for (const method of methods) {
    if (method.httpMethod !== httpMethod || (upload && !method.supportsUpload)) continue
    const found = method.path.exec(path)
    if (!found) continue
    const values = method.pathParameters.map((name, at) => [name, decodeURIComponent(found[at + 1] ?? '')])
    return { method, upload, path: Object.fromEntries(values) as Record<string, string> }
  }
  return undefined
}
