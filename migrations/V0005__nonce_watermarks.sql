-- Absolute tops, never block numbers: the window size may change freely.
CREATE TABLE security.nonce_watermarks (
    node_name     text        NOT NULL CHECK (node_name <> ''),
    nonce_scope   text        NOT NULL CHECK (nonce_scope <> ''),
    reserved_high bigint      NOT NULL CHECK (reserved_high >= 0),
    window_size   bigint      NOT NULL CHECK (window_size > 0),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_name, nonce_scope)
);

COMMENT ON TABLE security.nonce_watermarks IS
    'How far nonces are reserved, per node and scope. Reserve first, commit, use afterwards; a reservation whose commit was not acknowledged is burnt. Never goes down and never goes away.';
COMMENT ON COLUMN security.nonce_watermarks.node_name IS 'The node that uses the nonces.';
COMMENT ON COLUMN security.nonce_watermarks.nonce_scope IS 'What the nonces are for.';
COMMENT ON COLUMN security.nonce_watermarks.reserved_high IS
    'Every nonce below it may have been used; the next reservation starts here.';
COMMENT ON COLUMN security.nonce_watermarks.window_size IS 'How many nonces the last reservation took.';
COMMENT ON COLUMN security.nonce_watermarks.updated_at IS 'When the database last changed it.';

CREATE INDEX nonce_watermarks_updated_at ON security.nonce_watermarks (updated_at DESC);

CREATE FUNCTION security.nonce_watermark_never_falls() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'a nonce watermark cannot be removed: nonces would be used twice'
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.node_name, NEW.nonce_scope) IS DISTINCT FROM (OLD.node_name, OLD.nonce_scope) THEN
        RAISE EXCEPTION 'the nonce watermark of node % and scope % cannot be renamed', OLD.node_name, OLD.nonce_scope
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.reserved_high < OLD.reserved_high THEN
        RAISE EXCEPTION 'the nonce watermark of node % and scope % cannot go down from % to %',
            OLD.node_name, OLD.nonce_scope, OLD.reserved_high, NEW.reserved_high
            USING ERRCODE = 'check_violation',
                  HINT = 'nonces up to the watermark may have been used';
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION security.nonce_watermark_never_falls() IS
    'Refuses to lower, rename or remove a watermark; stamps updated_at.';

CREATE TRIGGER never_falls BEFORE UPDATE OR DELETE ON security.nonce_watermarks
    FOR EACH ROW EXECUTE FUNCTION security.nonce_watermark_never_falls();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON security.nonce_watermarks
    FOR EACH STATEMENT EXECUTE FUNCTION security.nonce_watermark_never_falls();
