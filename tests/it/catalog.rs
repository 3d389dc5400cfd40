//! The schema as the catalog has it: the same twice, and every change is seen.

use dbctl::migrate::catalog::{Catalog, Kind};

use crate::support::cli::run;
use crate::support::postgres::{Server, TestDb};
use crate::support::stores::database;

pub const SCHEMA: &str = "\
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('open', 'done');
CREATE DOMAIN shop.price AS int CHECK (value > 0);
CREATE TABLE shop.customers (id int PRIMARY KEY, name text);
CREATE TABLE shop.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES shop.customers,
  state shop.state NOT NULL DEFAULT 'open', cost shop.price, note varchar(10) CHECK (note <> ''));
CREATE INDEX orders_state ON shop.orders (state);
CREATE VIEW shop.open AS SELECT id FROM shop.orders WHERE state = 'open';
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE VIEW shop.each AS SELECT o.id, shop.twice(o.customer) AS twice FROM shop.orders o
  WHERE EXISTS (SELECT FROM shop.customers c WHERE c.id = o.customer) AND o.state = 'open'::shop.state;
CREATE VIEW shop.both AS SELECT o.id, c.name FROM shop.orders o JOIN shop.customers c ON c.id = o.customer;
CREATE VIEW shop.counted AS WITH n AS (SELECT o.customer, count(*) AS n FROM shop.orders o GROUP BY o.customer)
  SELECT n.customer, extract(year FROM now()) AS year FROM n WHERE n.n > 1 UNION ALL SELECT 1, 2 FROM shop.customers;
CREATE VIEW shop.sub AS SELECT s.a FROM (SELECT o.id AS a FROM shop.orders o) s ORDER BY s.a LIMIT 3;
CREATE TABLE shop.events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2030 PARTITION OF shop.events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customers USING (name = current_user);
CREATE SEQUENCE shop.numbers;
GRANT SELECT ON shop.customers TO PUBLIC;
COMMENT ON TABLE shop.orders IS 'what was bought';";

