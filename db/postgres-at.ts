import postgres from 'postgres'

/**
 * A client of postgres.js for any URL that libpq understands: also for `?host=/folder`, which names the folder of a Unix
 * socket and goes before the host in front of the path.
 * @see https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function postgresAt(url: string, options: postgres.Options<Record<never, never>> = {}): postgres.Sql {
  const at = new URL(url)
  const folder = at.searchParams.get('host')
  if (!folder?.startsWith('/')) return postgres(url, options)
  at.searchParams.delete('host')
  return postgres(at.href, { ...options, path: `${folder}/.s.PGSQL.${at.port || 5432}` })
}
