import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApiKey } from './api-keys.ts'
import { migrateDatabase, type OpenDatabase, openDatabase, type Transaction } from './connect.ts'
import { openJobs } from './jobs.ts'
import { insertMeeting } from './meetings.ts'
import { asOrganization, type OwnOnly, type TenantDatabase, tenantDatabase } from './tenant.ts'
import { openTestDatabase } from './test-database.ts'

let server: Awaited<ReturnType<typeof openTestDatabase>>
let database: OpenDatabase
let tenants: TenantDatabase
let mine: string
let other: string
beforeAll(async () => {
  server = await openTestDatabase()
  database = openDatabase(server.url)
  tenants = tenantDatabase(database.db)
  const make = (organization: string) =>
    createApiKey(database.db, { organization, name: 'test', role: 'admin' })
  mine = (await make('Clínica Andina')).organizationId
  other = (await make('Hospital del Valle')).organizationId
})
afterAll(async () => {
  await database?.close()
  await server?.[Symbol.asyncDispose]()
})

async function meetingOf(
  organizationId: string,
  { createdBy, invited = [] }: { createdBy?: string; invited?: string[] } = {},
): Promise<string> {
  const id = randomUUID()
  const row = {
    ...{ id, organizationId, organizer: 'a@b.example', eventId: id, topic: 'x', description: null },
    ...{ startsAt: new Date('2031-01-01T10:00Z'), endsAt: new Date('2031-01-01T11:00Z'), timeZone: 'UTC' },
    ...{
      externalId: null,
      relatedType: null,
      relatedId: null,
      customFields: null,
      patience: {},
      redundancy: 1,
    },
    participants: invited.map(email => ({ email, name: null, role: 'participant' as const })),
    ...(createdBy && { createdBy }),
  }
  await database.db.transaction(tx => insertMeeting(tx, row, 'test'))
  return id
}

const idsIn = async (tx: Transaction, table: string, column = 'id') =>
  (await tx.execute<{ id: string }>(sql.raw(`select ${column} as id from ${table}`))).map(row => row.id)

// What belongs to no organisation, and why that may be.
const OF_NOBODY: Record<string, string> = {
  sign_in_failures: 'counted by address before it is known whose it is, also for addresses that are nobody’s',
  signing_keys: 'sign the tokens of all organisations',
  followed_calendars: 'of Google, one calendar may hold meetings of several organisations',
  calendar_channels: 'of these calendars',
}

describe('the catalogue', () => {
  test('every table has its organisation and a policy for it, or a reason why not', async () => {
    const tables = await database.db.execute<{
      name: string
      column: boolean
      required: boolean
      secured: boolean
      policies: string[]
      readable: boolean
    }>(sql`
      select c.relname as name, c.relrowsecurity as secured,
        coalesce(a.attnum is not null, false) as column, coalesce(a.attnotnull, false) as required,
        array(select polname::text from pg_policy where polrelid = c.oid and polpermissive) as policies,
        has_table_privilege('testigo_tenant', c.oid, 'select, insert, update, delete')
          or has_table_privilege('testigo_external', c.oid, 'select, insert, update, delete') as readable
      from pg_class c left join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
        and a.attname = case c.relname when 'organizations' then 'id' else 'organization_id' end
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')`)
    expect(tables.length).toBeGreaterThan(15)
    for (const table of tables) {
      const known = table.name in OF_NOBODY
      expect.soft(table, table.name).toMatchObject(
        known
          ? { column: false, readable: false }
          : {
              column: true,
              required: true,
              secured: true,
              policies: ['testigo_of_organization'],
              readable: true,
            },
      )
    }
    expect(Object.keys(OF_NOBODY).filter(name => !tables.some(table => table.name === name))).toEqual([])
  })

  test('what is not in the schema public is closed altogether', async () => {
    await using _jobs = await openJobs(server.url, () => {})
    const schemas = await database.db.execute<{ name: string }>(sql`
      select nspname as name from pg_namespace
      where nspname !~ '^(pg_|information_schema$|public$)'
        and (has_schema_privilege('testigo_tenant', oid, 'usage, create')
          or has_schema_privilege('testigo_external', oid, 'usage, create'))`)
    expect(schemas).toEqual([])
  })

  test('the roles own nothing, bypass nothing, and cannot sign in', async () => {
    const roles = await database.db.execute(sql`
      select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole,
        exists (select from pg_class where relowner = pg_roles.oid) as owns
      from pg_roles where rolname in ('testigo_tenant', 'testigo_external')`)
    const none = {
      rolcanlogin: false,
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      owns: false,
    }
    expect([...roles]).toEqual([none, none])
  })

  test('migrating again changes no policy and no privilege', async () => {
    const state = () =>
      database.db.execute(sql`select oid::text, xmin::text from pg_policy union all
        select oid::text, xmin::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
        order by 1`)
    const before = [...(await state())]
    await migrateDatabase(server.url)
    expect([...(await state())]).toEqual(before)
  })
})

