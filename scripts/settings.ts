import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { permissionTable } from '../api/permissions.ts'
import { describeSettings } from '../config.ts'

// Writes `.env.example` and the table of settings in the README from the one schema; `--check` only compares.

const root = join(import.meta.dirname, '..')
const START = '<!-- settings: written by "npm run settings" -->'
const END = '<!-- end of settings -->'

function envExample(): string {
  const lines = describeSettings().map(({ name, about, default: fallback, example }) => {
    const shown = /^[^ ]*$/.test(fallback) ? fallback : ''
    return `# ${about}.${fallback ? ` Default: ${fallback}.` : ''}\n# ${name}=${shown || example || ''}\n`
  })
  return `# Settings of Testigo. Copy to .env and take the # off the lines you change.\n\n${lines.join('\n')}`
}

function readmeTable(): string {
  const rows = describeSettings().map(
    ({ name, about, default: fallback }) =>
      `| \`${name}\` | ${about} | ${fallback ? `\`${fallback}\`` : ''} |`,
  )
  return `${START}\n| setting | what it is | default |\n| --- | --- | --- |\n${rows.join('\n')}\n${END}`
}

function withTable(readme: string): string {
  const from = readme.indexOf(START)
  const to = readme.indexOf(END)
  if (from < 0 || to < 0)
    throw new Error(`README.md has no place for the settings: put "${START}" and "${END}" in it`)
  return readme.slice(0, from) + readmeTable() + readme.slice(to + END.length)
}

const PERMISSIONS_START = '<!-- permissions: written by "npm run settings" -->'
const PERMISSIONS_END = '<!-- end of permissions -->'

function withPermissions(text: string): string {
  const from = text.indexOf(PERMISSIONS_START)
  const to = text.indexOf(PERMISSIONS_END)
  if (from < 0 || to < 0)
    throw new Error(`docs/access.md has no place for the permissions: ${PERMISSIONS_START}`)
  return `${text.slice(0, from)}${PERMISSIONS_START}\n${permissionTable()}\n${text.slice(to)}`
}

const wanted = new Map([
  ['docs/access.md', withPermissions(readFileSync(join(root, 'docs/access.md'), 'utf8'))],
  ['.env.example', envExample()],
  ['README.md', withTable(readFileSync(join(root, 'README.md'), 'utf8'))],
])

for (const [name, text] of wanted) {
  const path = join(root, name)
  if (!process.argv.includes('--check')) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write(`${name} is not what the settings say: run "npm run settings"\n`)
    process.exitCode = 1
  }
}
