import { postgresAt } from './postgres-at.ts'

export interface Filling {
  /** How many meetings, of all organisations together. */
  count: number
  /** Their ids: the first one has half of the meetings, the others share the rest. */
  organizations: readonly string[]
  /** Meetings to come have their job too; the queue must have been opened once. */
  withJobs?: boolean
  onProgress?: (done: number) => void
}

const CHUNK = 20_000
const HOSTS = 8
const DOCTORS = 200

/**
 * Fills tables that are empty of meetings with as many as are asked for, as they would be after some years: two thirds are
 * over, with a recording, and one third is still to come. Set by set, so that a million take minutes. What they are searched
 * by is made by the same function that the triggers call.
 */
export async function fillWithMeetings(
  url: string,
  { count, organizations, withJobs = false, onProgress }: Filling,
): Promise<void> {
  const sql = postgresAt(url, { max: 1, onnotice: () => {}, connection: { statement_timeout: 0 } })
  try {
    // Neither triggers nor foreign keys: both look at one row at a time.
    await sql`set session_replication_role = replica`
    for (let from = 0; from < count; from += CHUNK) {
      const to = Math.min(from + CHUNK, count)
      await sql`
        create temporary table made on commit preserve rows as
        select n, gen_random_uuid() as id,
          (${sql.array([...organizations])}::uuid[])[
            case when n % 2 = 0 or ${organizations.length} = 1 then 1
              else 2 + (n / 2) % (${organizations.length} - 1) end
          ] as organization_id,
          date_bin('15 minutes', now() + make_interval(secs => (n::float8 / ${count} - 2.0 / 3) * 94608000), '2026-01-01') as starts_at,
          case n % 100 when 6 then 'cancelled' when 57 then 'cancelled' else 'held' end as kind
        from generate_series(${from}::int, ${to - 1}::int) n`
      await sql`
        insert into meetings (id, organization_id, external_id, topic, description, starts_at, ends_at, time_zone, status,
          related_type, related_id, custom_fields, organizer, event_id, join_url, meeting_code, space_name, space, revision,
          synced_revision, actual_start, actual_end, created_by, created_at, updated_at, cancelled_at)
        select id, organization_id, 'XOMA-2026-' || lpad(n::text, 7, '0'),
          (array['Comité clínico: caso ', 'Teleconsulta ', 'Junta de directivos ', 'Capacitación número '])[1 + n % 4] || n,
          'Revisión con el equipo de la sede, seguimiento del paciente y acuerdos para la próxima sesión. Sala ' || n % 40,
          starts_at, starts_at + interval '1 hour', 'America/Bogota',
          case when kind = 'cancelled' then 'cancelled' when starts_at < now() - interval '1 hour' then 'ended' else 'scheduled' end,
          'case', (n / 3)::text,
          jsonb_build_object('sede', (array['Bogotá', 'Medellín', 'Cali', 'Barranquilla', 'Pasto'])[1 + n % 5],
            'piso', n / 5 % 9, 'orden', n),
          'agenda' || n / 7 % ${HOSTS}::int || '@clinica.example', replace(id::text, '-', ''),
          'https://meet.google.com/' || substr(md5(n::text), 1, 12), substr(md5(n::text), 1, 12), 'spaces/' || substr(md5(n::text), 1, 12),
          '{"accessType": "OPEN", "autoRecording": "not_asked", "refusals": []}'::jsonb, 1, 1,
          case when kind = 'held' and starts_at < now() - interval '1 hour' then starts_at end,
          case when kind = 'held' and starts_at < now() - interval '1 hour' then starts_at + interval '55 minutes' end,
          null, least(now(), starts_at) - make_interval(secs => 3600 + n % 5000000), least(now(), starts_at),
          case when kind = 'cancelled' then least(now(), starts_at) end
        from made`
      await sql`
        insert into recordings (id, organization_id, meeting_id, status, ending, started_at, ended_at, available_at, duration_ms,
          size_bytes, sha256, s3_key, revision)
        select gen_random_uuid(), organization_id, id,
          case when kind = 'cancelled' then 'cancelled' when starts_at >= now() - interval '1 hour' then 'pending'
            when n % 50 = 3 then 'failed' when n % 50 = 4 then 'partial' when n % 50 = 5 then 'not_held' else 'available' end,
          null, starts_at, starts_at + interval '55 minutes', starts_at + interval '1 hour', 3300000, 500000000,
          md5(n::text) || md5(n::text), 'meetings/' || id || '/recording.mp4', 1
        from made`
      await sql`
        insert into participants (id, organization_id, meeting_id, email, name, role, created_at)
        select gen_random_uuid(), organization_id, id, person.email, person.name, person.role, starts_at
        from made cross join lateral (values
          ('doctor' || n % ${DOCTORS}::int || '@clinica.example', 'Doctor ' || n % ${DOCTORS}::int, 'host', true),
          ('paciente' || n / 5 || '@otra.example', 'Paciente ' || n / 5, 'participant', true),
          ('ana@clinica.example', 'Ana Ruiz', 'participant', n % 4 = 2)
        ) as person(email, name, role, there)
        where person.there`
      await sql`select testigo_index_meetings(array(select id from made))`
      if (withJobs)
        await sql`
          insert into pgboss.job (name, data, singleton_key, start_after, policy, retry_limit, retry_delay, expire_seconds, keep_until)
          select 'record-meeting', jsonb_build_object('meetingId', id), id, starts_at, 'exclusive', 1000, 1, 30,
            now() + interval '400 days'
          from made where kind = 'held' and starts_at > now() + interval '10 minutes'`
      await sql`drop table made`
      onProgress?.(to)
    }
    if (withJobs) await sql`vacuum (analyze) pgboss.job`
    // As autovacuum would do some minutes later.
    await sql`vacuum (analyze) meetings, recordings, participants, meeting_terms, meeting_words`
  } finally {
    await sql.end({ timeout: 5 })
  }
}
