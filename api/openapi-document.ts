/** The parts of an OpenAPI 3.1 document that our code reads and completes. */

/** A JSON Schema (draft 2020-12) as it stands in the document. */
export interface SchemaObject {
  [keyword: string]: unknown
  $ref?: string
  type?: string | string[]
  format?: string
  pattern?: string
  const?: unknown
  enum?: unknown[]
  default?: unknown
  example?: unknown
  anyOf?: SchemaObject[]
  oneOf?: SchemaObject[]
  allOf?: SchemaObject[]
  properties?: Record<string, SchemaObject>
  required?: string[]
  additionalProperties?: boolean | SchemaObject
  items?: SchemaObject
  minItems?: number
  maxItems?: number
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
}

export interface MediaType {
  schema: SchemaObject
  example?: unknown
  examples?: Record<string, { $ref: string } | { value: unknown }>
}

export interface HeaderObject {
  description?: string
  required?: boolean
  schema: SchemaObject
}

export interface ResponseObject {
  description: string
  headers?: Record<string, HeaderObject | { $ref: string }>
  content?: Record<string, MediaType>
}

export interface ParameterObject {
  in: 'path' | 'query' | 'header'
  name: string
  required?: boolean
  description?: string
  /** `deepObject`: one parameter for each member, `name[member]=value`. */
  style?: 'deepObject'
  schema: SchemaObject
}

export interface OperationObject {
  operationId: string
  summary: string
  description?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: ParameterObject[]
  requestBody?: { required?: boolean; content: Record<string, MediaType> }
  responses: Record<string, ResponseObject>
}

export type PathItem = Record<string, OperationObject>

/** The whole document, complete. */
export interface OpenApiDocument {
  openapi: string
  info: Record<string, unknown>
  servers: { url: string; description?: string }[]
  tags: { name: string; description: string }[]
  security: Record<string, string[]>[]
  paths: Record<string, PathItem>
  webhooks: Record<string, PathItem>
  components: {
    schemas: Record<string, SchemaObject>
    examples: Record<string, { summary: string; value: unknown }>
    headers: Record<string, HeaderObject>
    securitySchemes: Record<string, Record<string, unknown>>
  }
}

/** One operation of the document and where it is. */
export interface DocumentedOperation {
  path: string
  /** In capitals. */
  method: string
  operation: OperationObject
}

/** Every operation below `paths`, in the document's order. */
export function operationsOf({ paths }: Pick<OpenApiDocument, 'paths'>): DocumentedOperation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
}

/**
 * What a reference stands for; what is none, as it is.
 * @throws {Error} for a reference to nothing
 */
export function resolveRef<Part extends object>(
  document: Pick<OpenApiDocument, 'components'>,
  part: Part | { $ref: string },
): Part {
  if (!('$ref' in part) || typeof part.$ref !== 'string') return part as Part
  const found = part.$ref
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document)
  if (found === undefined) throw new Error(`the OpenAPI document refers to nothing: ${part.$ref}`)
  return resolveRef(document, found as Part)
}
