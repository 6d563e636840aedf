// npm run keys -- create | list | revoke | google-domain | hosts: the API keys of organisations, who signs in with Google, and in
// whose calendars meetings are made.
import { parseArgs } from 'node:util'
import { scopesOf } from '../api/permissions.ts'
import { readConfig } from '../config.ts'
import { createApiKey, type KeyWish, listApiKeys, revokeApiKey } from '../db/api-keys.ts'
import { noteAudit, OPERATOR } from '../db/audit-notes.ts'
import { type Database, migrateDatabase, openDatabase, type Transaction } from '../db/connect.ts'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { setGoogleDomain, setHosts } from '../db/organizations.ts'
import { ROLES, SCOPES, type Scope } from '../db/roles.ts'

const USAGE = `Use one of:
  npm run keys -- create --org "Clínica Andina" --name "XOMA production"
      [--role ${ROLES.join('|')}]         (service unless another is named; the first key of an
                                                organisation should be an admin's, who makes the others)
      [--scopes meetings:read,recordings:read]  (all that the role may do unless some are named)
      [--days 90]                               (never expires unless a number is given)
  npm run keys -- list
  npm run keys -- revoke <prefix>               (the 8 characters after tk_)
  npm run keys -- google-domain --org "Clínica Andina" --domain clinica.example
      (people of this Workspace domain sign in with Google; an empty domain: nobody does)
  npm run keys -- hosts --org "Clínica Andina" --hosts comite@clinica.example,urgencias@clinica.example
      (Workspace users in whose calendars its meetings may be made, beside TESTIGO_GOOGLE_ORGANIZER;
      the whole new list)`

const DAY_MS = 86_400_000
const TEXT = { type: 'string' } as const
const OPTIONS = { org: TEXT, name: TEXT, role: TEXT, scopes: TEXT, days: TEXT, domain: TEXT, hosts: TEXT }
type Options = { [Name in keyof typeof OPTIONS]?: string }

/** The command was typed in a way that means nothing; the usage says how. */
class BadUsage extends Error {}

type Command = (db: Database) => Promise<void>

function readCommand(args: string[]): Command {
  let parsed: { values: Options; positionals: string[] }
  try {
    parsed = parseArgs({
      args,
      options: OPTIONS,
      allowPositionals: true,
    })
  } catch (error) {
    throw new BadUsage((error as Error).message, { cause: error })
  }
  const { values, positionals } = parsed
  const [command, prefix, ...rest] = positionals
  const org = values.org?.trim()
  const name = values.name?.trim()
  const plain = Object.keys(values).length === 0
  if (command === 'create' && prefix === undefined) {
    if (!org || !name) throw new BadUsage('create needs --org and --name.')
    const wish = { name, ...limitsOf(values) }
    return db => create(db, org, wish)
  }
  if (command === 'list' && prefix === undefined && plain) return list
  if (command === 'revoke' && prefix !== undefined && rest.length === 0 && plain)
    return db => revoke(db, prefix)
  if (command === 'google-domain' && prefix === undefined && org && values.domain !== undefined) {
    const domain = values.domain.trim().toLowerCase()
    if (domain !== '' && !/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain))
      throw new BadUsage('--domain is a domain such as clinica.example.')
    return db => setDomain(db, org, domain)
  }
  if (command === 'hosts' && prefix === undefined && org && values.hosts !== undefined) {
    const hosts = values.hosts
      .toLowerCase()
      .split(',')
      .map(host => host.trim())
      .filter(Boolean)
    if (hosts.some(host => !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(host)))
      throw new BadUsage('--hosts are addresses with commas between them.')
    return db => allowHosts(db, org, hosts)
  }
  throw new BadUsage(
    command === undefined ? 'Say what to do.' : `"${positionals.join(' ')}" is not a command.`,
  )
}

