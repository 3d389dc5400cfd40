-- The journal in Postgres, version 1. Everything is qualified; nothing here belongs to the
-- migrations of the service.
--
-- dbctl checks all of this itself, in the same transaction as each write. The triggers are for
-- whoever goes past dbctl with SQL: they may write only in their own name, at the end of a chain
-- whose lease they hold. Only the owner of the schema could take the triggers away, and then the
-- chain shows what was changed.

CREATE SCHEMA dbctl_journal;

CREATE TABLE dbctl_journal.version (version integer NOT NULL);
INSERT INTO dbctl_journal.version VALUES (1);

CREATE TABLE dbctl_journal.runs (
    run       text PRIMARY KEY CHECK (run ~ '^[0-9a-f]{6}$'),
    name      text NOT NULL,
    opened_ms bigint NOT NULL,
    place     bigint GENERATED ALWAYS AS IDENTITY,
    closed    boolean NOT NULL DEFAULT false,
    role      text NOT NULL
);
CREATE UNIQUE INDEX one_open_run ON dbctl_journal.runs (closed) WHERE NOT closed;

CREATE TABLE dbctl_journal.leases (
    run     text PRIMARY KEY REFERENCES dbctl_journal.runs (run),
    holder  text NOT NULL,
    role    text NOT NULL,
    token   bigint NOT NULL,
    expires timestamptz NOT NULL
);

CREATE TABLE dbctl_journal.events (
    run     text NOT NULL REFERENCES dbctl_journal.runs (run),
    seq     bigint NOT NULL,
    body    text NOT NULL,
    prev    bytea NOT NULL CHECK (length(prev) = 32),
    hash    bytea NOT NULL CHECK (length(hash) = 32),
    -- The authenticated role, whatever the body says.
    role    text NOT NULL,
    written timestamptz NOT NULL,
    -- Written without the journal (--break-glass) and brought in by that role afterwards.
    spooled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run, seq)
);

CREATE TABLE dbctl_journal.requests (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run     text NOT NULL REFERENCES dbctl_journal.runs (run),
    kind    text NOT NULL,
    by_whom text NOT NULL,
    claim   text,
    detail  text NOT NULL,
    role    text NOT NULL,
    made    timestamptz NOT NULL,
    answer  text
);

