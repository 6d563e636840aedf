// npm run openapi: the operations of the API, one a line; with --json the OpenAPI document itself.
import { openApiDocument } from '../api/openapi.ts'
import { operationsOf } from '../api/openapi-document.ts'

const document = openApiDocument()
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`)
else {
  for (const { method, path, operation } of operationsOf(document))
    process.stdout.write(`${method.padEnd(7)} ${path.padEnd(58)} ${operation.summary}\n`)
  for (const [name, { post }] of Object.entries(document.webhooks))
    process.stdout.write(`webhook ${name.padEnd(58)} ${post?.summary}\n`)
  process.stdout.write('\nThe whole document: npm run openapi -- --json\n')
}