function limitsOf({
  role = 'service',
  scopes,
  days,
}: Options): Pick<KeyWish, 'role' | 'scopes' | 'expiresAt'> {
  if (!isOneOf(ROLES, role)) throw new BadUsage(`--role is one of ${ROLES.join(', ')}.`)
  const allowed = scopesOf(role)
  const named = scopes?.split(',').map(scope => scope.trim())
  const wrong = named?.find(scope => !isOneOf(SCOPES, scope) || !allowed.has(scope))
  if (wrong !== undefined)
    throw new BadUsage(`"${wrong}" is not a scope of the role ${role}: ${[...allowed].join(', ')}.`)
  if (days !== undefined && !/^[1-9]\d{0,3}$/.test(days)) throw new BadUsage('--days is a number of days.')
  return {
    role,
    scopes: named ? (named as Scope[]) : null,
    expiresAt: days === undefined ? null : new Date(Date.now() + Number(days) * DAY_MS),
  }
}

function isOneOf<Word extends string>(words: readonly Word[], word: string): word is Word {
  return (words as readonly string[]).includes(word)
}

async function create(db: Database, organization: string, wish: KeyWish): Promise<void> {
  const { key } = await db.transaction(async tx => {
    const made = await createApiKey(tx, { organization, ...wish })
    const { name, role, scopes = null } = wish
    const prefix = made.key.slice(3, 11)
    await note(tx, 'api_key.created', made, { name, role, scopes, prefix })
    return made
  })
  process.stderr.write(
    `A key of ${organization} with the role ${wish.role}. It is shown only now; keep it where secrets are kept.\n`,
  )
  process.stdout.write(`${key}\n`)
}

function note(
  tx: Transaction,
  action: string,
  { organizationId, keyId }: { organizationId: string; keyId: string },
  detail: Record<string, unknown>,
): Promise<void> {
  return noteAudit(tx, { organizationId, actor: OPERATOR, action, subject: `api_key:${keyId}`, detail })
}

const day = (at: Date | null) => at?.toISOString().slice(0, 16).replace('T', ' ') ?? '-'

function standing({ revokedAt, expiresAt }: { revokedAt: Date | null; expiresAt: Date | null }): string {
  if (revokedAt) return `revoked ${day(revokedAt)}`
  if (!expiresAt) return 'in force'
  return expiresAt > new Date() ? `in force until ${day(expiresAt)}` : `expired ${day(expiresAt)}`
}

async function list(db: Database): Promise<void> {
  const keys = await listApiKeys(db)
  const rows = keys.map(key => [
    key.organization,
    key.name,
    `tk_${key.prefix}_…`,
    key.role,
    key.scopes?.join(',') ?? 'all',
    day(key.createdAt),
    day(key.lastUsedAt),
    standing(key),
  ])
  for (const row of [['organisation', 'name', 'key', 'role', 'scopes', 'made', 'last used', ''], ...rows])
    process.stdout.write(`${row.join('\t')}\n`)
}

async function revoke(db: Database, given: string): Promise<void> {
  const prefix = given.replace(/^tk_/, '').replace(/_.*$/, '')
  const revoked = await db.transaction(async tx => {
    const rows = await revokeApiKey(tx, prefix, new Date())
    for (const { id: keyId, organizationId, name, role, scopes } of rows)
      await note(tx, 'api_key.revoked', { keyId, organizationId }, { name, role, scopes, prefix })
    return rows
  })
  if (revoked.length === 0) throw new BadUsage(`No key in force begins with tk_${prefix}.`)
  process.stdout.write(`The key tk_${prefix}_… is revoked.\n`)
}

async function setDomain(db: Database, organization: string, domain: string): Promise<void> {
  const set = await setGoogleDomain(db, organization, domain || null)
  if (set === 'no_organization') throw new BadUsage(`There is no organisation "${organization}".`)
  if (set === 'taken') throw new BadUsage(`The domain ${domain} is another organisation's.`)
  process.stdout.write(
    domain
      ? `People of ${domain} sign in with Google to ${organization}.\n`
      : `Nobody signs in with Google to ${organization}.\n`,
  )
}

async function allowHosts(db: Database, organization: string, hosts: string[]): Promise<void> {
  if ((await setHosts(db, organization, hosts)) === 'no_organization')
    throw new BadUsage(`There is no organisation "${organization}".`)
  process.stdout.write(
    hosts.length > 0
      ? `Meetings of ${organization} may be made in the calendars of ${hosts.join(', ')}.\n`
      : `Meetings of ${organization} are made in the usual calendar only.\n`,
  )
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