describe('an organisation', () => {
  test('sees its rows and those of no other, in every table that has any', async () => {
    await meetingOf(mine, { invited: ['ana@a.example'] })
    await meetingOf(other, { invited: ['ana@a.example'] })
    for (const table of ['meetings', 'participants', 'recordings', 'meeting_events', 'api_keys']) {
      const seen = await asOrganization(tenants, mine, tx => idsIn(tx, table, 'organization_id'))
      expect(new Set(seen), table).toEqual(new Set([mine]))
    }
    expect(await asOrganization(tenants, mine, tx => idsIn(tx, 'organizations'))).toEqual([mine])
  })

  test('cannot change, remove, or write rows of another', async () => {
    const theirs = await meetingOf(other)
    await asOrganization(tenants, mine, async tx => {
      expect(
        await tx.execute(sql`update meetings set topic = 'y' where id = ${theirs} returning id`),
      ).toHaveLength(0)
      expect(await tx.execute(sql`delete from meetings where id = ${theirs} returning id`)).toHaveLength(0)
    })
    const forge = (set: ReturnType<typeof sql>) => asOrganization(tenants, mine, tx => tx.execute(set))
    const denied = { cause: { code: '42501' } }
    await expect(
      forge(sql`insert into participants (id, organization_id, meeting_id, email)
        values (gen_random_uuid(), ${other}, ${theirs}, 'x@x.example')`),
    ).rejects.toMatchObject(denied)
    await expect(forge(sql`update meetings set organization_id = ${other}`)).rejects.toMatchObject(denied)
    await expect(forge(sql`select from signing_keys`)).rejects.toMatchObject(denied)
    await expect(forge(sql`select from pgboss.job`)).rejects.toBeDefined()
    await expect(forge(sql`update audit_log set detail = '{}'`)).rejects.toMatchObject(denied)
  })

  test('that is not named sees nothing', async () => {
    await database.db.transaction(async tx => {
      await tx.execute(sql`set local role testigo_tenant`)
      expect(await idsIn(tx, 'meetings')).toEqual([])
      expect(await idsIn(tx, 'organizations')).toEqual([])
    })
  })

  test('leaves nothing of itself behind on the connection', async () => {
    await using alone = openDatabase(server.url, { max: 1 })
    const only = tenantDatabase(alone.db)
    await asOrganization(only, mine, async () => {})
    await expect(asOrganization(only, mine, tx => tx.execute(sql`select 1/0`))).rejects.toBeDefined()
    const [row] = await alone.db.execute(
      sql`select current_user = session_user as owner, current_setting('testigo.organization', true) as organization`,
    )
    expect(row).toEqual({ owner: true, organization: '' })
  })

  test('sends jobs with its rows, and is itself again after that', async () => {
    await using jobs = await openJobs(server.url, () => {})
    const id = await meetingOf(mine)
    await asOrganization(tenants, mine, async tx => {
      await jobs.send(tx, 'provision-meeting', { meetingId: id }, { key: id })
      const [row] = await tx.execute(sql`select current_user::text as role`)
      expect(row).toEqual({ role: 'testigo_tenant' })
      await expect(tx.transaction(inner => inner.execute(sql`select from pgboss.job`))).rejects.toMatchObject(
        { cause: { code: '42501' } },
      )
      await jobs.withdraw(tx, 'provision-meeting', id)
    })
    await using other = await openJobs(server.url, () => {})
    expect(await other.take('provision-meeting')).toBeUndefined()
  })
})

