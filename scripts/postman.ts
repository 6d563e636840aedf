// npm run postman: writes docs/testigo.postman_collection.json from the OpenAPI document; `--check` only compares.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openApiDocument } from '../api/openapi.ts'
import { postmanCollection } from './postman/collection.ts'

const name = 'docs/testigo.postman_collection.json'
const path = join(import.meta.dirname, '..', name)
const wanted = `${JSON.stringify(postmanCollection(openApiDocument()), null, 2)}\n`
if (!process.argv.includes('--check')) writeFileSync(path, wanted)
else if (readFileSync(path, 'utf8') !== wanted) {
  process.stderr.write(`${name} is not what the OpenAPI document says: run "npm run postman"\n`)
  process.exitCode = 1
}
