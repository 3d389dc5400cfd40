-- Who may do what, once more: what the migrations since 0009 added is granted here too. The whole
-- function stands in the newest migration that has it; it can be called again at any time.
CREATE OR REPLACE FUNCTION security.apply_privileges() RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    has_owner   CONSTANT boolean := EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_owner');
    has_runtime CONSTANT boolean := EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_runtime');
    has_auditor CONSTANT boolean := EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_auditor');
    has_janitor CONSTANT boolean := EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_janitor');
    can_give CONSTANT text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    object record;
    role text;
BEGIN
    REVOKE ALL ON SCHEMA security, authz FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA security, authz FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA security, authz FROM PUBLIC;

    FOREACH role IN ARRAY ARRAY['security_runtime', 'security_auditor', 'security_janitor'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            EXECUTE format('REVOKE ALL ON SCHEMA security, authz FROM %I', role);
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA security, authz FROM %I', role);
            EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA security, authz FROM %I', role);
            EXECUTE format('GRANT USAGE ON SCHEMA security, authz TO %I', role);
        ELSE
            RAISE NOTICE 'role % is missing: its privileges are skipped', role;
        END IF;
    END LOOP;

    IF has_runtime THEN
        -- Everything about keys but the sealed private halves; of those, what signs now or next.
        GRANT SELECT ON security.signing_keys, security.signing_material TO security_runtime;
        GRANT SELECT (key_id, version, kid, state, is_current, valid_from, valid_until, published_at,
                      algorithm, public_key, kek_id, created_at)
            ON security.signing_key_versions TO security_runtime;
        -- Revocations are added and, at most, extended; a trigger refuses the rest. Not even the
        -- one who adds one says when others get to know of it (changed_in).
        GRANT SELECT, UPDATE (expires_at)
            ON security.revoked_tokens, security.revoked_sessions TO security_runtime;
        GRANT INSERT (token_id, revoked_at, expires_at, reason, revoked_by, request_id)
            ON security.revoked_tokens TO security_runtime;
        GRANT INSERT (session_id, revoked_at, expires_at, reason, revoked_by, request_id)
            ON security.revoked_sessions TO security_runtime;
        GRANT SELECT, INSERT, UPDATE (reserved_high, window_size, updated_at)
            ON security.nonce_watermarks TO security_runtime;
        GRANT INSERT ON security.events, authz.policy_decisions TO security_runtime;
        GRANT EXECUTE ON FUNCTION authz.ensure_policy_decision_partitions(integer) TO security_runtime;
    END IF;

    IF has_auditor THEN
        GRANT SELECT ON security.signing_keys, security.revoked_tokens, security.revoked_sessions,
            security.nonce_watermarks, security.events, authz.policy_decisions, authz.request_trace
            TO security_auditor;
        GRANT SELECT (key_id, version, kid, state, is_current, valid_from, valid_until, published_at,
                      algorithm, kek_id, created_at, state_changed_at, stopped_signing_at)
            ON security.signing_key_versions TO security_auditor;
        GRANT SELECT (kek_id, created_at, first_used_at, last_used_at, retired_at)
            ON security.key_encryption_keys TO security_auditor;
    END IF;

    IF has_janitor THEN
        GRANT EXECUTE ON FUNCTION
            security.purge_revocations(text, timestamptz, interval, integer),
            security.expired_revocations(interval),
            security.purge_events(interval, integer),
            authz.ensure_policy_decision_partitions(integer),
            authz.policy_decision_months(),
            authz.drop_policy_decision_month(text, interval),
            authz.purge_decisions_without_month(interval, integer)
            TO security_janitor;
    END IF;

    IF NOT has_owner THEN
        RAISE NOTICE 'role security_owner is missing: % goes on owning the schemas', current_user;
        RETURN;
    END IF;
    -- Giving away what one could not touch afterwards would lock the next migration out.
    IF NOT (pg_has_role('security_owner', can_give) AND pg_has_role('security_owner', 'USAGE')) THEN
        RAISE NOTICE '% is not a member of security_owner and goes on owning the schemas', current_user;
        RETURN;
    END IF;
    FOR object IN
        SELECT format('SCHEMA %I', n.nspname) AS name
        FROM pg_catalog.pg_namespace n
        WHERE n.nspname IN ('security', 'authz') AND n.nspowner = current_user::regrole
    LOOP
        EXECUTE format('ALTER %s OWNER TO security_owner', object.name);
    END LOOP;
    FOR object IN
        SELECT format('%s %I.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, n.nspname, c.relname) AS name
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v') AND c.relowner = current_user::regrole
        UNION ALL
        SELECT format('FUNCTION %s', p.oid::regprocedure)
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('security', 'authz') AND p.proowner = current_user::regrole
    LOOP
        EXECUTE format('ALTER %s OWNER TO security_owner', object.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION security.apply_privileges() IS
    'Grants security_runtime, security_auditor and security_janitor exactly what they need and gives the schemas to security_owner; roles that are missing are skipped. May be called again at any time.';

SELECT security.apply_privileges();
