-- A user who may not create schemas finds them made by a DBA; CREATE SCHEMA IF NOT EXISTS would
-- still want the right to create, so it is asked first.
DO $$
BEGIN
    IF to_regnamespace('security') IS NULL THEN
        CREATE SCHEMA security;
    END IF;
    IF to_regnamespace('authz') IS NULL THEN
        CREATE SCHEMA authz;
    END IF;
END
$$;

COMMENT ON SCHEMA security IS
    'Security state of the service: signing keys, revocations, nonce watermarks, events.';
COMMENT ON SCHEMA authz IS
    'Why requests were allowed or denied.';

REVOKE ALL ON SCHEMA security, authz FROM PUBLIC;
