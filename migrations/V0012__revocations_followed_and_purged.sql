-- Two things for revocations: instances that keep them in memory can follow what is added, and
-- what nobody needs any more can be removed by a role that can do nothing else.

-- The transaction that added a revocation or extended it last. Transaction ids are given out in
-- one order and committed in another, so that "greater than the greatest I saw" misses some; but a
-- snapshot says exactly which ones it saw, and whoever keeps the last one can ask for the others
-- (pg_visible_in_snapshot). A stable default: the rows that are there are not rewritten.
ALTER TABLE security.revoked_tokens
    ADD COLUMN changed_in xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id();
ALTER TABLE security.revoked_sessions
    ADD COLUMN changed_in xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id();
COMMENT ON COLUMN security.revoked_tokens.changed_in IS
    'The transaction that added or last extended it; by it instances follow what is revoked.';
COMMENT ON COLUMN security.revoked_sessions.changed_in IS
    'The transaction that added or last extended it; by it instances follow what is revoked.';

-- It grows at its end only. Writers wait while it is built: half a second for a million rows.
CREATE INDEX revoked_tokens_changed_in ON security.revoked_tokens (changed_in);
CREATE INDEX revoked_sessions_changed_in ON security.revoked_sessions (changed_in);

-- As before, and: an extension is stamped, a removal waits for the clock skew as well.
CREATE OR REPLACE FUNCTION security.revocation_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    may_change CONSTANT text[] := ARRAY['expires_at', 'changed_in'];
BEGIN
    CASE TG_OP
        WHEN 'UPDATE' THEN
            IF NEW.expires_at < OLD.expires_at
                OR to_jsonb(NEW) - may_change IS DISTINCT FROM to_jsonb(OLD) - may_change THEN
                RAISE EXCEPTION 'a revocation can only be extended (%)', TG_TABLE_NAME
                    USING ERRCODE = 'check_violation';
            END IF;
            NEW.changed_in := pg_catalog.pg_current_xact_id();
            RETURN NEW;
        WHEN 'DELETE' THEN
            IF OLD.expires_at >= now() - interval '5 minutes' THEN
                RAISE EXCEPTION 'a revocation stays until its token has expired, and five minutes more (%)', TG_TABLE_NAME
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN OLD;
        ELSE
            RAISE EXCEPTION 'revocations cannot be emptied at once (%)', TG_TABLE_NAME
                USING ERRCODE = 'check_violation';
    END CASE;
END
$$;
COMMENT ON FUNCTION security.revocation_stays() IS
    'Refuses to shorten or change a revocation, to delete it before it has expired and five minutes more have passed, and to truncate; stamps changed_in.';

-- Who removes what has expired. Not the service: whoever breaks into it must not be able to delete.
-- Not the owner: what runs every night should not be able to drop a trigger. See V0001 for why a
-- role that cannot be created is no reason to stop.
DO $$
DECLARE
    creator pg_catalog.pg_roles%ROWTYPE;
BEGIN
    SELECT * INTO STRICT creator FROM pg_catalog.pg_roles WHERE rolname = current_user;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_janitor') THEN
        RETURN;
    END IF;
    IF NOT (creator.rolsuper OR creator.rolcreaterole) THEN
        RAISE NOTICE 'role security_janitor is missing and % may not create it: its privileges are skipped', current_user
            USING HINT = 'a DBA runs: CREATE ROLE security_janitor NOLOGIN; then: SELECT security.apply_privileges();';
        RETURN;
    END IF;
    BEGIN
        CREATE ROLE security_janitor NOLOGIN;
        COMMENT ON ROLE security_janitor IS
            'Removes what has expired in security and authz, by functions that remove nothing else. Reads and changes nothing.';
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        -- Created by somebody else in the meantime: just as well.
        NULL;
    END;
END
$$;

-- One batch, which is one short transaction. It begins at `since`, where the batch before it
-- ended: the entries of removed rows stay in the index until a vacuum, and to pass over them from
-- the beginning each time would cost more with every batch. What somebody else has locked is left
-- for later. By ctid, and without sequential scans: no statistics, however wrong, may turn a small
-- batch into a scan of the whole table.
CREATE FUNCTION security.purge_revocations(
    store text, since timestamptz, skew interval, at_most integer,
    OUT removed bigint, OUT up_to timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    horizon CONSTANT timestamptz := now() - skew;
BEGIN
    IF skew < interval '5 minutes' THEN
        RAISE EXCEPTION 'the clock skew is at least five minutes, not %', skew
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF at_most NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', at_most
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE store
        WHEN 'tokens' THEN
            WITH gone AS (
                DELETE FROM security.revoked_tokens WHERE ctid = ANY (ARRAY(
                    SELECT r.ctid FROM security.revoked_tokens r
                    WHERE r.expires_at >= since AND r.expires_at < horizon
                    ORDER BY r.expires_at LIMIT at_most FOR UPDATE SKIP LOCKED))
                RETURNING expires_at)
            SELECT count(*), max(expires_at) INTO removed, up_to FROM gone;
        WHEN 'sessions' THEN
            WITH gone AS (
                DELETE FROM security.revoked_sessions WHERE ctid = ANY (ARRAY(
                    SELECT r.ctid FROM security.revoked_sessions r
                    WHERE r.expires_at >= since AND r.expires_at < horizon
                    ORDER BY r.expires_at LIMIT at_most FOR UPDATE SKIP LOCKED))
                RETURNING expires_at)
            SELECT count(*), max(expires_at) INTO removed, up_to FROM gone;
        ELSE
            RAISE EXCEPTION 'the store is tokens or sessions, not %', store
                USING ERRCODE = 'invalid_parameter_value';
    END CASE;
END
$$;
COMMENT ON FUNCTION security.purge_revocations(text, timestamptz, interval, integer) IS
    'Removes at most so many revocations (store: tokens, sessions) that expired at or after since and longer ago than the clock skew, the oldest first; says how many and the latest expiry among them. Fewer than asked for: none are left.';

-- Named so that it never counts what cannot be removed.
CREATE FUNCTION security.expired_revocations(skew interval)
RETURNS TABLE (store text, expired bigint, oldest timestamptz, horizon timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT 'tokens', count(*), min(expires_at), now() - skew
      FROM security.revoked_tokens WHERE expires_at < now() - skew
    UNION ALL
    SELECT 'sessions', count(*), min(expires_at), now() - skew
      FROM security.revoked_sessions WHERE expires_at < now() - skew
$$;
COMMENT ON FUNCTION security.expired_revocations(interval) IS
    'How many revocations expired longer ago than the clock skew, since when, and up to which expiry a purge would go.';
