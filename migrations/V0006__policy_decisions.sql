CREATE TABLE authz.policy_decisions (
    decision_id uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    request_id  text        NOT NULL,
    subject     text        NOT NULL,
    action      text        NOT NULL,
    resource    text,
    allow       boolean     NOT NULL,
    reason_code text        NOT NULL CHECK (reason_code <> ''),
    kid         text,
    token_id    text,
    session_id  text,
    instance    text        NOT NULL,
    PRIMARY KEY (created_at, decision_id)
) PARTITION BY RANGE (created_at);

COMMENT ON TABLE authz.policy_decisions IS
    'Every decision to allow or deny a request, and why. Partitioned by month (UTC); what has no month yet goes to the default partition, so that nothing is lost.';
COMMENT ON COLUMN authz.policy_decisions.decision_id IS 'The decision.';
COMMENT ON COLUMN authz.policy_decisions.created_at IS 'When it was decided.';
COMMENT ON COLUMN authz.policy_decisions.request_id IS 'The request, as in x-request-id.';
COMMENT ON COLUMN authz.policy_decisions.subject IS 'Who wanted it; empty when the token did not say.';
COMMENT ON COLUMN authz.policy_decisions.action IS 'What was wanted.';
COMMENT ON COLUMN authz.policy_decisions.resource IS 'On what; null when the action has no object.';
COMMENT ON COLUMN authz.policy_decisions.allow IS 'Whether it was allowed.';
COMMENT ON COLUMN authz.policy_decisions.reason_code IS 'Why, as a word of the service contract: ok, revoked_token, expired.';
COMMENT ON COLUMN authz.policy_decisions.kid IS 'The key version that the token was verified with; null when it did not come to that.';
COMMENT ON COLUMN authz.policy_decisions.token_id IS 'The token''s jti; null when the token could not be read.';
COMMENT ON COLUMN authz.policy_decisions.session_id IS 'The token''s session; null when the token could not be read.';
COMMENT ON COLUMN authz.policy_decisions.instance IS 'The instance of the service that decided.';

-- The newest ones without sorting, one request, one subject: on every partition.
CREATE INDEX policy_decisions_created_at ON authz.policy_decisions (created_at DESC);
CREATE INDEX policy_decisions_request_id ON authz.policy_decisions (request_id);
CREATE INDEX policy_decisions_subject ON authz.policy_decisions (subject, created_at DESC);

CREATE TABLE authz.policy_decisions_default
    (LIKE authz.policy_decisions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS);
ALTER TABLE authz.policy_decisions ATTACH PARTITION authz.policy_decisions_default DEFAULT;
COMMENT ON TABLE authz.policy_decisions_default IS
    'Decisions of months that have no partition of their own (yet).';

CREATE FUNCTION authz.ensure_policy_decision_partitions(months_ahead integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    month timestamp;
    partition text;
    since timestamptz;
    until timestamptz;
    made integer := 0;
BEGIN
    IF months_ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'months_ahead is between 0 and 24, not %', months_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Several instances may start at once; the second one finds the work done.
    PERFORM pg_advisory_xact_lock(hashtextextended('authz.ensure_policy_decision_partitions', 0));
    FOR month IN SELECT generate_series(this_month, this_month + make_interval(months => months_ahead), '1 month') LOOP
        partition := to_char(month, '"policy_decisions_"YYYY_MM');
        CONTINUE WHEN to_regclass('authz.' || partition) IS NOT NULL;
        since := month AT TIME ZONE 'UTC';
        until := (month + interval '1 month') AT TIME ZONE 'UTC';
        EXECUTE format(
            'CREATE TABLE authz.%I (LIKE authz.policy_decisions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)',
            partition);
        EXECUTE format('COMMENT ON TABLE authz.%I IS %L', partition,
            to_char(month, '"Decisions of "YYYY-MM", UTC."'));
        -- Rows of that month that came before its partition did: nobody may add one in between.
        LOCK TABLE authz.policy_decisions_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format(
            'WITH moved AS (DELETE FROM authz.policy_decisions_default WHERE created_at >= $1 AND created_at < $2 RETURNING *) INSERT INTO authz.%I SELECT * FROM moved',
            partition) USING since, until;
        EXECUTE format('ALTER TABLE authz.policy_decisions ATTACH PARTITION authz.%I FOR VALUES FROM (%L) TO (%L)',
            partition, since, until);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION authz.ensure_policy_decision_partitions(integer) IS
    'Makes the monthly partitions from this month to so many months ahead; says how many were new. To be called now and then, such as at the start of a service.';

SELECT authz.ensure_policy_decision_partitions();
