import type postgres from 'postgres'

export interface TableToCopy {
  /** Quoted, with its schema. */
  name: string
  /** Plain, with its schema. */
  table: string
  columns: string[]
}

/** Of the job queue only these: all else of it is made anew when the queue is opened. */
const QUEUE_TABLES = ['pgboss.job', 'pgboss.schedule']

/** Our tables, those first that others refer to, then what waits in the job queue. */
export async function tablesToCopy(sql: postgres.Sql | postgres.TransactionSql): Promise<TableToCopy[]> {
  const rows = await sql<{ table: string; name: string; columns: string[]; needs: string[] }[]>`
    select n.nspname || '.' || c.relname as table, format('%I.%I', n.nspname, c.relname) as name,
      array(
        select attname::text from pg_attribute
        where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = ''
        order by attnum
      ) as columns,
      array(
        select distinct fn.nspname || '.' || f.relname from pg_constraint k
        join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
        where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid
      ) as needs
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition
      and (n.nspname = 'public' or n.nspname || '.' || c.relname = any(${QUEUE_TABLES}))
    order by n.nspname = 'pgboss', c.relname`
  const ours = rows.filter(row => row.table.startsWith('public.'))
  const ordered: (typeof rows)[number][] = []
  while (ordered.length < ours.length) {
    const done = new Set(ordered.map(row => row.table))
    const ready = ours.filter(row => !done.has(row.table) && row.needs.every(table => done.has(table)))
    if (ready.length === 0)
      throw new Error(`Tables refer to each other in a circle: ${ours.map(row => row.table).join(', ')}`)
    ordered.push(...ready)
  }
  const queue = QUEUE_TABLES.flatMap(table => rows.filter(row => row.table === table))
  return [...ordered, ...queue].map(({ name, table, columns }) => ({ name, table, columns }))
}

/** Hashes of the migrations that made the tables, the oldest first; none where there are no tables. */
export async function migrationsOf(sql: postgres.Sql | postgres.TransactionSql): Promise<string[]> {
  const [there] = await sql`select to_regclass('drizzle.__drizzle_migrations') is not null as there`
  if (!there?.there) return []
  const rows = await sql<{ hash: string }[]>`select hash from drizzle.__drizzle_migrations order by id`
  return rows.map(({ hash }) => hash)
}

/** A connection for work that takes long: nothing cuts it off, and values are written in one way only. */
export const PATIENT = {
  max: 1,
  connect_timeout: 10,
  onnotice: () => {},
  connection: {
    application_name: 'testigo-backup',
    statement_timeout: 0,
    idle_in_transaction_session_timeout: 0,
    lock_timeout: 30_000,
    DateStyle: 'ISO',
    IntervalStyle: 'postgres',
    TimeZone: 'UTC',
    extra_float_digits: 3,
  },
} as const
