CREATE TABLE security.revoked_tokens (
    token_id   text        PRIMARY KEY CHECK (token_id <> ''),
    revoked_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    reason     text,
    revoked_by text,
    request_id text
);

COMMENT ON TABLE security.revoked_tokens IS
    'Tokens that must be denied although they have not expired. Add with ON CONFLICT DO NOTHING: revoking twice is a success. A row may go only after expires_at.';
COMMENT ON COLUMN security.revoked_tokens.token_id IS 'The token''s jti.';
COMMENT ON COLUMN security.revoked_tokens.revoked_at IS 'When it was revoked.';
COMMENT ON COLUMN security.revoked_tokens.expires_at IS
    'When the token expires by itself; never made earlier.';
COMMENT ON COLUMN security.revoked_tokens.reason IS 'Why, in words for people; null when nobody said.';
COMMENT ON COLUMN security.revoked_tokens.revoked_by IS 'Who asked for it; null when unknown.';
COMMENT ON COLUMN security.revoked_tokens.request_id IS 'The request that revoked it; null when it was carried over.';

CREATE INDEX revoked_tokens_revoked_at ON security.revoked_tokens (revoked_at DESC);
-- For the purge, which goes from the oldest on in small batches.
CREATE INDEX revoked_tokens_expires_at ON security.revoked_tokens (expires_at);

CREATE TABLE security.revoked_sessions (
    session_id text        PRIMARY KEY CHECK (session_id <> ''),
    revoked_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    reason     text,
    revoked_by text,
    request_id text
);

COMMENT ON TABLE security.revoked_sessions IS
    'Sessions all of whose tokens must be denied. The rules are those of revoked_tokens.';
COMMENT ON COLUMN security.revoked_sessions.session_id IS 'The session, as named in its tokens.';
COMMENT ON COLUMN security.revoked_sessions.revoked_at IS 'When it was revoked.';
COMMENT ON COLUMN security.revoked_sessions.expires_at IS
    'When the last token of the session has expired by itself; never made earlier.';
COMMENT ON COLUMN security.revoked_sessions.reason IS 'Why, in words for people; null when nobody said.';
COMMENT ON COLUMN security.revoked_sessions.revoked_by IS 'Who asked for it; null when unknown.';
COMMENT ON COLUMN security.revoked_sessions.request_id IS 'The request that revoked it; null when it was carried over.';

CREATE INDEX revoked_sessions_revoked_at ON security.revoked_sessions (revoked_at DESC);
CREATE INDEX revoked_sessions_expires_at ON security.revoked_sessions (expires_at);

-- Nothing revoked comes back to life: not by a shorter expiry, another id, or a hasty clean-up.
CREATE FUNCTION security.revocation_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    CASE TG_OP
        WHEN 'UPDATE' THEN
            IF NEW.expires_at < OLD.expires_at
                OR to_jsonb(NEW) - 'expires_at' IS DISTINCT FROM to_jsonb(OLD) - 'expires_at' THEN
                RAISE EXCEPTION 'a revocation can only be extended (%)', TG_TABLE_NAME
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        WHEN 'DELETE' THEN
            IF OLD.expires_at >= now() THEN
                RAISE EXCEPTION 'a revocation stays until its token has expired (%)', TG_TABLE_NAME
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
    'Refuses to shorten or change a revocation, to delete it before it has expired, and to truncate.';

CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON security.revoked_tokens
    FOR EACH ROW EXECUTE FUNCTION security.revocation_stays();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON security.revoked_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION security.revocation_stays();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON security.revoked_sessions
    FOR EACH ROW EXECUTE FUNCTION security.revocation_stays();
CREATE TRIGGER stays_whole BEFORE TRUNCATE ON security.revoked_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION security.revocation_stays();
