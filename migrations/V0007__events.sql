CREATE TABLE security.events (
    event_id   uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    request_id text        NOT NULL,
    instance   text        NOT NULL,
    kind       text        NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_.-]*$'),
    subject_id text,
    kid        text,
    detail     jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object')
);

COMMENT ON TABLE security.events IS
    'What happened to the security state: tokens issued, tokens and sessions revoked, keys rotated, nonces reserved. Only added to.';
COMMENT ON COLUMN security.events.event_id IS 'The event.';
COMMENT ON COLUMN security.events.created_at IS 'When it happened.';
COMMENT ON COLUMN security.events.request_id IS 'The request that caused it, as in x-request-id.';
COMMENT ON COLUMN security.events.instance IS 'The instance of the service, or dbctl.';
COMMENT ON COLUMN security.events.kind IS 'What happened, such as token.issued, token.revoked, key.rotated, nonce.reserved.';
COMMENT ON COLUMN security.events.subject_id IS 'What it happened to: a token, session, key or node; null when there is no one thing.';
COMMENT ON COLUMN security.events.kid IS 'The key version that took part; null when none did.';
COMMENT ON COLUMN security.events.detail IS 'More about it, never a secret.';

CREATE INDEX events_created_at ON security.events (created_at DESC);
CREATE INDEX events_request_id ON security.events (request_id);
