-- How long decisions and events are kept. Months of decisions are partitions, and a month that is
-- old enough goes whole; what has no month of its own, and events, go in batches. The windows are
-- the caller's, and never shorter than 30 days: nobody empties the record of last night.

CREATE FUNCTION authz.policy_decision_months()
RETURNS TABLE (partition text, since timestamptz, until timestamptz, size_bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT c.relname::text, m.since, (m.since AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC',
           pg_catalog.pg_total_relation_size(c.oid)
      FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid,
           LATERAL (SELECT make_timestamptz(substr(c.relname, 18, 4)::integer, substr(c.relname, 23, 2)::integer,
                                            1, 0, 0, 0, 'UTC') AS since) m
     WHERE i.inhparent = 'authz.policy_decisions'::regclass
       AND c.relname ~ '^policy_decisions_[0-9]{4}_[0-9]{2}$'
     ORDER BY c.relname
$$;
COMMENT ON FUNCTION authz.policy_decision_months() IS
    'The monthly partitions of decisions, with their bounds and sizes.';

-- Dropping a partition locks the whole table for a moment, and whoever waits for that moment makes
-- everybody else wait: call it with a short lock_timeout, and again when it gave way.
CREATE FUNCTION authz.drop_policy_decision_month(partition text, older_than interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    last timestamptz;
BEGIN
    IF older_than < interval '30 days' THEN
        RAISE EXCEPTION 'decisions are kept for at least 30 days, not %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT m.until INTO last FROM authz.policy_decision_months() m WHERE m.partition = $1;
    IF last IS NULL OR last > now() - older_than THEN
        RAISE EXCEPTION '% is no month of decisions that ended longer ago than %', partition, older_than
            USING ERRCODE = 'check_violation';
    END IF;
    EXECUTE pg_catalog.format('DROP TABLE authz.%I', partition);
END
$$;
COMMENT ON FUNCTION authz.drop_policy_decision_month(text, interval) IS
    'Drops one monthly partition of decisions, if its month ended longer ago than that.';

-- One batch, from the oldest on.
CREATE FUNCTION authz.purge_decisions_without_month(older_than interval, at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    removed bigint;
BEGIN
    IF older_than < interval '30 days' THEN
        RAISE EXCEPTION 'decisions are kept for at least 30 days, not %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM authz.policy_decisions_default WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM authz.policy_decisions_default d
         WHERE d.created_at < now() - older_than
         ORDER BY d.created_at LIMIT at_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION authz.purge_decisions_without_month(interval, integer) IS
    'Removes at most so many decisions that are older than that and that have no monthly partition; says how many.';

CREATE FUNCTION security.purge_events(older_than interval, at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    removed bigint;
BEGIN
    IF older_than < interval '30 days' THEN
        RAISE EXCEPTION 'events are kept for at least 30 days, not %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM security.events WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM security.events e
         WHERE e.created_at < now() - older_than
         ORDER BY e.created_at LIMIT at_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION security.purge_events(interval, integer) IS
    'Removes at most so many events that are older than that; says how many.';