CREATE FUNCTION dbctl_journal.refuse(why text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DBC01', MESSAGE = why;
END $$;

CREATE FUNCTION dbctl_journal.never() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM dbctl_journal.refuse('the journal is append-only');
    RETURN NULL;
END $$;

CREATE TRIGGER never BEFORE UPDATE OR DELETE OR TRUNCATE ON dbctl_journal.events
    FOR EACH STATEMENT EXECUTE FUNCTION dbctl_journal.never();
CREATE TRIGGER never BEFORE DELETE OR TRUNCATE ON dbctl_journal.runs
    FOR EACH STATEMENT EXECUTE FUNCTION dbctl_journal.never();
CREATE TRIGGER never BEFORE DELETE OR TRUNCATE ON dbctl_journal.leases
    FOR EACH STATEMENT EXECUTE FUNCTION dbctl_journal.never();
CREATE TRIGGER never BEFORE DELETE OR TRUNCATE ON dbctl_journal.requests
    FOR EACH STATEMENT EXECUTE FUNCTION dbctl_journal.never();

CREATE FUNCTION dbctl_journal.check_run() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.role := session_user;
        RETURN NEW;
    END IF;
    IF (NEW.run, NEW.name, NEW.opened_ms, NEW.place, NEW.role)
       IS DISTINCT FROM (OLD.run, OLD.name, OLD.opened_ms, OLD.place, OLD.role) THEN
        PERFORM dbctl_journal.refuse('of a run only its end can change');
    END IF;
    IF NOT EXISTS (SELECT FROM dbctl_journal.leases l
                    WHERE l.run = NEW.run AND l.role = session_user) THEN
        PERFORM dbctl_journal.refuse('the lease of the run is not held by ' || session_user);
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER check_run BEFORE INSERT OR UPDATE ON dbctl_journal.runs
    FOR EACH ROW EXECUTE FUNCTION dbctl_journal.check_run();

CREATE FUNCTION dbctl_journal.check_lease() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.run <> OLD.run THEN
            PERFORM dbctl_journal.refuse('a lease stays with its run');
        END IF;
        IF NEW.token = OLD.token THEN
            -- Renewed or given back.
            IF (NEW.holder, NEW.role) IS DISTINCT FROM (OLD.holder, OLD.role)
               OR OLD.role <> session_user THEN
                PERFORM dbctl_journal.refuse('the lease is held by ' || OLD.holder);
            END IF;
            RETURN NEW;
        END IF;
        IF NEW.token <> OLD.token + 1 THEN
            PERFORM dbctl_journal.refuse('a token rises by one');
        END IF;
    END IF;
    NEW.role := session_user;
    IF NOT starts_with(NEW.holder, session_user || '@') THEN
        PERFORM dbctl_journal.refuse('a lease in the name of another than ' || session_user);
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER check_lease BEFORE INSERT OR UPDATE ON dbctl_journal.leases
    FOR EACH ROW EXECUTE FUNCTION dbctl_journal.check_lease();

CREATE FUNCTION dbctl_journal.check_request() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.role := session_user;
        NEW.made := clock_timestamp();
        IF NEW.by_whom <> session_user THEN
            PERFORM dbctl_journal.refuse('a request in the name of another than ' || session_user);
        END IF;
        IF NEW.answer IS NOT NULL THEN
            PERFORM dbctl_journal.refuse('a request is answered later');
        END IF;
        -- Read below, when it is granted; what cannot be read must not come so far.
        IF NEW.kind IN ('approve', 'answer') AND NEW.detail::json ->> 'plan' IS NULL THEN
            PERFORM dbctl_journal.refuse('an approval names a plan');
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.answer IS NOT NULL
       OR (NEW.id, NEW.run, NEW.kind, NEW.by_whom, NEW.claim, NEW.detail, NEW.role, NEW.made)
          IS DISTINCT FROM
          (OLD.id, OLD.run, OLD.kind, OLD.by_whom, OLD.claim, OLD.detail, OLD.role, OLD.made) THEN
        PERFORM dbctl_journal.refuse('a request is answered once, and nothing else of it changes');
    END IF;
    IF OLD.role <> session_user
       AND NOT EXISTS (SELECT FROM dbctl_journal.leases l
                        WHERE l.run = OLD.run AND l.role = session_user) THEN
        PERFORM dbctl_journal.refuse('a request is answered by whoever drives, or taken back by '
                                     || OLD.role);
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER check_request BEFORE INSERT OR UPDATE ON dbctl_journal.requests
    FOR EACH ROW EXECUTE FUNCTION dbctl_journal.check_request();

-- Whether a request of that role that nobody answered yet is what the event says.
CREATE FUNCTION dbctl_journal.was_asked(of_run text, event json) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM dbctl_journal.requests r
         WHERE r.run = of_run AND r.role = event ->> 'by' AND r.answer IS NULL
           AND CASE event ->> 'type'
                   WHEN 'approved' THEN r.kind = 'approve'
                       AND CASE WHEN r.kind = 'approve'
                               THEN r.detail::json ->> 'phase' = event ->> 'phase'
                                AND r.detail::json ->> 'plan' = event ->> 'plan' END
                   WHEN 'note' THEN r.kind = 'note' AND r.detail = event ->> 'text'
                   WHEN 'aborted' THEN r.kind = 'abort' AND r.detail = event ->> 'why'
                   WHEN 'resumed' THEN r.kind = 'resume'
                   WHEN 'agreed' THEN r.kind = 'answer'
                       AND CASE WHEN r.kind = 'answer'
                               THEN r.detail::json ->> 'said' = 'yes'
                                AND (r.detail::json -> 'step')::jsonb = (event -> 'step')::jsonb
                                AND r.detail::json ->> 'attempt' = event ->> 'attempt' END
                   -- Only in one's own name.
                   WHEN 'started' THEN false
                   WHEN 'driven' THEN false
                   WHEN 'waived' THEN false
                   WHEN 'replanned' THEN false
                   ELSE true
               END)
