// node keep-packages.ts NAME …: makes development packages ordinary ones in package.json, their versions as they are.
import { readFileSync, writeFileSync } from 'node:fs'

const file = 'package.json'
const content = JSON.parse(readFileSync(file, 'utf8'))
for (const name of process.argv.slice(2)) {
  const version = content.devDependencies[name]
  if (version === undefined) throw new Error(`${name} is no development package of ${file}`)
  delete content.devDependencies[name]
  content.dependencies[name] = version
}
writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`)
