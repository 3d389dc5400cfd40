CREATE TABLE security.signing_keys (
    key_id     text        PRIMARY KEY CHECK (key_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$'),
    purpose    text        NOT NULL CHECK (purpose <> ''),
    algorithm  text        NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE security.signing_keys IS
    'Logical signing keys. What signs and verifies are their versions.';
COMMENT ON COLUMN security.signing_keys.key_id IS 'Name of the logical key, such as access-tokens.';
COMMENT ON COLUMN security.signing_keys.purpose IS 'What it signs.';
COMMENT ON COLUMN security.signing_keys.algorithm IS
    'Algorithm of new versions, named as in JWS: EdDSA (Ed25519) or ES256.';
COMMENT ON COLUMN security.signing_keys.created_at IS 'When the logical key was created.';

CREATE TABLE security.signing_key_versions (
    key_id             text        NOT NULL REFERENCES security.signing_keys (key_id),
    version            integer     NOT NULL CHECK (version > 0),
    kid                text        NOT NULL UNIQUE CHECK (kid <> ''),
    state              text        NOT NULL CHECK (state IN ('standby', 'current', 'retiring', 'retired', 'revoked')),
    is_current         boolean     NOT NULL GENERATED ALWAYS AS (state = 'current') STORED,
    valid_from         timestamptz NOT NULL,
    valid_until        timestamptz,
    published_at       timestamptz,
    algorithm          text        NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
    public_key         jsonb       NOT NULL,
    sealed_private_key bytea,
    sealing_nonce      bytea,
    kek_id             text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key_id, version),
    CONSTRAINT validity_is_not_negative CHECK (valid_until >= valid_from),
    CONSTRAINT public_key_is_an_object CHECK (jsonb_typeof(public_key) = 'object'),
    -- RFC 7518, section 6: the members of a JWK that hold a private or a symmetric key.
    CONSTRAINT public_key_holds_no_private_half CHECK (
        NOT (public_key ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
    ),
    CONSTRAINT private_half_is_sealed_whole CHECK (
        num_nonnulls(sealed_private_key, sealing_nonce, kek_id) IN (0, 3)
    ),
    -- AES-256-GCM: 96 bits (NIST SP 800-38D, section 8.2).
    CONSTRAINT sealing_nonce_is_96_bits CHECK (octet_length(sealing_nonce) = 12),
    CONSTRAINT current_can_sign CHECK (state <> 'current' OR sealed_private_key IS NOT NULL)
);

COMMENT ON TABLE security.signing_key_versions IS
    'Versions of signing keys: standby (published) -> current (signs) -> retiring (verifies) -> retired; revoked from any of them. A state never goes back. Exactly one version is current once a key has signed.';
COMMENT ON COLUMN security.signing_key_versions.key_id IS 'The logical key.';
COMMENT ON COLUMN security.signing_key_versions.version IS 'Counts up from 1 within the logical key.';
COMMENT ON COLUMN security.signing_key_versions.kid IS
    'Key id in the header of tokens: the RFC 7638 thumbprint of the public key.';
COMMENT ON COLUMN security.signing_key_versions.state IS
    'standby: published, does not sign. current: signs. retiring: only verifies. retired: neither. revoked: must be refused.';
COMMENT ON COLUMN security.signing_key_versions.is_current IS 'Whether this version signs; follows from state.';
COMMENT ON COLUMN security.signing_key_versions.valid_from IS 'From when on it signs, or is planned to.';
COMMENT ON COLUMN security.signing_key_versions.valid_until IS
    'Until when it verifies; null while that is not decided.';
COMMENT ON COLUMN security.signing_key_versions.published_at IS
    'When verifiers could first see it; it must be older than their caches before it signs.';
COMMENT ON COLUMN security.signing_key_versions.algorithm IS 'EdDSA (Ed25519) or ES256.';
COMMENT ON COLUMN security.signing_key_versions.public_key IS 'The public half as a JWK (RFC 7517).';
COMMENT ON COLUMN security.signing_key_versions.sealed_private_key IS
    'The private half, AES-256-GCM under the key-encryption key, bound to schema, key id and version; null for imported keys that only verify.';
COMMENT ON COLUMN security.signing_key_versions.sealing_nonce IS 'Nonce of the sealing, 12 bytes.';
COMMENT ON COLUMN security.signing_key_versions.kek_id IS
    'Which key-encryption key sealed the private half: a name, never the key.';
COMMENT ON COLUMN security.signing_key_versions.created_at IS 'When the row was written.';

-- At most one current version per key; "at least one" is the constraint trigger below.
CREATE UNIQUE INDEX signing_key_versions_one_current
    ON security.signing_key_versions (key_id) WHERE is_current;
-- The verification query of the runbook reads nothing but this index.
CREATE INDEX signing_key_versions_valid_from
    ON security.signing_key_versions (valid_from DESC) INCLUDE (key_id, is_current, valid_until);

CREATE FUNCTION security.signing_key_version_moves_forward() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    path CONSTANT text[] := ARRAY['standby', 'current', 'retiring', 'retired', 'revoked'];
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        -- Tokens, decisions and events name it: what became of it must stay known.
        IF TG_OP = 'DELETE' AND OLD.state = 'standby' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'a key version that has been in use cannot be removed'
            USING ERRCODE = 'check_violation', HINT = 'retire or revoke it';
    END IF;
    IF (NEW.key_id, NEW.version, NEW.kid, NEW.algorithm, NEW.public_key)
        IS DISTINCT FROM (OLD.key_id, OLD.version, OLD.kid, OLD.algorithm, OLD.public_key) THEN
        RAISE EXCEPTION 'version % of key % cannot become another key', OLD.version, OLD.key_id
            USING ERRCODE = 'check_violation', HINT = 'add a new version instead';
    END IF;
    IF array_position(path, NEW.state) < array_position(path, OLD.state) THEN
        RAISE EXCEPTION 'version % of key % is %, it cannot become % again', OLD.version, OLD.key_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', HINT = 'add a new version instead';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION security.signing_key_version_moves_forward() IS
    'Refuses a key version that changes its identity or goes back to an earlier state, and to remove one that has been in use.';

CREATE TRIGGER moves_forward BEFORE UPDATE OR DELETE ON security.signing_key_versions
    FOR EACH ROW EXECUTE FUNCTION security.signing_key_version_moves_forward();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON security.signing_key_versions
    FOR EACH STATEMENT EXECUTE FUNCTION security.signing_key_version_moves_forward();

CREATE FUNCTION security.signing_key_has_one_current() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    touched CONSTANT text := NEW.key_id;
BEGIN
    -- A key that only verifies (imported), or whose first version is still standby, has none yet.
    IF EXISTS (
        SELECT FROM security.signing_key_versions
        WHERE key_id = touched AND state <> 'standby' AND sealed_private_key IS NOT NULL
    ) AND NOT EXISTS (
        SELECT FROM security.signing_key_versions WHERE key_id = touched AND is_current
    ) THEN
        RAISE EXCEPTION 'key % would have no current version: nothing could be signed', touched
            USING ERRCODE = 'check_violation',
                  CONSTRAINT = 'signing_key_has_one_current',
                  HINT = 'make another version current in the same transaction';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION security.signing_key_has_one_current() IS
    'Together with the unique index: exactly one version of a key that has signed is current when a transaction commits.';

CREATE CONSTRAINT TRIGGER has_one_current
    AFTER INSERT OR UPDATE ON security.signing_key_versions
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION security.signing_key_has_one_current();

-- The only way in which a service reads sealed private halves: those that sign now or may next.
CREATE VIEW security.signing_material WITH (security_barrier) AS
    SELECT key_id, version, kid, state, algorithm, public_key, sealed_private_key, sealing_nonce, kek_id
    FROM security.signing_key_versions
    WHERE state IN ('standby', 'current') AND sealed_private_key IS NOT NULL;

COMMENT ON VIEW security.signing_material IS
    'Sealed private halves of the versions that sign now (current) or may next (standby).';
COMMENT ON COLUMN security.signing_material.key_id IS 'The logical key.';
COMMENT ON COLUMN security.signing_material.version IS 'Version within the logical key.';
COMMENT ON COLUMN security.signing_material.kid IS 'Key id in the header of tokens.';
COMMENT ON COLUMN security.signing_material.state IS 'current or standby.';
COMMENT ON COLUMN security.signing_material.algorithm IS 'EdDSA (Ed25519) or ES256.';
COMMENT ON COLUMN security.signing_material.public_key IS 'The public half as a JWK, to be checked against the private one.';
COMMENT ON COLUMN security.signing_material.sealed_private_key IS 'The private half, sealed.';
COMMENT ON COLUMN security.signing_material.sealing_nonce IS 'Nonce of the sealing.';
COMMENT ON COLUMN security.signing_material.kek_id IS 'Which key-encryption key opens it.';