describe('an external caller', () => {
  const me: OwnOnly = { principal: 'user:1', email: 'yo@clinica.example' }
  const asMe = <T>(work: (tx: Transaction) => Promise<T>) => asOrganization(tenants, mine, work, me)

  test('sees the meetings it made or is invited to, and what belongs to them', async () => {
    const made = await meetingOf(mine, { createdBy: 'user:1' })
    const invited = await meetingOf(mine, { createdBy: 'user:2', invited: ['yo@clinica.example'] })
    await meetingOf(mine, { createdBy: 'user:2', invited: ['otra@clinica.example'] })
    await meetingOf(other, { createdBy: 'user:1', invited: ['yo@clinica.example'] })
    const own = new Set([made, invited])
    expect(new Set(await asMe(tx => idsIn(tx, 'meetings')))).toEqual(own)
    for (const table of ['recordings', 'meeting_events'])
      expect(new Set(await asMe(tx => idsIn(tx, table, 'meeting_id'))), table).toEqual(own)
    expect(await asMe(tx => idsIn(tx, 'participants', 'meeting_id'))).toEqual([invited])
    await database.db.execute(sql`update participants set removed_at = now() where meeting_id = ${invited}`)
    expect(await asMe(tx => idsIn(tx, 'meetings'))).toEqual([made])
  })

  test('changes only what it made, and makes nothing in the name of another', async () => {
    const made = await meetingOf(mine, { createdBy: 'user:1' })
    const invited = await meetingOf(mine, { createdBy: 'user:2', invited: ['yo@clinica.example'] })
    const change = (id: string) =>
      asMe(tx => tx.execute(sql`update meetings set topic = 'y' where id = ${id} returning id`))
    expect(await change(made)).toHaveLength(1)
    expect(await change(invited)).toHaveLength(0)
    const insert = (createdBy: string) =>
      asMe(tx =>
        tx.execute(sql`insert into meetings (id, organization_id, topic, starts_at, ends_at, time_zone, organizer, event_id, created_by)
          values (gen_random_uuid(), ${mine}, 'x', now(), now() + interval '1h', 'UTC', 'a@b.example', 'e', ${createdBy}) returning id`),
      )
    expect(await insert('user:1')).toHaveLength(1)
    await expect(insert('user:2')).rejects.toMatchObject({ cause: { code: '42501' } })
    await expect(
      asMe(tx => tx.execute(sql`update meetings set created_by = 'user:2'`)),
    ).rejects.toMatchObject({
      cause: { code: '42501' },
    })
  })

  test.each([
    'api_keys',
    'users',
    'sessions',
    'refresh_tokens',
    'password_links',
    'audit_log',
    'audit_pending',
  ])('does not reach the table %s', async table => {
    await expect(asMe(tx => idsIn(tx, table, '1'))).rejects.toMatchObject({ cause: { code: '42501' } })
  })
})

test('a database user who is no superuser is told what to run, or makes the roles', async () => {
  const admin = new URL(server.url)
  admin.pathname = '/postgres'
  await using root = openDatabase(admin.href, { max: 1 })
  await root.db.execute(sql`create role lonely login password 'x'`)
  await root.db.execute(sql`create role maker login password 'x' createrole`)
  for (const owner of ['lonely', 'maker'])
    await root.db.execute(sql.raw(`create database ${owner} owner ${owner}`))
  const urlOf = (user: string) => {
    const url = new URL(server.url)
    url.username = user
    url.password = 'x'
    url.pathname = `/${user}`
    return url.href
  }
  const seesNothing = async (user: string) => {
    await using theirs = openDatabase(urlOf(user), { max: 1 })
    const seen = await asOrganization(tenantDatabase(theirs.db), mine, tx => idsIn(tx, 'meetings'))
    expect(seen).toEqual([])
    await theirs.db.execute(sql`drop owned by testigo_tenant, testigo_external`)
  }
  await expect(migrateDatabase(urlOf('lonely'))).rejects.toMatchObject({
    cause: { message: expect.stringContaining('grant testigo_tenant to lonely') },
  })
  await root.db.execute(sql`grant testigo_tenant, testigo_external to lonely`)
  await migrateDatabase(urlOf('lonely'))
  await seesNothing('lonely')
  await database.db.execute(sql`drop owned by testigo_tenant, testigo_external`)
  await root.db.execute(sql`drop role testigo_tenant, testigo_external`)
  await migrateDatabase(urlOf('maker'))
  await seesNothing('maker')
})
