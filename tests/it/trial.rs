//! Migrations on a scratch database: what each statement does to others is seen, not guessed. Each
//! outage is here as a pair: the dangerous form is found, the safe form is not.

use std::sync::Arc;

use dbctl::migrate::conventions::{Convention, Migration, Reading, Script, Version};
use dbctl::migrate::trial::{How, Tried, try_down, try_out};
use dbctl::pg::Database;
use dbctl::pg::scratch::{Choice, Scratch};

use crate::support::postgres::{Server, TestDb, other_versions};
use crate::support::stores::database;

/// What is there before the migration under judgement.
pub const BEFORE: &str = "\
CREATE TABLE customers (id int PRIMARY KEY);
CREATE DOMAIN price AS int;
CREATE TABLE orders (
  id int PRIMARY KEY, a int, b varchar(10), c text, f timestamp, customer int, cost price);
CREATE INDEX orders_a ON orders (a);
CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE events_old (at date, n int);
CREATE TABLE events_known (at date NOT NULL, n int,
  CHECK (at >= '2020-01-01' AND at < '2021-01-01'));
CREATE MATERIALIZED VIEW totals AS SELECT customer, count(*) FROM orders GROUP BY customer;
CREATE UNIQUE INDEX totals_of ON totals (customer);";

/// A file; one that begins with `!` runs without a transaction.
fn migration(version: u64, text: &str) -> Migration {
    let (transaction, text) = match text.strip_prefix('!') {
        Some(text) => (false, text),
        None => (true, text),
    };
    Migration {
        version: Some(Version {
            written: version.to_string(),
            parts: vec![version],
        }),
        name: "change".into(),
        up: Script {
            path: format!("{version}_change.sql"),
            text: Arc::from(text),
            range: 0..text.len(),
            transaction,
        },
        down: None,
        verify: None,
    }
}

fn reading(texts: &[&str]) -> Reading {
    let numbered = (1..).zip(texts);
    Reading {
        convention: Convention::Sqlx,
        because: "the test says so".into(),
        migrations: numbered.map(|(n, text)| migration(n, text)).collect(),
        findings: Vec::new(),
    }
}

/// The embedded Postgres says the same, with one connection and no statistics of others.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread")]
async fn embedded_sees_the_same() {
    let embedded = dbctl::pg::embedded::Embedded::start()
        .await
        .expect("it starts");
    let texts = [
        BEFORE,
        "ALTER TABLE orders ALTER COLUMN b TYPE text;",
        "ALTER TABLE orders ADD COLUMN n uuid DEFAULT gen_random_uuid();",
        "ALTER TABLE orders ALTER COLUMN c SET NOT NULL;",
        "CREATE INDEX orders_c ON orders (c);",
    ];
    let how = How {
        ground: dbctl::migrate::Ground::Embedded,
        from: 1,
        ..How::default()
    };
    let tried = try_out(embedded.database(), &reading(&texts), how).await;
    let tried = tried.expect("it answers");
    embedded.stop().await.expect("it stops");
    let rules: Vec<&str> = tried.findings.iter().map(|f| &*f.rule).collect();
    let wanted = [
        "rewrites-table",
        "reads-table-while-blocking",
        "builds-index-while-blocking",
    ];
    assert_eq!(
        (tried.ran, rules),
        (5, wanted.to_vec()),
        "{:?}",
        tried.findings
    );
}

async fn tried(texts: &[&str]) -> Tried {
    tried_with(texts, 0).await
}

/// With so many rows in every table before the second file.
async fn tried_with(texts: &[&str], rows: usize) -> Tried {
    tried_on(&Server::get().fresh_database(), texts, rows).await
}

/// In a database that others had before.
async fn tried_on(db: &TestDb, texts: &[&str], rows: usize) -> Tried {
    let database = database(&db.url);
    let tried = tried_at(&database, texts, rows).await;
    database.pool().close().await;
    tried
}

pub async fn tried_at(database: &Database, texts: &[&str], rows: usize) -> Tried {
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .expect("an empty schema");
    let how = How {
        rows,
        ..How::default()
    };
    let tried = try_out(database, &reading(texts), how).await;
    tried.expect("Postgres answers")
}