$$;

CREATE FUNCTION dbctl_journal.check_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held      dbctl_journal.leases;
    last_seq  bigint;
    last_hash bytea;
    body      json;
    event     json;
    by_whom   text;
BEGIN
    NEW.role := session_user;
    NEW.written := clock_timestamp();
    -- Whoever writes waits here for whoever writes now.
    SELECT * INTO held FROM dbctl_journal.leases l WHERE l.run = NEW.run FOR UPDATE;
    IF held.role IS DISTINCT FROM session_user::text THEN
        PERFORM dbctl_journal.refuse('the lease of the run is not held by ' || session_user);
    END IF;
    SELECT e.seq, e.hash INTO last_seq, last_hash FROM dbctl_journal.events e
     WHERE e.run = NEW.run ORDER BY e.seq DESC LIMIT 1;
    IF NEW.seq <> coalesce(last_seq, 0) + 1
       OR NEW.prev <> coalesce(last_hash, decode(repeat('00', 32), 'hex'))
       OR NEW.hash <> sha256(convert_to('dbctl/journal/v1', 'UTF8') || '\x00'::bytea
                             || int8send(NEW.seq) || NEW.prev
                             || sha256(convert_to(NEW.body, 'UTF8'))) THEN
        PERFORM dbctl_journal.refuse('it does not continue the chain');
    END IF;
    -- Postgres cannot read this character; nothing that is compared below may hold it.
    body := replace(NEW.body, '\u0000', '\ufffd')::json;
    event := body -> 'event';
    IF body ->> 'run' IS DISTINCT FROM NEW.run OR body ->> 'seq' IS DISTINCT FROM NEW.seq::text THEN
        PERFORM dbctl_journal.refuse('it belongs to another place in the journal');
    END IF;
    by_whom := CASE WHEN event ->> 'type' <> 'paused' THEN event ->> 'by' END;
    IF NEW.spooled THEN
        IF (body ->> 'token')::bigint > held.token
           OR event ->> 'type' IN ('started', 'approved', 'agreed', 'waived', 'replanned')
           OR by_whom NOT LIKE '% (break-glass)' THEN
            PERFORM dbctl_journal.refuse('that cannot have been done without the journal');
        END IF;
        RETURN NEW;
    END IF;
    IF (body ->> 'token')::bigint IS DISTINCT FROM held.token
       OR NOT starts_with(coalesce(body ->> 'holder', ''), session_user || '@') THEN
        PERFORM dbctl_journal.refuse('it names another holder or token than the lease');
    END IF;
    IF by_whom <> session_user AND NOT dbctl_journal.was_asked(NEW.run, event) THEN
        PERFORM dbctl_journal.refuse('an event in the name of ' || by_whom || ', written by '
                                     || session_user || ' and not asked for by ' || by_whom);
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER check_event BEFORE INSERT ON dbctl_journal.events
    FOR EACH ROW EXECUTE FUNCTION dbctl_journal.check_event();

-- What an operator's role needs. The owner of the schema calls it once for each of them:
-- SELECT dbctl_journal.admit('kim');
CREATE FUNCTION dbctl_journal.admit(who regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA dbctl_journal TO %s', who);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA dbctl_journal TO %s', who);
    EXECUTE format('GRANT INSERT ON dbctl_journal.runs, dbctl_journal.leases,'
                   ' dbctl_journal.events, dbctl_journal.requests TO %s', who);
    EXECUTE format('GRANT UPDATE (closed) ON dbctl_journal.runs TO %s', who);
    EXECUTE format('GRANT UPDATE (holder, token, expires) ON dbctl_journal.leases TO %s', who);
    EXECUTE format('GRANT UPDATE (answer) ON dbctl_journal.requests TO %s', who);
END $$;
