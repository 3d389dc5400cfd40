-- Three roles without a login. A person or a service becomes one by being granted it:
--   GRANT security_runtime TO auth_service;
--
-- Roles belong to the whole cluster, not to this database: they may be there already, another
-- database may be creating them this very moment, and a user without CREATEROLE cannot create
-- them at all. None of that is a reason to stop. Privileges for roles that are missing are
-- skipped; once a DBA has created them, `SELECT security.apply_privileges()` grants them.
DO $$
DECLARE
    wanted CONSTANT jsonb := jsonb_build_object(
        'security_owner', 'Owns the schemas security and authz and migrates them.',
        'security_runtime', 'What a running service needs: adds revocations, reserves nonces, reads keys, records decisions. Deletes nothing.',
        'security_auditor', 'Reads everything in security and authz except key material. Changes nothing.'
    );
    name text;
    meaning text;
    creator pg_catalog.pg_roles%ROWTYPE;
BEGIN
    SELECT * INTO STRICT creator FROM pg_catalog.pg_roles WHERE rolname = current_user;
    FOR name, meaning IN SELECT * FROM jsonb_each_text(wanted) LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            CONTINUE;
        END IF;
        IF NOT (creator.rolsuper OR creator.rolcreaterole) THEN
            RAISE NOTICE 'role % is missing and % may not create it: its privileges are skipped', name, current_user
                USING HINT = format('a DBA runs: CREATE ROLE %I NOLOGIN; then: SELECT security.apply_privileges();', name);
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', name, meaning);
            -- Whoever creates the owner migrates with it; a superuser needs no membership.
            IF name = 'security_owner' AND NOT creator.rolsuper THEN
                EXECUTE format('GRANT %I TO %I', name, current_user);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            -- Created by somebody else in the meantime: just as well.
            NULL;
        END;
    END LOOP;
END
$$;
