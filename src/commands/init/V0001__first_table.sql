-- A first example; make it your own before anybody applies it.
-- One change per file. dbctl runs it in a transaction and gives up when it has to wait for a lock.
CREATE SCHEMA app;

CREATE TABLE app.accounts (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE app.accounts IS 'Who may use the service.';
