/**
 * The few functions of the Reflect metadata proposal that `@peculiar/x509` (through tsyringe) asks for when it
 * is imported. Import this file before it. Keys are kept per target; nothing else in the process uses them.
 */
type MetadataReflect = {
  getMetadata?: (key: unknown, target: object) => unknown
  getOwnMetadata?: (key: unknown, target: object) => unknown
  hasOwnMetadata?: (key: unknown, target: object) => boolean
  defineMetadata?: (key: unknown, value: unknown, target: object) => void
}

const known = new WeakMap<object, Map<unknown, unknown>>()
const reflect = Reflect as unknown as MetadataReflect

function own(key: unknown, target: object): unknown {
  return known.get(target)?.get(key)
}

function inherited(key: unknown, target: object | null): unknown {
  for (let at = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (known.get(at)?.has(key)) return own(key, at)
  }
  return undefined
}

if (reflect.getMetadata === undefined) {
  reflect.getMetadata = inherited
  reflect.getOwnMetadata = own
  reflect.hasOwnMetadata = (key, target) => known.get(target)?.has(key) ?? false
  reflect.defineMetadata = (key, value, target) => {
    const entries = known.get(target) ?? new Map<unknown, unknown>()
    entries.set(key, value)
    known.set(target, entries)
  }
}
