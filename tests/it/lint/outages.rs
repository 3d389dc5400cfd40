//! Classic outages, each as a pair: the dangerous form and its safe one.

/// One outage.
pub struct Outage {
    /// The rule that finds the dangerous form.
    pub rule: &'static str,
    /// Where, as people count.
    pub line: usize,
    pub column: usize,
    /// Whether the dangerous form runs in a transaction, and the safe one.
    pub transaction: [bool; 2],
    pub dangerous: &'static str,
    /// Several files where the way around is to do it in steps.
    pub safe: &'static [&'static str],
}

/// In a transaction.
const TX: [bool; 2] = [true, true];
/// The safe form runs without one.
const OUT: [bool; 2] = [true, false];
/// Neither has one.
const NO: [bool; 2] = [false, false];

const fn outage(
    rule: &'static str,
    (line, column): (usize, usize),
    transaction: [bool; 2],
    dangerous: &'static str,
    safe: &'static [&'static str],
) -> Outage {
    Outage {
        rule,
        line,
        column,
        transaction,
        dangerous,
        safe,
    }
}

pub const OUTAGES: &[Outage] = &[
    outage(
        "require-concurrent-index-creation",
        (2, 1),
        OUT,
        "-- for the new report\nCREATE INDEX orders_day ON orders (day);",
        &["CREATE INDEX CONCURRENTLY orders_day ON orders (day);"],
    ),
    outage(
        "require-concurrent-index-creation",
        (1, 1),
        OUT,
        "CREATE UNIQUE INDEX orders_number ON shop.orders (number);",
        &["CREATE UNIQUE INDEX CONCURRENTLY orders_number ON shop.orders (number);"],
    ),
    outage(
        "require-concurrent-index-deletion",
        (1, 1),
        OUT,
        "DROP INDEX orders_day;",
        &["DROP INDEX CONCURRENTLY orders_day;"],
    ),
    outage(
        "require-concurrent-reindex",
        (1, 1),
        OUT,
        "REINDEX INDEX orders_day;",
        &["REINDEX INDEX CONCURRENTLY orders_day;"],
    ),
    outage(
        "ban-concurrent-index-creation-in-transaction",
        (1, 14),
        OUT,
        "CREATE INDEX CONCURRENTLY orders_day ON orders (day);",
        &["CREATE INDEX CONCURRENTLY orders_day ON orders (day);"],
    ),
    outage(
        "concurrently-if-not-exists",
        (1, 1),
        NO,
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_day ON shop.orders (day);",
        &["DROP INDEX CONCURRENTLY IF EXISTS shop.orders_day;\n\
             CREATE INDEX CONCURRENTLY orders_day ON shop.orders (day);"],
    ),
    outage(
        "concurrently-with-others",
        (2, 1),
        NO,
        "ALTER TABLE orders ADD COLUMN day date;\nCREATE INDEX CONCURRENTLY orders_day ON orders (day);",
        &[
            "ALTER TABLE orders ADD COLUMN day date;",
            "CREATE INDEX CONCURRENTLY orders_day ON orders (day);",
        ],
    ),
    outage(
        "constraint-missing-not-valid",
        (1, 20),
        TX,
        "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total >= 0);",
        &[
            "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total >= 0) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT paid;",
        ],
    ),
    outage(
        "constraint-missing-not-valid",
        (2, 20),
        TX,
        "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total >= 0) NOT VALID;\n\
         ALTER TABLE orders VALIDATE CONSTRAINT paid;",
        &[
            "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total >= 0) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT paid;",
        ],
    ),
    outage(
        "constraint-missing-not-valid",
        (1, 21),
        TX,
        "ALTER TABLE booking ADD CONSTRAINT one_guest EXCLUDE USING gist (room WITH =, during WITH &&);",
        &["CREATE TABLE booking (room bigint, during tstzrange);\n\
           ALTER TABLE booking ADD CONSTRAINT one_guest EXCLUDE USING gist (room WITH =, during WITH &&);"],
    ),
    outage(
        "adding-foreign-key-constraint",
        (1, 24),
        TX,
        "ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer_id) REFERENCES customers (id);",
        &[
            "ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT customer;",
        ],
    ),
    outage(
        "adding-foreign-key-constraint",
        (1, 50),
        TX,
        "ALTER TABLE orders ADD COLUMN customer_id bigint REFERENCES customers (id);",
        &["ALTER TABLE orders ADD COLUMN customer_id bigint;"],
    ),
    outage(
        "disallowed-unique-constraint",
        (1, 24),
        TX,
        "ALTER TABLE orders ADD CONSTRAINT number_once UNIQUE (number);",
        &["ALTER TABLE orders ADD CONSTRAINT number_once UNIQUE USING INDEX number_once;"],
    ),
    outage(
        "adding-serial-primary-key-field",
        (1, 24),
        TX,
        "ALTER TABLE orders ADD CONSTRAINT orders_key PRIMARY KEY (id);",
        &["ALTER TABLE orders ADD CONSTRAINT orders_key PRIMARY KEY USING INDEX orders_key;"],
    ),
    outage(
        "adding-not-nullable-field",
        (1, 37),
        TX,
        "ALTER TABLE orders ALTER COLUMN day SET NOT NULL;",
        &[
            "ALTER TABLE orders ADD CONSTRAINT has_day CHECK (day IS NOT NULL) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT has_day;\n\
             ALTER TABLE orders ALTER COLUMN day SET NOT NULL;\n\
             ALTER TABLE orders DROP CONSTRAINT has_day;",
        ],
    ),
    outage(
        "adding-required-field",
        (1, 20),
        TX,
        "ALTER TABLE orders ADD COLUMN currency text NOT NULL;",
        &["ALTER TABLE orders ADD COLUMN currency text NOT NULL DEFAULT 'EUR';"],
    ),
    outage(
        "adding-field-with-default",
        (1, 50),
        TX,
        "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();",
        &["ALTER TABLE orders ADD COLUMN token uuid;\n\
             ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid();"],
    ),
    outage(
        "adding-field-with-default",
        (1, 45),
        TX,
        "ALTER TABLE orders ADD COLUMN gross numeric GENERATED ALWAYS AS (net * 1.2) STORED;",
        &["ALTER TABLE orders ADD COLUMN seen_at timestamptz DEFAULT timezone('utc', now());"],
    ),
    outage(
        "adding-serial-column",
        (1, 20),
        TX,
        "ALTER TABLE orders ADD COLUMN position bigserial;",
        &["ALTER TABLE orders ADD COLUMN position bigint;"],
    ),
    outage(
        "changing-column-type",
        (1, 40),
        TX,
        "ALTER TABLE orders ALTER COLUMN number TYPE bigint;",
        &["ALTER TABLE orders ADD COLUMN number_wide bigint;"],
    ),
    outage(
        "rewrites-table",
        (1, 20),
        TX,
        "ALTER TABLE orders SET UNLOGGED;",
        &["CREATE UNLOGGED TABLE orders_staging (id bigint);"],
    ),
    outage(
        "rewrites-table",
        (1, 1),
        NO,
        "VACUUM (FULL, ANALYZE) orders;",
        &["VACUUM (ANALYZE) orders;"],
    ),
    outage(
        "rewrites-table",
        (1, 1),
        TX,
        "CLUSTER orders USING orders_day;",
        &["ALTER TABLE orders CLUSTER ON orders_day;"],
    ),
    outage(
        "renaming-column",
        (1, 20),
        TX,
        "ALTER TABLE orders RENAME COLUMN day TO ordered_on;",
        &["ALTER TABLE orders ADD COLUMN ordered_on date;"],
    ),
    outage(
        "renaming-table",
        (1, 20),
        TX,
        "ALTER TABLE orders RENAME TO purchases;",
        &["CREATE VIEW purchases AS SELECT * FROM orders;"],
    ),
    outage(
        "renaming-object",
        (1, 18),
        TX,
        "ALTER TYPE state RENAME VALUE 'open' TO 'new';",
        &["ALTER TYPE state ADD VALUE 'new' BEFORE 'open';"],
    ),
    outage(
        "ban-drop-column",
        (1, 20),
        TX,
        "ALTER TABLE orders DROP COLUMN day;",
        &["ALTER TABLE orders ALTER COLUMN day SET DEFAULT NULL;"],
    ),
    outage(
        "ban-drop-table",
        (1, 1),
        TX,
        "DROP TABLE orders;",
        &["CREATE TABLE scratch (id bigint);\nDROP TABLE scratch;"],
    ),
    outage(
        "ban-truncate-cascade",
        (1, 17),
        TX,
        "TRUNCATE orders CASCADE;",
        &["CREATE TABLE scratch (id bigint);\nTRUNCATE scratch;"],
    ),
    outage(
        "truncate-table",
        (1, 1),
        TX,
        "TRUNCATE TABLE orders;",
        &["DELETE FROM orders WHERE day < '2020-01-01';"],
    ),
    outage(
        "drop-cascade",
        (1, 29),
        TX,
        "DROP TRIGGER seen ON orders CASCADE;",
        &["DROP TRIGGER seen ON orders;"],
    ),
    outage(
        "delete-without-where",
        (2, 1),
        TX,
        "-- clean up\nDELETE FROM sessions;",
        &["DELETE FROM sessions WHERE expires_at < now() - interval '1 day';"],
    ),
    outage(
        "delete-without-where",
        (1, 15),
        TX,
        "WITH gone AS (DELETE FROM sessions RETURNING *) INSERT INTO old SELECT * FROM gone;",
        &[
            "WITH gone AS (DELETE FROM sessions WHERE over RETURNING *) INSERT INTO old SELECT * FROM gone;",
        ],
    ),
    outage(
        "update-without-where",
        (1, 1),
        TX,
        "UPDATE orders SET currency = (SELECT c FROM defaults WHERE id = 1);",
        &["UPDATE orders SET currency = 'EUR' WHERE id > 0 AND id <= 1000;"],
    ),
    outage(
        "require-concurrent-refresh",
        (1, 1),
        TX,
        "REFRESH MATERIALIZED VIEW report;",
        &["REFRESH MATERIALIZED VIEW CONCURRENTLY report;"],
    ),
    outage(
        "require-concurrent-partition-detach",
        (1, 20),
        OUT,
        "ALTER TABLE events DETACH PARTITION events_2020;",
        &["ALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY;"],
    ),
    outage(
        "create-partition-of",
        (1, 1),
        TX,
        "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
        &["CREATE TABLE events_2027 (LIKE events INCLUDING ALL);\n\
             ALTER TABLE events ATTACH PARTITION events_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');"],
    ),
    outage(
        "explicit-table-lock",
        (1, 1),
        TX,
        "LOCK TABLE orders;",
        &["LOCK TABLE orders IN ROW EXCLUSIVE MODE;"],
    ),
    outage(
        "lock-timeout-off",
        (1, 1),
        TX,
        "SET LOCAL lock_timeout = 0;",
        &["SET LOCAL lock_timeout = '30s';"],
    ),
    outage(
        "disables-triggers",
        (1, 20),
        TX,
        "ALTER TABLE orders DISABLE TRIGGER ALL;",
        &["ALTER TABLE orders DISABLE TRIGGER ALL;\nALTER TABLE orders ENABLE TRIGGER ALL;"],
    ),
    outage(
        "disables-row-security",
        (1, 20),
        TX,
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY;",
        &["ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"],
    ),
    outage(
        "enum-value-used-in-transaction",
        (2, 44),
        TX,
        "ALTER TYPE state ADD VALUE 'lost';\nUPDATE orders SET note = 'x' WHERE state = 'lost';",
        &[
            "ALTER TYPE state ADD VALUE 'lost';",
            "UPDATE orders SET note = 'x' WHERE state = 'lost';",
        ],
    ),
    outage(
        "cannot-run-in-transaction",
        (2, 1),
        OUT,
        "SELECT 1;\nVACUUM orders;",
        &["VACUUM orders;"],
    ),
    outage(
        "cannot-run-in-transaction",
        (1, 1),
        OUT,
        "CREATE DATABASE reports;",
        &["CREATE DATABASE reports;"],
    ),
    outage(
        "commits-in-transaction",
        (1, 1),
        OUT,
        "DO $$ BEGIN LOOP PERFORM step(); COMMIT; END LOOP; END $$;",
        &["DO $$ BEGIN LOOP PERFORM step(); COMMIT; END LOOP; END $$;"],
    ),
    outage(
        "leaks-session-state",
        (1, 1),
        TX,
        "SET search_path = shop;\nCREATE TABLE t (id bigint);",
        &["SET LOCAL search_path = shop;\nCREATE TABLE t (id bigint);"],
    ),
    outage(
        "leaks-session-state",
        (1, 1),
        TX,
        "SET ROLE owner;\nCREATE TABLE t (id bigint);",
        &["SET ROLE owner;\nCREATE TABLE t (id bigint);\nRESET ROLE;"],
    ),
    outage(
        "leaks-session-state",
        (1, 19),
        TX,
        "SELECT pg_catalog.set_config('search_path', '', false);",
        &["SELECT pg_catalog.set_config('search_path', '', true);"],
    ),
    outage(
        "prefer-jsonb",
        (1, 31),
        TX,
        "ALTER TABLE orders ADD COLUMN note json;",
        &["ALTER TABLE orders ADD COLUMN note jsonb;"],
    ),
];