/// The rules that were found in what came after [`BEFORE`], with their lines.
async fn found(database: &Database, after: &[&str]) -> Vec<(String, usize)> {
    let mut all = vec![BEFORE];
    all.extend(after);
    let tried = tried_at(database, &all, 0).await;
    let of = |f: &dbctl::migrate::finding::Finding| {
        let start = f.span.as_ref().map_or(0, |s| s.start);
        let file = f.file.as_deref().expect("a file");
        let version: usize = file
            .split('_')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("one");
        let text = all[version - 1].trim_start_matches('!');
        (f.rule.to_string(), text[..start].matches('\n').count() + 1)
    };
    tried.findings.iter().map(of).collect()
}

/// Rule, dangerous form, safe form in one or more files.
pub const PAIRS: &[(&str, &str, &[&str])] = &[
    (
        "rewrites-table",
        "ALTER TABLE orders ALTER COLUMN a TYPE bigint;",
        &["ALTER TABLE orders ALTER COLUMN b TYPE varchar(20);"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ALTER COLUMN b TYPE varchar(5);",
        &["ALTER TABLE orders ALTER COLUMN b TYPE text;"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ADD COLUMN n uuid DEFAULT gen_random_uuid();",
        &["ALTER TABLE orders ADD COLUMN n int DEFAULT 5;"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ADD COLUMN n timestamptz DEFAULT clock_timestamp();",
        &["ALTER TABLE orders ADD COLUMN n timestamptz DEFAULT now();"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ADD COLUMN n serial;",
        &["ALTER TABLE orders ADD COLUMN n int;"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ADD COLUMN n int GENERATED ALWAYS AS IDENTITY;",
        &["ALTER TABLE orders ADD COLUMN n int;"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders ADD COLUMN n int GENERATED ALWAYS AS (a + 1) STORED;",
        &["CREATE VIEW with_n AS SELECT *, a + 1 AS n FROM orders;"],
    ),
    (
        "rewrites-table",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER COLUMN a TYPE bigint'; END $$;",
        &["DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER COLUMN b TYPE text'; END $$;"],
    ),
    (
        "rewrites-table",
        "ALTER TABLE orders SET UNLOGGED;",
        &["ALTER TABLE orders SET (fillfactor = 70);"],
    ),
    (
        "rewrites-table",
        "CLUSTER orders USING orders_a;",
        &["ALTER TABLE orders CLUSTER ON orders_a;"],
    ),
    (
        "rewrites-table",
        "REFRESH MATERIALIZED VIEW totals;",
        &["REFRESH MATERIALIZED VIEW CONCURRENTLY totals;"],
    ),
    (
        "rewrites-table",
        "SET LOCAL TimeZone = 'Europe/Berlin';\nALTER TABLE orders ALTER COLUMN f TYPE timestamptz;",
        &["SET LOCAL TimeZone = 'UTC';\nALTER TABLE orders ALTER COLUMN f TYPE timestamptz;"],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE orders ALTER COLUMN a SET NOT NULL;",
        &[
            "ALTER TABLE orders ADD CONSTRAINT a_there CHECK (a IS NOT NULL) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT a_there;",
            "ALTER TABLE orders ALTER COLUMN a SET NOT NULL;",
        ],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE orders ADD CONSTRAINT positive CHECK (a > 0);",
        &[
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT positive;",
        ],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE orders ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;\n\
         ALTER TABLE orders VALIDATE CONSTRAINT positive;",
        &[
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT positive;",
        ],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers;",
        &[
            "ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers NOT VALID;",
            "ALTER TABLE orders VALIDATE CONSTRAINT of_customer;",
        ],
    ),
    (
        "reads-table-while-blocking",
        "ALTER DOMAIN price ADD CONSTRAINT positive CHECK (value > 0);",
        &["ALTER DOMAIN price ADD CONSTRAINT positive CHECK (value > 0) NOT VALID;"],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE events ATTACH PARTITION events_old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');",
        &[
            "ALTER TABLE events ATTACH PARTITION events_known FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');",
        ],
    ),
    (
        "reads-table-while-blocking",
        "ALTER TABLE orders ADD COLUMN n int;\nUPDATE orders SET n = a;",
        &["ALTER TABLE orders ADD COLUMN n int;"],
    ),
    (
        "builds-index-while-blocking",
        "CREATE INDEX orders_c ON orders (c);",
        &["!CREATE INDEX CONCURRENTLY orders_c ON orders (c);"],
    ),
    (
        "builds-index-while-blocking",
        "ALTER TABLE orders ADD CONSTRAINT one_c UNIQUE (c);",
        &[
            "!CREATE UNIQUE INDEX CONCURRENTLY one_c ON orders (c);",
            "ALTER TABLE orders ADD CONSTRAINT one_c UNIQUE USING INDEX one_c;",
        ],
    ),
    (
        "builds-index-while-blocking",
        "ALTER TABLE orders ADD CONSTRAINT no_two EXCLUDE USING btree (c WITH =);",
        &["ALTER TABLE orders ADD COLUMN n int;"],
    ),
    (
        "goes-through-table",
        "UPDATE orders SET c = 'x';",
        &["UPDATE orders SET c = 'x' WHERE id = 7;"],
    ),
    (
        "goes-through-table",
        "DELETE FROM orders;",
        &["DELETE FROM orders WHERE id = 7;"],
    ),
    (
        "blocks-several-tables",
        "ALTER TABLE orders ADD COLUMN n int;\nALTER TABLE customers ADD COLUMN n int;",
        &[
            "ALTER TABLE orders ADD COLUMN n int;",
            "ALTER TABLE customers ADD COLUMN n int;",
        ],
    ),
    (
        "waits-without-limit",
        "SET LOCAL lock_timeout = 0;\nALTER TABLE orders ADD COLUMN n int;",
        &["SET LOCAL lock_timeout = '1s';\nALTER TABLE orders ADD COLUMN n int;"],
    ),
    (
        "leaks-session-state",
        "SELECT pg_catalog.set_config('search_path', '', false);\nALTER TABLE public.orders ADD COLUMN n int;",
        &[
            "SELECT pg_catalog.set_config('search_path', '', true);\nALTER TABLE public.orders ADD COLUMN n int;",
        ],
    ),
    (
        "fails",
        "CREATE INDEX CONCURRENTLY orders_c ON orders (c);",
        &["!CREATE INDEX CONCURRENTLY orders_c ON orders (c);"],
    ),
    (
        "fails",
        "ALTER TABLE orders ADD COLUMN n int;\nALTER TABLE order ADD COLUMN m int;",
        &["ALTER TABLE orders ADD COLUMN n int;\nALTER TABLE orders ADD COLUMN m int;"],
    ),
    (
        "fails",
        "!VACUUM orders;\nVACUUM nothing;",
        &["!VACUUM orders;\nVACUUM customers;"],
    ),
    (
        "ends-its-transaction",
        "ALTER TABLE orders ADD COLUMN n int;\nCOMMIT;",
        &["ALTER TABLE orders ADD COLUMN n int;"],
    ),
];

/// What is not as [`PAIRS`] has it.
async fn unlike_the_pairs(database: &Database) -> Vec<String> {
    let mut wrong = Vec::new();
    for (rule, dangerous, safe) in PAIRS {
        let seen = found(database, &[dangerous]).await;
        // The session as a whole is the file's doing.
        let line = match *rule {
            "leaks-session-state" => 1,
            _ => dangerous.trim_end().matches('\n').count() + 1,
        };
        if !seen.iter().any(|(r, at)| r == rule && *at == line) {
            wrong.push(format!(
                "{dangerous}\n  wanted {rule} on line {line}, found {seen:?}"
            ));
        }
        let seen = found(database, safe).await;
        if !seen.is_empty() {
            wrong.push(format!("{}\n  is safe, found {seen:?}", safe.join("\n")));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_outage_the_dangerous_form_is_found_and_the_safe_form_is_not() {
    let db = Server::get().fresh_database();
    let database = database(&db.url);
    let wrong = unlike_the_pairs(&database).await;
    database.pool().close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_versions_of_postgres_say_the_same() {
    for bin in other_versions() {
        let scratch = Scratch::start(&Choice::Native, Some(&bin)).await;
        let scratch = scratch.expect("a server");
        let wrong = unlike_the_pairs(scratch.database()).await;
        let named = scratch.description();
        scratch.stop().await.expect("stopped");
        assert!(wrong.is_empty(), "{named}: {}", wrong.join("\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_does_to_others_is_told_by_table_and_lock() {
    let tried = tried(&[
        BEFORE,
        "CREATE TABLE items (id int PRIMARY KEY, of_order int REFERENCES orders);\n\
         CREATE TABLE events_2030 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');",
    ])
    .await;
    assert_eq!(tried.ran, 2, "{:?}", tried.findings);
    // The first file found nothing there.
    insta::assert_debug_snapshot!(tried.facts);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_a_failed_build_leaves_is_named() {
    let tried = tried(&[
        "CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1);",
        "!CREATE UNIQUE INDEX CONCURRENTLY t_n ON t (n);",
        "CREATE TABLE never (n int);",
    ])
    .await;
    let rules: Vec<&str> = tried.findings.iter().map(|f| &*f.rule).collect();
    assert_eq!(
        (tried.ran, rules),
        (1, vec!["fails", "leaves-invalid-index"])
    );
    assert!(tried.findings[1].message.contains("`t_n`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_find_the_history_that_the_conventions_own_tool_would_have_made() {
    let tried = tried(&[
        "CREATE TABLE t (n int);",
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM _sqlx_migrations WHERE success) = 1; END $$;",
    ])
    .await;
    assert_eq!((tried.ran, tried.findings), (2, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_file_reaches_the_next() {
    let tried = tried(&[
        "CREATE SCHEMA elsewhere; SET search_path = elsewhere; CREATE TABLE t (n int);",
        "SELECT n FROM elsewhere.t; CREATE TABLE u (n int); SELECT n FROM public.u;",
    ])
    .await;
    let rules: Vec<&str> = tried.findings.iter().map(|f| &*f.rule).collect();
    assert_eq!((tried.ran, rules), (2, vec!["leaks-session-state"]));
}

/// Tables of many types, constraints and references, which must all take a row.
const MANY: &str = "\
CREATE TYPE state AS ENUM ('open', 'done');
CREATE DOMAIN price AS numeric(6, 2) CHECK (value > 0);
CREATE DOMAIN code AS text CHECK (value ~ '^[A-Z]{3}$') NOT NULL;
CREATE TABLE plain (n int);
CREATE TABLE keys (id uuid PRIMARY KEY, slug text UNIQUE NOT NULL);
CREATE TABLE counted (id bigserial PRIMARY KEY, twice int GENERATED ALWAYS AS (1 + 1) STORED);
CREATE TABLE types (
  a smallint, b int, c bigint, d numeric(4, 1), e real, f double precision, g varchar(3), h char(2), i text,
  j bytea, k date, l time, m timestamptz, n interval, o boolean, p json, q jsonb, r int[], s text[], t inet,
  u bit(3), v int4range, w tstzrange, x point, y macaddr, z tsvector, money money, state state, price price, code code);
CREATE TABLE checked (
  role text NOT NULL CHECK (role IN ('admin', 'user')), age int NOT NULL CHECK (age BETWEEN 18 AND 99),
  begins date NOT NULL, ends date NOT NULL, share numeric NOT NULL CHECK (share > 0 AND share < 1),
  email text NOT NULL CHECK (email LIKE '%@%'), CHECK (ends > begins));
CREATE TABLE parents (a int, b text, PRIMARY KEY (a, b));
CREATE TABLE children (
  id int PRIMARY KEY, a int NOT NULL, b text NOT NULL, key uuid NOT NULL UNIQUE REFERENCES keys,
  FOREIGN KEY (a, b) REFERENCES parents);
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
CREATE TABLE selfish (id int PRIMARY KEY, parent int NOT NULL REFERENCES selfish);
CREATE TABLE early (id int PRIMARY KEY, later int);
CREATE TABLE later (id int PRIMARY KEY, early int NOT NULL REFERENCES early);
ALTER TABLE early ADD FOREIGN KEY (later) REFERENCES later;
CREATE TABLE parts (at date NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE parts_2030 PARTITION OF parts FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE kinds (kind text NOT NULL) PARTITION BY LIST (kind);
CREATE TABLE kinds_some PARTITION OF kinds FOR VALUES IN ('this', 'that');
CREATE TABLE \"Mixed Case\" (\"Some Column\" text NOT NULL, \"order\" int CHECK (\"order\" = 7));
CREATE TABLE impossible (n int NOT NULL CHECK (n > 1 AND n < 1));";

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_rows_before_a_migration_is_judged_and_one_that_cannot_is_named() {
    let counts = "DO $$ DECLARE t text; empty text[]; there boolean; BEGIN \
                    FOR t IN SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP \
                      EXECUTE 'SELECT count(*) >= 3 FROM ' || t INTO there; \
                      IF NOT there AND t NOT IN ('_sqlx_migrations', 'plain') THEN empty := empty || t; END IF; \
                    END LOOP; RAISE EXCEPTION 'without rows: %', empty; END $$;";
    let tried = tried_with(&[MANY, counts], 3).await;
    let said: Vec<&str> = tried.findings.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].contains("no row could be made for `public.impossible`"),
        "{said:#?}"
    );
    assert!(said[1].contains("without rows: {impossible}"), "{said:#?}");
}

/// What is there before them.
pub const BEFORE_ROWS: &str = "CREATE TABLE t (id int PRIMARY KEY, n int, s varchar(10));";

/// What only fails where there are rows.
pub const ON_ROWS: &[(&str, &str)] = &[
    (
        "ALTER TABLE t ADD COLUMN m int NOT NULL;",
        "ALTER TABLE t ADD COLUMN m int NOT NULL DEFAULT 0;",
    ),
    (
        "CREATE UNIQUE INDEX one ON t (n);",
        "CREATE UNIQUE INDEX one ON t (id, n);",
    ),
    (
        "ALTER TABLE t ALTER COLUMN n SET NOT NULL;",
        "ALTER TABLE t ALTER COLUMN id SET NOT NULL;",
    ),
    (
        "ALTER TABLE t ALTER COLUMN s TYPE varchar(5);",
        "ALTER TABLE t ALTER COLUMN s TYPE varchar(20);",
    ),
    (
        "ALTER TABLE t ALTER COLUMN n TYPE smallint;",
        "ALTER TABLE t ALTER COLUMN n TYPE bigint;",
    ),
    (
        "ALTER TABLE t ADD CHECK (n < 5);",
        "ALTER TABLE t ADD CHECK (n < 5) NOT VALID;",
    ),
    (
        "ALTER TABLE t ALTER COLUMN s TYPE int USING s::int;",
        "ALTER TABLE t ALTER COLUMN s TYPE text;",
    ),
    (
        "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES t (id);",
        "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES t (id);",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_only_where_there_are_rows_fails() {
    let before = BEFORE_ROWS;
    let db = Server::get().fresh_database();
    for (dangerous, safe) in ON_ROWS {
        let fails = |tried: &Tried| tried.findings.iter().any(|f| f.rule == "fails");
        assert!(
            fails(&tried_on(&db, &[before, dangerous], 3).await),
            "{dangerous}"
        );
        assert!(
            !fails(&tried_on(&db, &[before, dangerous], 0).await),
            "empty: {dangerous}"
        );
        let tried = tried_on(&db, &[before, safe], 3).await;
        assert!(!fails(&tried), "{safe}: {:?}", tried.findings);
    }
}

/// An up and a down part, and what is found.
const DOWNS: &[(&str, &str, Option<&str>)] = &[
    ("CREATE TABLE t (n int);", "DROP TABLE t;", None),
    (
        "CREATE TABLE t (n int); CREATE TYPE s AS ENUM ('a');",
        "DROP TABLE t;",
        Some("down-leaves-something"),
    ),
    (
        "ALTER TABLE there ADD COLUMN m int;",
        "ALTER TABLE there DROP COLUMN m;",
        None,
    ),
    (
        "ALTER TABLE there ALTER COLUMN n TYPE bigint;",
        "SELECT 1;",
        Some("down-leaves-something"),
    ),
    (
        "ALTER TABLE there DROP COLUMN n;",
        "ALTER TABLE there ADD COLUMN n text;",
        Some("down-leaves-something"),
    ),
    ("CREATE TABLE t (n int);", "DROP TABLE u;", Some("fails")),
    (
        "CREATE TABLE IF NOT EXISTS t (n int);",
        "ALTER TABLE t ADD COLUMN m int;",
        Some("up-again-differs"),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn down_leaves_the_schema_as_it_was_and_up_again_makes_the_same() {
    for (up, down, wanted) in DOWNS {
        let mut all = reading(&["CREATE TABLE there (n int);", up]);
        all.migrations[1].down = Some(migration(2, down).up);
        let db = Server::get().fresh_database();
        let database = database(&db.url);
        let how = How {
            from: 1,
            ..How::default()
        };
        let tried = try_down(&database, &all, how)
            .await
            .expect("Postgres answers");
        database.pool().close().await;
        let rules: Vec<&str> = tried.findings.iter().map(|f| &*f.rule).collect();
        match wanted {
            None => assert_eq!(rules, [""; 0], "{up} / {down}"),
            Some(rule) => assert!(rules.contains(rule), "{up} / {down}: {:?}", tried.findings),
        }
    }
}
