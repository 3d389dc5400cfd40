-- The times that a key's waits are counted from, kept by the database whoever writes the row.
ALTER TABLE security.signing_key_versions
    ADD COLUMN state_changed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN stopped_signing_at timestamptz;

COMMENT ON COLUMN security.signing_key_versions.state_changed_at IS
    'When it came into its state; for a version that is older than this column, when the column was added.';
COMMENT ON COLUMN security.signing_key_versions.stopped_signing_at IS
    'When it stopped being current: it verifies for the longest lifetime of a token, and the clock skew, from then on. Null while it signs, and for keys that sign elsewhere until somebody says when that ended.';
COMMENT ON COLUMN security.signing_key_versions.published_at IS
    'When verifiers could see it for certain; it must be older than their caches before it signs. Null between making a version and recording that it is published.';

CREATE FUNCTION security.signing_key_version_keeps_times() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.state_changed_at := clock_timestamp();
        RETURN NEW;
    END IF;
    NEW.state_changed_at := OLD.state_changed_at;
    -- A person's word counts only for a key that signs elsewhere.
    IF OLD.sealed_private_key IS NOT NULL THEN
        NEW.stopped_signing_at := OLD.stopped_signing_at;
    END IF;
    IF NEW.state <> OLD.state THEN
        NEW.state_changed_at := clock_timestamp();
        IF OLD.state = 'current' THEN
            NEW.stopped_signing_at := clock_timestamp();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION security.signing_key_version_keeps_times() IS
    'Writes when a version came into its state and when it stopped signing, by the clock of this server.';

CREATE TRIGGER keeps_times BEFORE INSERT OR UPDATE ON security.signing_key_versions
    FOR EACH ROW EXECUTE FUNCTION security.signing_key_version_keeps_times();
