-- What lists of meetings are searched by (meeting_terms, meeting_words in db/schema.ts), kept by triggers: whoever changes a
-- meeting, its people or its recording need not know of it. Run at every migration; repeating it changes nothing.
--
-- Why tables of their own: below row-level security PostgreSQL uses an index only for operators that are leakproof. Those
-- of JSON, of full text and of patterns are not, equality of text is (pg_proc.proleakproof). So what is compared as it is
-- stands in meeting_terms, in the order of the lists; words are looked up by testigo_find_words with the owner's rights,
-- and it answers no more than ids and times, of the organisation that the setting names.

-- A term for exactly this value, short enough for an index whatever the value is.
create or replace function testigo_term(kind text, value text) returns text
language sql immutable parallel safe as $$
  select case when octet_length(value) <= 500 then kind || ':' || value else kind || '#' || md5(value) end
$$;

create or replace function testigo_field_term(name text, value text) returns text
language sql immutable parallel safe as $$
  -- The length tells a name with = in it from the value.
  select testigo_term('field', length(name) || ':' || name || '=' || value)
$$;

-- Words without accents and, in Latin script, without regard to case: what is neither punctuation nor a space.
create or replace function testigo_words(of_text text) returns text[]
language sql immutable parallel safe as $$
  select coalesce(array_agg(distinct left(word, 100)), '{}')
  from regexp_split_to_table(
    lower(regexp_replace(normalize(of_text, NFD), '[\u0300-\u036f]', '', 'g')),
    '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+'
  ) word
  where word <> ''
$$;

create or replace function testigo_words_mark(organization uuid) returns text
language sql immutable parallel safe as $$ select left(organization::text, 8) $$;

-- Meetings of the organisation in force that have, for each of these words, a word that begins with it; a word of one or two
-- letters must be there as it is. All of them, in no order, where `most` is null; of more than `most` only one more than these,
-- or one row of nulls where statistics tell that they are more.
create or replace function testigo_find_words(wanted text[], most integer)
returns table (id uuid, starts_at timestamptz, created_at timestamptz)
language plpgsql stable security definer set search_path = public, pg_temp set enable_seqscan = off as $$
declare
  organization constant uuid := nullif(current_setting('testigo.organization', true), '')::uuid;
  looked_up text[];
  expected float8;
  -- Worked out once, not for each meeting, as it would be in a plan that is kept for other words.
  by_index tsquery;
  by_all constant tsquery := testigo_word_query(organization, wanted);
begin
  -- The index gathers all meetings with words that begin so, for each of the words it is asked for. Therefore it is asked for
  -- those only that few have, or else for the one that the fewest have; the others are looked at in the meetings found so.
  with often as (
    select found.word, found.share
    from pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) as found(word, share)
    where schemaname = 'public' and tablename = 'meeting_words' and attname = 'words'
  ), asked as (
    select word, coalesce((
      select sum(often.share) from often where starts_with(often.word, testigo_words_mark(organization) || asked_for.word)
    ), 0) as share
    from unnest(wanted) as asked_for(word)
  )
  select array_agg(word), min(share) * (select reltuples from pg_class where oid = 'meeting_words'::regclass)
    into looked_up, expected
    from asked where share = 0 or word = (select word from asked order by share, word limit 1);
  if expected > most then
    return query select null::uuid, null::timestamptz, null::timestamptz;
    return;
  end if;
  by_index := testigo_word_query(organization, looked_up);
  return query
    select candidate.meeting_id, candidate.starts_at, candidate.created_at from (
      select w.meeting_id, w.starts_at, w.created_at, w.words from meeting_words w
      where w.organization_id = organization and w.words @@ by_index
      offset 0
    ) candidate
    where candidate.words @@ by_all limit most + 1;
end
$$;

create or replace function testigo_word_query(organization uuid, wanted text[]) returns tsquery
language sql immutable parallel safe as $$
  select string_agg(
    '''' || testigo_words_mark(organization) || word || '''' || case when length(word) > 2 then ':*' else '' end, ' & '
  )::tsquery
  from unnest(wanted) word
$$;

create or replace function testigo_words_of(organization uuid, variadic texts text[]) returns tsvector
language sql stable parallel safe as $$
  select coalesce(array_to_tsvector(array_agg(testigo_words_mark(organization) || word)), '')
  from unnest(testigo_words(array_to_string(texts, ' '))) word
$$;

-- Brings terms and words of these meetings to what their rows say. Its statements are planned once for each connection: planning
-- them takes longer than the work for one meeting.
create or replace function testigo_index_meetings(of_meetings uuid[]) returns void
language plpgsql security definer set search_path = public, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
  added bigint;
