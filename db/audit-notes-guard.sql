-- Run at every migration, after audit-guard.sql; repeating it changes nothing and locks nothing.
-- Notes that are not in the chain yet: nobody changes one, and one goes only where the chain has it.
create or replace function refuse_audit_note_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and exists (select from audit_log where entry_id = old.id) then
    return old;
  end if;
  raise exception 'Notes for the audit log only go into its chain: % is refused', tg_op
    using errcode = 'insufficient_privilege';
end
$$;
do $$
begin
  if not exists (
    select from pg_trigger
    where tgrelid = 'audit_pending'::regclass and tgname = 'audit_pending_no_truncate' and tgenabled = 'A'
  ) then
    drop trigger if exists audit_pending_only_chained on audit_pending;
    drop trigger if exists audit_pending_no_truncate on audit_pending;
    create trigger audit_pending_only_chained
      before update or delete on audit_pending
      for each row execute function refuse_audit_note_change();
    create trigger audit_pending_no_truncate
      before truncate on audit_pending
      for each statement execute function refuse_audit_change();
    alter table audit_pending enable always trigger audit_pending_only_chained;
    alter table audit_pending enable always trigger audit_pending_no_truncate;
  end if;
end
$$;
