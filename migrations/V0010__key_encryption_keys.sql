-- RS256 beside EdDSA and ES256, and a register of the key-encryption keys that seal private halves.

ALTER TABLE security.signing_keys
    DROP CONSTRAINT signing_keys_algorithm_check,
    ADD CONSTRAINT signing_keys_algorithm_check CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')) NOT VALID;
ALTER TABLE security.signing_keys VALIDATE CONSTRAINT signing_keys_algorithm_check;
COMMENT ON COLUMN security.signing_keys.algorithm IS
    'Algorithm of new versions, named as in JWS: EdDSA (Ed25519), ES256 or RS256.';

ALTER TABLE security.signing_key_versions
    DROP CONSTRAINT signing_key_versions_algorithm_check,
    ADD CONSTRAINT signing_key_versions_algorithm_check CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')) NOT VALID;
ALTER TABLE security.signing_key_versions VALIDATE CONSTRAINT signing_key_versions_algorithm_check;
COMMENT ON COLUMN security.signing_key_versions.algorithm IS 'EdDSA (Ed25519), ES256 or RS256.';

CREATE TABLE security.key_encryption_keys (
    kek_id          text        PRIMARY KEY CHECK (kek_id <> ''),
    sealed_sentinel bytea,
    sentinel_nonce  bytea,
    created_at      timestamptz NOT NULL DEFAULT now(),
    first_used_at   timestamptz,
    last_used_at    timestamptz,
    retired_at      timestamptz,
    CONSTRAINT sentinel_is_sealed_whole CHECK (num_nonnulls(sealed_sentinel, sentinel_nonce) IN (0, 2)),
    -- AES-256-GCM: 96 bits (NIST SP 800-38D, section 8.2).
    CONSTRAINT sentinel_nonce_is_96_bits CHECK (octet_length(sentinel_nonce) = 12),
    CONSTRAINT use_is_not_negative CHECK (last_used_at >= first_used_at)
);

COMMENT ON TABLE security.key_encryption_keys IS
    'The key-encryption keys by name, never the keys themselves: which one sealed a private half, and whether a key that somebody holds is that one.';
COMMENT ON COLUMN security.key_encryption_keys.kek_id IS
    'Name of the key: kek- and 16 hexadecimal digits, derived from it.';
COMMENT ON COLUMN security.key_encryption_keys.sealed_sentinel IS
    'A constant sealed with it, bound to its name: whoever opens it holds the right key. Null until dbctl has seen the key.';
COMMENT ON COLUMN security.key_encryption_keys.sentinel_nonce IS 'Nonce of that sealing, 12 bytes.';
COMMENT ON COLUMN security.key_encryption_keys.created_at IS 'When it was registered here.';
COMMENT ON COLUMN security.key_encryption_keys.first_used_at IS 'When a private half was first sealed with it.';
COMMENT ON COLUMN security.key_encryption_keys.last_used_at IS 'When a private half was last sealed with it.';
COMMENT ON COLUMN security.key_encryption_keys.retired_at IS
    'When it was dropped: nothing is sealed with it any more, and nothing will be.';

INSERT INTO security.key_encryption_keys (kek_id, created_at, first_used_at, last_used_at)
SELECT kek_id, min(created_at), min(created_at), max(created_at)
FROM security.signing_key_versions
WHERE kek_id IS NOT NULL
GROUP BY kek_id;

CREATE FUNCTION security.key_encryption_key_is_usable() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    since timestamptz;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.kek_id IS NOT DISTINCT FROM OLD.kek_id
        AND NEW.sealed_private_key IS NOT DISTINCT FROM OLD.sealed_private_key THEN
        RETURN NEW;
    END IF;
    IF NEW.kek_id IS NULL THEN
        RETURN NEW;
    END IF;
    -- Whoever writes a version without registering its key leaves a row without a sentinel.
    INSERT INTO security.key_encryption_keys AS k (kek_id, first_used_at, last_used_at)
    VALUES (NEW.kek_id, clock_timestamp(), clock_timestamp())
    ON CONFLICT (kek_id) DO UPDATE
        SET first_used_at = COALESCE(k.first_used_at, clock_timestamp()),
            last_used_at = GREATEST(k.last_used_at, clock_timestamp());
    -- The row is ours now: nobody drops it before this transaction ends.
    SELECT retired_at INTO since FROM security.key_encryption_keys WHERE kek_id = NEW.kek_id;
    IF since IS NOT NULL THEN
        RAISE EXCEPTION 'key-encryption key % was dropped at %', NEW.kek_id, since
            USING ERRCODE = 'check_violation', CONSTRAINT = 'key_encryption_key_is_usable',
                  HINT = 'seal with another one';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION security.key_encryption_key_is_usable() IS
    'Registers the key-encryption key of a version that is sealed with it, and refuses one that was dropped.';

CREATE TRIGGER kek_is_usable BEFORE INSERT OR UPDATE ON security.signing_key_versions
    FOR EACH ROW EXECUTE FUNCTION security.key_encryption_key_is_usable();

ALTER TABLE security.signing_key_versions
    ADD CONSTRAINT signing_key_versions_kek_id_fkey FOREIGN KEY (kek_id)
        REFERENCES security.key_encryption_keys (kek_id) NOT VALID;
ALTER TABLE security.signing_key_versions VALIDATE CONSTRAINT signing_key_versions_kek_id_fkey;

CREATE FUNCTION security.key_encryption_key_in_use_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    sealed bigint;
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'a key-encryption key stays registered'
            USING ERRCODE = 'check_violation', HINT = 'dbctl keys kek drop';
    END IF;
    IF NEW.kek_id <> OLD.kek_id OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS DISTINCT FROM OLD.retired_at) THEN
        RAISE EXCEPTION 'key-encryption key % cannot become another one, nor come back', OLD.kek_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.retired_at IS NOT NULL AND OLD.retired_at IS NULL THEN
        SELECT count(*) INTO sealed FROM security.signing_key_versions WHERE kek_id = OLD.kek_id;
        IF sealed > 0 THEN
            RAISE EXCEPTION 'key-encryption key % still seals % versions', OLD.kek_id, sealed
                USING ERRCODE = 'check_violation', CONSTRAINT = 'key_encryption_key_in_use_stays',
                      HINT = 'dbctl keys rewrap moves them to another one';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION security.key_encryption_key_in_use_stays() IS
    'Refuses to drop a key-encryption key that still seals something, to bring a dropped one back and to forget one.';

CREATE TRIGGER in_use_stays BEFORE UPDATE OR DELETE ON security.key_encryption_keys
    FOR EACH ROW EXECUTE FUNCTION security.key_encryption_key_in_use_stays();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON security.key_encryption_keys
    FOR EACH STATEMENT EXECUTE FUNCTION security.key_encryption_key_in_use_stays();
