-- Who sees which rows. Run at every migration; repeating it changes nothing, and takes no lock where there is nothing to
-- change. The API does everything for a caller as one of two roles that own nothing (see db/tenant.ts):
--   testigo_tenant    sees the rows of one organisation, named by the setting testigo.organization;
--   testigo_external  sees of these only what belongs to its own meetings: those made by testigo.principal, or to which
--                     testigo.email is invited; and changes only meetings that it made.
-- Without the settings they see nothing. The owner of the tables (recorders, jobs) is not bound by any of this.

do $$
declare
  name text;
  -- Being a member is not enough from PostgreSQL 16 on: who made a role is, and may still not become it.
  mode text := case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end;
begin
  foreach name in array array['testigo_tenant', 'testigo_external'] loop
    begin
      if not exists (select from pg_roles where rolname = name) then
        execute format('create role %I nologin noinherit', name);
      end if;
      if not pg_has_role(current_user, name, mode) then
        execute format('grant %I to %I', name, current_user);
      end if;
      if not has_schema_privilege(name, 'public', 'usage') then
        execute format('grant usage on schema public to %I', name);
      end if;
    exception
      -- Another database of the same server made it in this moment.
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise exception 'The database user % may not make or use the role %. As one who may, run: create role % nologin; grant % to %',
          current_user, name, name, name, current_user using errcode = 'insufficient_privilege';
    end;
  end loop;
end
$$;

-- With the owner's rights, since what it reads is what the policies below are made of.
create or replace function testigo_own_meetings() returns setof uuid
language sql stable security definer set search_path = public, pg_temp as $$
  select id from meetings
  where organization_id = nullif(current_setting('testigo.organization', true), '')::uuid
    and created_by = nullif(current_setting('testigo.principal', true), '')
  union all
  select meeting_id from participants
  where organization_id = nullif(current_setting('testigo.organization', true), '')::uuid
    and email = nullif(current_setting('testigo.email', true), '') and removed_at is null
$$;

-- Its definition stands in the policy's comment, to be compared with.
create or replace function pg_temp.keep_policy(of_table name, policy name, definition text) returns void
language plpgsql as $$
begin
  if exists (
    select from pg_policy where polrelid = of_table::regclass and polname = policy
      and obj_description(oid, 'pg_policy') = definition
  ) then return; end if;
  execute format('drop policy if exists %I on %I', policy, of_table);
  execute format('create policy %I on %I %s', policy, of_table, definition);
  execute format('comment on policy %I on %I is %L', policy, of_table, definition);
end
$$;

do $$
declare
  organization constant text := $q$nullif(current_setting('testigo.organization', true), '')::uuid$q$;
  made constant text := $q$created_by = nullif(current_setting('testigo.principal', true), '')$q$;
  of_meeting boolean;
  privileges text[];
  privilege text;
  role name;
  found record;
begin
  for found in
    select c.oid, c.relname as name, c.relrowsecurity as secured, of.attname as of_column from pg_class c
    join pg_attribute of on of.attrelid = c.oid and not of.attisdropped
      and of.attname = case c.relname when 'organizations' then 'id' else 'organization_id' end
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  loop
    of_meeting := exists (
      select from pg_attribute where attrelid = found.oid and attname = 'meeting_id' and not attisdropped
    );
    if not found.secured then
      execute format('alter table %I enable row level security', found.name);
    end if;
    perform pg_temp.keep_policy(found.name, 'testigo_of_organization', format(
      'for all to testigo_tenant, testigo_external using (%I = %s)', found.of_column, organization));
    if of_meeting then
      perform pg_temp.keep_policy(found.name, 'testigo_of_own_meeting',
        'as restrictive for all to testigo_external using (meeting_id in (select testigo_own_meetings()))');
    end if;

    privileges := case found.name
      when 'organizations' then array['select', 'update']
      when 'audit_log' then array['select', 'insert']
      when 'audit_pending' then array['select', 'insert']
      when 'meeting_terms' then array['select']
      when 'meeting_words' then array['select']
      else array['select', 'insert', 'update', 'delete'] end;
    foreach role in array array['testigo_tenant', 'testigo_external'] loop
      -- A table that is not of a meeting is closed to external callers unless it is named here.
      continue when role = 'testigo_external' and not of_meeting and found.name not in
        ('organizations', 'meetings', 'attempts', 'segments', 'audit_pending', 'webhook_endpoints',
         'webhook_deliveries', 'series', 'custom_field_schemas', 'idempotency_keys');
      foreach privilege in array case
        when role = 'testigo_external' and found.name = 'custom_field_schemas' then array['select']
        when role = 'testigo_external' and found.name = 'audit_pending' then array['insert']
        else privileges end loop
        if not has_table_privilege(role, found.oid, privilege) then
          execute format('grant %s on %I to %I', privilege, found.name, role);
        end if;
      end loop;
    end loop;
  end loop;

  perform pg_temp.keep_policy('meetings', 'testigo_own_shown', format(
    'as restrictive for select to testigo_external using (%s or id in (select testigo_own_meetings()))', made));
  perform pg_temp.keep_policy('meetings', 'testigo_own_made', format(
    'as restrictive for insert to testigo_external with check (%s)', made));
  perform pg_temp.keep_policy('meetings', 'testigo_own_changed', format(
    'as restrictive for update to testigo_external using (%s)', made));
  perform pg_temp.keep_policy('meetings', 'testigo_own_removed',
    'as restrictive for delete to testigo_external using (false)');
  perform pg_temp.keep_policy('series', 'testigo_own_shown', format(
    'as restrictive for select to testigo_external using (%s or id in (select series_id from meetings))', made));
  perform pg_temp.keep_policy('series', 'testigo_own_made', format(
    'as restrictive for insert to testigo_external with check (%s)', made));
  perform pg_temp.keep_policy('series', 'testigo_own_changed', format(
    'as restrictive for update to testigo_external using (%s)', made));
  perform pg_temp.keep_policy('series', 'testigo_own_removed',
    'as restrictive for delete to testigo_external using (false)');
  perform pg_temp.keep_policy('idempotency_keys', 'testigo_own_requests',
    $q$as restrictive for all to testigo_external using (caller = nullif(current_setting('testigo.principal', true), ''))$q$);
  perform pg_temp.keep_policy('attempts', 'testigo_of_own_recording',
    'as restrictive for all to testigo_external using (recording_id in (select id from recordings))');
  perform pg_temp.keep_policy('segments', 'testigo_of_own_attempt',
    'as restrictive for all to testigo_external using (attempt_id in (select id from attempts))');
end
$$;

revoke all on function testigo_own_meetings() from public;
grant execute on function testigo_own_meetings() to testigo_tenant, testigo_external;
