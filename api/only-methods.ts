import type { RequestHandler } from 'express'
import { Problem } from './problem.ts'

/** Stands last on a route: refuses every method but these, which came before it. */
export function onlyMethods(...methods: string[]): RequestHandler {
  const Allow = methods.join(', ')
  return request => {
    throw new Problem('method_not_allowed', `${request.method} does not work here. Use ${Allow}.`, {
      headers: { Allow },
    })
  }
}
