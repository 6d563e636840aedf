-- Rows of the audit log are added and never changed or removed, whoever asks. Run at every migration; repeating it changes
-- nothing and locks nothing.
create or replace function refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'The audit log is append only: % is refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
do $$
begin
  -- 'A': it fires always, in a session that plays replication too.
  if not exists (
    select from pg_trigger
    where tgrelid = 'audit_log'::regclass and tgname = 'audit_log_append_only' and tgenabled = 'A'
  ) then
    drop trigger if exists audit_log_append_only on audit_log;
    create trigger audit_log_append_only
      before update or delete or truncate on audit_log
      for each statement execute function refuse_audit_change();
    alter table audit_log enable always trigger audit_log_append_only;
  end if;
end
$$;