begin
  insert into meeting_words (meeting_id, organization_id, words, starts_at, created_at)
    select id, organization_id, testigo_words_of(organization_id, topic, description, external_id), starts_at, created_at
    from meetings where id = any(of_meetings) order by id
    on conflict do nothing;
  get diagnostics added = row_count;

  -- Of new meetings there is nothing else yet.
  if added < cardinality(of_meetings) then
    -- One after the other for one meeting: the last to commit sees what the others wrote.
    perform from meeting_words where meeting_id = any(of_meetings) order by meeting_id for update;

    update meeting_words w set words = found.words, starts_at = found.starts_at, created_at = found.created_at
    from (
      select id, testigo_words_of(organization_id, topic, description, external_id) as words, starts_at, created_at
      from meetings where id = any(of_meetings)
    ) found
    where w.meeting_id = found.id
      and (w.words, w.starts_at, w.created_at) is distinct from (found.words, found.starts_at, found.created_at);

    delete from meeting_terms t
    where t.meeting_id = any(of_meetings)
      and not exists (select from testigo_terms_of(of_meetings) f where f.meeting_id = t.meeting_id and f.term = t.term);
  end if;
  insert into meeting_terms as t (organization_id, meeting_id, term, starts_at, created_at)
    select f.organization_id, f.meeting_id, f.term, f.starts_at, f.created_at from testigo_terms_of(of_meetings) f
    on conflict (meeting_id, term) do update set starts_at = excluded.starts_at, created_at = excluded.created_at
    where t.starts_at <> excluded.starts_at or t.created_at <> excluded.created_at;
end
$$;

create or replace function testigo_terms_of(of_meetings uuid[])
returns table (organization_id uuid, meeting_id uuid, term text, starts_at timestamptz, created_at timestamptz)
language plpgsql stable set search_path = public, pg_temp as $$
begin
  return query
    select m.organization_id, m.id, found.term, m.starts_at, m.created_at
    from meetings m cross join lateral (
      select testigo_term('participant', p.email)
      from participants p where p.meeting_id = m.id and p.removed_at is null
      union
      select testigo_term('recording', r.status) from recordings r where r.meeting_id = m.id
      union
      select testigo_field_term(field.name, item.value #>> '{}')
      from jsonb_each(m.custom_fields) as field(name, value)
        cross join lateral (
          select field.value where jsonb_typeof(field.value) in ('string', 'number', 'boolean')
          union all
          select element from jsonb_array_elements(
            case jsonb_typeof(field.value) when 'array' then field.value else '[]' end
          ) element where jsonb_typeof(element) in ('string', 'number', 'boolean')
        ) as item(value)
    ) as found(term)
    where m.id = any(of_meetings);
end
$$;

-- At the commit, when all of a transaction's changes are made and nothing is locked any more afterwards.
create or replace function testigo_keep_search() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  of_meeting uuid;
  indexed constant text := coalesce(current_setting('testigo.indexed_meetings', true), '');
  batch uuid[];
begin
  if tg_table_name = 'meetings' then of_meeting := new.id;
  elsif tg_op = 'DELETE' then of_meeting := old.meeting_id;
  else of_meeting := new.meeting_id;
  end if;
  -- A meeting comes by again with each of its people and its recording, and has been done then.
  if position(of_meeting::text in indexed) > 0 then return null; end if;
  -- Meetings of a series are written hundreds at a time: what this transaction wrote of one is done with the first of them.
  select array_agg(id) into batch from (
    select of_meeting as id
    union
    select other.id from meetings mine
      join meetings other on other.organization_id = mine.organization_id and other.series_id = mine.series_id
        and other.xmin = pg_current_xact_id()::xid
    where mine.id = of_meeting
  ) written;
  perform testigo_index_meetings(batch);
  -- Forgetting some of a great many costs less than looking through them again and again.
  perform set_config('testigo.indexed_meetings',
    case when length(indexed) > 40000 then '' else indexed end || array_to_string(batch, ' ') || ' ', true);
  return null;
end
$$;

do $$
begin
  if not exists (select from pg_trigger where tgname = 'testigo_keep_search' and tgrelid = 'meetings'::regclass) then
    create constraint trigger testigo_keep_search
      after insert or update of topic, description, external_id, custom_fields, starts_at, created_at on meetings
      deferrable initially deferred for each row execute function testigo_keep_search();
  end if;
  if not exists (select from pg_trigger where tgname = 'testigo_keep_search' and tgrelid = 'participants'::regclass) then
    create constraint trigger testigo_keep_search
      after insert or delete or update of email, removed_at on participants
      deferrable initially deferred for each row execute function testigo_keep_search();
  end if;
  if not exists (select from pg_trigger where tgname = 'testigo_keep_search' and tgrelid = 'recordings'::regclass) then
    create constraint trigger testigo_keep_search
      after insert or update of status on recordings
      deferrable initially deferred for each row execute function testigo_keep_search();
  end if;
end
$$;

-- Meetings that were there before all this.
do $$
declare
  found uuid[];
  last uuid := '00000000-0000-0000-0000-000000000000';
begin
  if exists (select from meeting_words) then return; end if;
  loop
    found := array(select id from meetings where id > last order by id limit 5000);
    exit when cardinality(found) = 0;
    perform testigo_index_meetings(found);
    last := found[cardinality(found)];
  end loop;
end
$$;

revoke all on function testigo_index_meetings(uuid[]), testigo_keep_search(), testigo_find_words(text[], integer) from public;
grant execute on function testigo_find_words(text[], integer) to testigo_tenant, testigo_external;
