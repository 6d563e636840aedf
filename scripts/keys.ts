// npm run keys -- create | list | revoke: the API keys of organisations.
import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { createApiKey, listApiKeys, revokeApiKey } from '../db/api-keys.ts'
import { type Database, migrateDatabase, openDatabase } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'

const USAGE = `Use one of:
  npm run keys -- create --org "Clínica Andina" --name "XOMA production"
  npm run keys -- list
  npm run keys -- revoke <prefix>      (the 8 characters after tk_)`

/** The command was typed in a way that means nothing; the usage says how. */
class BadUsage extends Error {}

type Command = (db: Database) => Promise<void>

function readCommand(args: string[]): Command {
  let parsed: { values: { org?: string; name?: string }; positionals: string[] }
  try {
    parsed = parseArgs({
      args,
      options: { org: { type: 'string' }, name: { type: 'string' } },
      allowPositionals: true,
    })
  } catch (error) {
    throw new BadUsage((error as Error).message, { cause: error })
  }
  const { values, positionals } = parsed
  const [command, prefix, ...rest] = positionals
  const org = values.org?.trim()
  const name = values.name?.trim()
  const plain = org === undefined && name === undefined
  if (command === 'create' && prefix === undefined) {
    if (!org || !name) throw new BadUsage('create needs --org and --name.')
    return db => create(db, org, name)
  }
  if (command === 'list' && prefix === undefined && plain) return list
  if (command === 'revoke' && prefix !== undefined && rest.length === 0 && plain)
    return db => revoke(db, prefix)
  throw new BadUsage(
    command === undefined ? 'Say what to do.' : `"${positionals.join(' ')}" is not a command.`,
  )
}

async function create(db: Database, organization: string, name: string): Promise<void> {
  const { key } = await createApiKey(db, { organization, name })
  process.stderr.write(`A key of ${organization}. It is shown only now; keep it where secrets are kept.\n`)
  process.stdout.write(`${key}\n`)
}

async function list(db: Database): Promise<void> {
  const keys = await listApiKeys(db)
  const day = (at: Date | null) => at?.toISOString().slice(0, 16).replace('T', ' ') ?? '-'
  const rows = keys.map(key => [
    key.organization,
    key.name,
    `tk_${key.prefix}_…`,
    day(key.createdAt),
    day(key.lastUsedAt),
    key.revokedAt ? `revoked ${day(key.revokedAt)}` : 'in force',
  ])
  for (const row of [['organisation', 'name', 'key', 'made', 'last used', ''], ...rows])
    process.stdout.write(`${row.join('\t')}\n`)
}

async function revoke(db: Database, given: string): Promise<void> {
  const prefix = given.replace(/^tk_/, '').replace(/_.*$/, '')
  const revoked = await revokeApiKey(db, prefix, new Date())
  if (!revoked) throw new BadUsage(`No key in force begins with tk_${prefix}.`)
  process.stdout.write(`The key tk_${prefix}_… is revoked.\n`)
}

try {
  const command = readCommand(process.argv.slice(2))
  const config = readConfig(process.env)
  await using server = config.databaseUrl ? undefined : await startEmbeddedPostgres(config.dataDir)
  const url = config.databaseUrl ?? server?.url ?? ''
  await migrateDatabase(url)
  await using database = openDatabase(url, { max: 1 })
  await command(database.db)
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(error instanceof BadUsage ? `${message}\n${USAGE}\n` : `${message}\n`)
  process.exitCode = 1
}