/// A change, and of what kind and name the difference must be.
const CHANGES: &[(&str, Kind, &str)] = &[
    (
        "CREATE TABLE shop.extra (n int)",
        Kind::Relation,
        "shop.extra",
    ),
    (
        "ALTER TABLE shop.orders ALTER COLUMN cost SET DEFAULT 5",
        Kind::Column,
        "shop.orders.cost",
    ),
    (
        "REVOKE SELECT ON shop.customers FROM PUBLIC",
        Kind::Relation,
        "shop.customers",
    ),
    (
        "GRANT UPDATE (name) ON shop.customers TO PUBLIC",
        Kind::Column,
        "shop.customers.name",
    ),
    (
        "ALTER TABLE shop.orders ALTER COLUMN note TYPE varchar(20)",
        Kind::Column,
        "shop.orders.note",
    ),
    (
        "ALTER TABLE shop.orders ALTER COLUMN customer SET NOT NULL",
        Kind::Column,
        "shop.orders.customer",
    ),
    (
        "ALTER TABLE shop.orders DROP COLUMN note",
        Kind::Column,
        "shop.orders.note",
    ),
    (
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_note_check",
        Kind::Constraint,
        "shop.orders.orders_note_check",
    ),
    (
        "ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (cost < 9) NOT VALID",
        Kind::Constraint,
        "shop.orders.small",
    ),
    (
        "CREATE INDEX more ON shop.orders (cost)",
        Kind::Index,
        "shop.more",
    ),
    (
        "DROP INDEX shop.orders_state",
        Kind::Index,
        "shop.orders_state",
    ),
    (
        "CREATE OR REPLACE VIEW shop.open AS SELECT id FROM shop.orders",
        Kind::Relation,
        "shop.open",
    ),
    (
        "ALTER TABLE shop.events DETACH PARTITION shop.events_2030",
        Kind::Relation,
        "shop.events_2030",
    ),
    (
        "CREATE OR REPLACE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + n'",
        Kind::Function,
        "shop.twice(integer)",
    ),
    (
        "REVOKE EXECUTE ON FUNCTION shop.twice FROM PUBLIC",
        Kind::Function,
        "shop.twice(integer)",
    ),
    (
        "ALTER TABLE shop.orders DISABLE TRIGGER touch",
        Kind::Trigger,
        "shop.orders.touch",
    ),
    (
        "ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY",
        Kind::Relation,
        "shop.customers",
    ),
    (
        "ALTER POLICY own ON shop.customers USING (true)",
        Kind::Policy,
        "shop.customers.own",
    ),
    (
        "ALTER TYPE shop.state ADD VALUE 'gone'",
        Kind::Type,
        "shop.state",
    ),
    (
        "ALTER DOMAIN shop.price DROP CONSTRAINT price_check",
        Kind::Type,
        "shop.price",
    ),
    (
        "ALTER SEQUENCE shop.numbers INCREMENT 5",
        Kind::Sequence,
        "shop.numbers",
    ),
    (
        "ALTER SEQUENCE shop.numbers OWNED BY shop.orders.cost",
        Kind::Sequence,
        "shop.numbers",
    ),
    (
        "COMMENT ON TABLE shop.orders IS 'what is sold'",
        Kind::Comment,
        "table shop.orders",
    ),
    (
        "ALTER TABLE shop.orders SET (fillfactor = 70)",
        Kind::Relation,
        "shop.orders",
    ),
    (
        "ALTER TABLE shop.orders SET UNLOGGED",
        Kind::Relation,
        "shop.orders",
    ),
    (
        "ALTER TABLE shop.orders REPLICA IDENTITY FULL",
        Kind::Relation,
        "shop.orders",
    ),
    (
        "ALTER TABLE shop.orders OWNER TO pg_monitor",
        Kind::Relation,
        "shop.orders",
    ),
    (
        "CREATE RULE quiet AS ON DELETE TO shop.orders DO INSTEAD NOTHING",
        Kind::Rule,
        "shop.orders.quiet",
    ),
    (
        "CREATE STATISTICS shop.pairs ON customer, cost FROM shop.orders",
        Kind::Statistics,
        "shop.pairs",
    ),
    (
        "CREATE PUBLICATION outgoing FOR TABLE shop.orders",
        Kind::Publication,
        "outgoing",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC",
        Kind::DefaultPrivileges,
        "postgres r in shop",
    ),
];

async fn catalog(db: &TestDb) -> Catalog {
    let database = database(&db.url);
    let catalog = Catalog::read(&database).await.expect("it can be read");
    database.pool().close().await;
    catalog
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_schema_is_seen_and_nothing_else() {
    let server = Server::own();
    let mut missed = Vec::new();
    let db = server.fresh_database();
    db.psql(SCHEMA);
    let before = catalog(&db).await;
    for (change, kind, name) in CHANGES {
        db.psql("DROP SCHEMA shop CASCADE; DROP PUBLICATION IF EXISTS outgoing");
        db.psql(SCHEMA);
        assert_eq!(
            before.differences(&catalog(&db).await),
            vec![],
            "made twice"
        );
        db.psql(change);
        let seen = before.differences(&catalog(&db).await);
        if !seen.iter().any(|d| d.kind == *kind && d.name == *name) {
            missed.push(format!("{change}: {seen:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dbctls_own_schema_reads_the_same_twice() {
    let server = Server::own();
    let dir = tempfile::tempdir().expect("a folder");
    let made = [server.fresh_database(), server.fresh_database()];
    for db in &made {
        let apply = [
            "--database-url",
            &db.url,
            "migrate",
            "apply",
            "--confirm",
            &db.name,
        ];
        let seen = run(dir.path(), &apply);
        assert_eq!(seen.code, 0, "{}", seen.stderr);
    }
    let [one, two] = [catalog(&made[0]).await, catalog(&made[1]).await];
    assert_eq!(one.differences(&two), vec![]);
    assert_eq!(one.to_string(), two.to_string());
    assert!(
        one.to_string()
            .contains("relation security.revoked_tokens\n")
    );
    let left = one.without(&["public.refinery_schema_history"]).to_string();
    assert!(!left.contains("refinery"), "{left}");
}
