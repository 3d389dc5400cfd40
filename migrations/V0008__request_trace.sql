-- Why was this request allowed or denied?
--   SELECT * FROM authz.request_trace WHERE request_id = '…' ORDER BY created_at;
CREATE VIEW authz.request_trace AS
    SELECT d.request_id,
           d.created_at,
           'decision'::text AS kind,
           d.instance,
           d.subject,
           d.action,
           d.resource,
           d.allow,
           d.reason_code,
           d.kid,
           v.key_id,
           v.version AS key_version,
           v.state AS key_state,
           d.token_id,
           t.revoked_at AS token_revoked_at,
           d.session_id,
           s.revoked_at AS session_revoked_at,
           NULL::jsonb AS detail
    FROM authz.policy_decisions d
    LEFT JOIN security.signing_key_versions v ON v.kid = d.kid
    LEFT JOIN security.revoked_tokens t ON t.token_id = d.token_id
    LEFT JOIN security.revoked_sessions s ON s.session_id = d.session_id
UNION ALL
    SELECT e.request_id,
           e.created_at,
           e.kind,
           e.instance,
           e.subject_id,
           NULL, NULL, NULL, NULL,
           e.kid,
           v.key_id,
           v.version,
           v.state,
           NULL, NULL, NULL, NULL,
           e.detail
    FROM security.events e
    LEFT JOIN security.signing_key_versions v ON v.kid = e.kid;

COMMENT ON VIEW authz.request_trace IS
    'Decisions and events of a request with the key version that was used and what was revoked: why it was allowed or denied.';
COMMENT ON COLUMN authz.request_trace.request_id IS 'The request, as in x-request-id.';
COMMENT ON COLUMN authz.request_trace.created_at IS 'When it was decided or happened.';
COMMENT ON COLUMN authz.request_trace.kind IS 'decision, or the kind of event.';
COMMENT ON COLUMN authz.request_trace.instance IS 'The instance of the service.';
COMMENT ON COLUMN authz.request_trace.subject IS 'Who wanted it, or what it happened to.';
COMMENT ON COLUMN authz.request_trace.action IS 'What was wanted (decisions).';
COMMENT ON COLUMN authz.request_trace.resource IS 'On what (decisions).';
COMMENT ON COLUMN authz.request_trace.allow IS 'Whether it was allowed (decisions).';
COMMENT ON COLUMN authz.request_trace.reason_code IS 'Why (decisions).';
COMMENT ON COLUMN authz.request_trace.kid IS 'The key version by its key id.';
COMMENT ON COLUMN authz.request_trace.key_id IS 'The logical key; null when the kid is unknown here.';
COMMENT ON COLUMN authz.request_trace.key_version IS 'The version of the logical key.';
COMMENT ON COLUMN authz.request_trace.key_state IS 'Its state now.';
COMMENT ON COLUMN authz.request_trace.token_id IS 'The token''s jti (decisions).';
COMMENT ON COLUMN authz.request_trace.token_revoked_at IS 'When the token was revoked; null when it is not.';
COMMENT ON COLUMN authz.request_trace.session_id IS 'The session (decisions).';
COMMENT ON COLUMN authz.request_trace.session_revoked_at IS 'When the session was revoked; null when it is not.';
COMMENT ON COLUMN authz.request_trace.detail IS 'More about it (events).';
