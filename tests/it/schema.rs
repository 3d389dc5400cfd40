//! The schema that the migrations make: what the database itself enforces, and what each
//! role may do.

use std::path::Path;

use crate::support::cli::run;
use crate::support::postgres::{Server, TestDb};

fn migrated(server: &Server) -> TestDb {
    let db = server.fresh_database();
    db.migrate_by_hand();
    db
}

/// A version of a signing key as SQL values.
fn version(key: &str, version: u32, state: &str) -> String {
    format!(
        "INSERT INTO security.signing_key_versions (key_id, version, kid, state, valid_from, \
         algorithm, public_key, sealed_private_key, sealing_nonce, kek_id) VALUES \
         ('{key}', {version}, '{key}-{version}', '{state}', now(), 'EdDSA', '{{\"kty\":\"OKP\"}}', \
         '\\x01', '\\x000102030405060708090a0b', 'kek-1')"
    )
}

const KEY: &str = "INSERT INTO security.signing_keys (key_id, purpose, algorithm) \
                   VALUES ('k', 'access tokens', 'EdDSA')";

/// Runs SQL that must be refused, and returns what psql said.
fn refused(db: &TestDb, role: &str, sql: &str) -> String {
    match db.try_psql_as(role, sql) {
        Ok(answer) => panic!("{role} could: {sql}\n{answer}"),
        Err(error) => error,
    }
}

#[test]
fn a_nonce_watermark_never_goes_down_nor_away() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(
        "INSERT INTO security.nonce_watermarks VALUES ('node', 'scope', 100, 10, '2020-01-01')",
    );
    db.psql("UPDATE security.nonce_watermarks SET reserved_high = 110, window_size = 5");
    for sql in [
        "UPDATE security.nonce_watermarks SET reserved_high = 109",
        "UPDATE security.nonce_watermarks SET node_name = 'other'",
        "DELETE FROM security.nonce_watermarks",
        "TRUNCATE security.nonce_watermarks",
        "INSERT INTO security.nonce_watermarks VALUES ('n', 's', -1, 10)",
        "INSERT INTO security.nonce_watermarks VALUES ('n', 's', 1, 0)",
    ] {
        assert!(refused(&db, "postgres", sql).contains("23514"), "{sql}");
    }
    let fresh = "SELECT reserved_high, window_size, updated_at > now() - interval '1 hour' \
                 FROM security.nonce_watermarks";
    assert_eq!(db.psql(fresh), "110|5|t");
}

#[test]
fn a_revocation_stays_until_its_token_has_expired_by_itself() {
    let server = Server::get();
    let db = migrated(&server);
    for (table, id) in [
        ("revoked_tokens", "token_id"),
        ("revoked_sessions", "session_id"),
    ] {
        db.psql(&format!(
            "INSERT INTO security.{table} ({id}, expires_at) VALUES \
             ('live', now() + interval '1 hour'), ('over', now() - interval '1 hour')"
        ));
        // Revoking twice is a success.
        db.psql(&format!(
            "INSERT INTO security.{table} ({id}, expires_at) VALUES ('live', now()) ON CONFLICT DO NOTHING"
        ));
        for sql in [
            format!("DELETE FROM security.{table} WHERE {id} = 'live'"),
            format!("TRUNCATE security.{table}"),
            format!("UPDATE security.{table} SET expires_at = now() WHERE {id} = 'live'"),
            format!("UPDATE security.{table} SET {id} = 'x' WHERE {id} = 'live'"),
        ] {
            assert!(refused(&db, "postgres", &sql).contains("23514"), "{sql}");
        }
        db.psql(&format!(
            "UPDATE security.{table} SET expires_at = expires_at + interval '1 hour' WHERE {id} = 'live'"
        ));
        db.psql(&format!("DELETE FROM security.{table} WHERE {id} = 'over'"));
        assert_eq!(
            db.psql(&format!("SELECT {id} FROM security.{table}")),
            "live"
        );
    }
}

#[test]
fn exactly_one_version_of_a_key_that_signs_is_current() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(KEY);
    // A standby alone signs nothing yet: no current one is needed.
    db.psql(&version("k", 1, "standby"));
    db.psql("UPDATE security.signing_key_versions SET state = 'current'");
    assert!(
        refused(&db, "postgres", &version("k", 2, "current"))
            .contains("signing_key_versions_one_current")
    );
    db.psql(&version("k", 2, "standby"));
    for sql in [
        "UPDATE security.signing_key_versions SET state = 'retiring' WHERE version = 1",
        "UPDATE security.signing_key_versions SET state = 'revoked' WHERE version = 1",
    ] {
        assert!(
            refused(&db, "postgres", sql).contains("no current version"),
            "{sql}"
        );
    }
    for sql in [
        "DELETE FROM security.signing_key_versions WHERE version = 1",
        "TRUNCATE security.signing_key_versions",
    ] {
        assert!(
            refused(&db, "postgres", sql).contains("cannot be removed"),
            "{sql}"
        );
    }
    // In one transaction the place may be empty for a moment.
    db.psql(
        "BEGIN; \
         UPDATE security.signing_key_versions SET state = 'retiring' WHERE version = 1; \
         UPDATE security.signing_key_versions SET state = 'current' WHERE version = 2; \
         COMMIT;",
    );
    let states = "SELECT version, state, is_current FROM security.signing_key_versions ORDER BY 1";
    assert_eq!(db.psql(states), "1|retiring|f\n2|current|t");
}

#[test]
fn a_key_version_only_moves_forward_and_never_becomes_another_key() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(KEY);
    db.psql(&version("k", 1, "current"));
    let path = ["standby", "current", "retiring", "retired", "revoked"];
    for (version_number, (at, from)) in path.iter().enumerate().map(|(i, f)| (i + 2, (i, f))) {
        if *from != "current" {
            db.psql(&version("k", u32::try_from(version_number).unwrap(), from));
            for to in &path[..at] {
                let sql = format!(
                    "UPDATE security.signing_key_versions SET state = '{to}' WHERE version = {version_number}"
                );
                assert!(
                    refused(&db, "postgres", &sql).contains("23514"),
                    "{from} -> {to}"
                );
            }
        }
    }
    for change in [
        "kid = 'x'",
        "public_key = '{}'",
        "version = 99",
        "algorithm = 'ES256'",
    ] {
        let sql = format!("UPDATE security.signing_key_versions SET {change} WHERE version = 1");
        assert!(refused(&db, "postgres", &sql).contains("23514"), "{change}");
    }
}

#[test]
fn a_private_key_is_sealed_whole_and_never_stored_in_a_public_one() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(KEY);
    let insert = |columns: &str, values: &str| {
        format!(
            "INSERT INTO security.signing_key_versions (key_id, version, kid, state, valid_from, algorithm, {columns}) \
             VALUES ('k', 1, 'kid', 'standby', now(), 'EdDSA', {values})"
        )
    };
    for (columns, values) in [
        ("public_key", r#"'{"kty":"OKP","d":"secret"}'"#),
        ("public_key", r#"'"text"'"#),
        ("public_key, sealed_private_key", r"'{}', '\x01'"),
        (
            "public_key, sealed_private_key, sealing_nonce, kek_id",
            r"'{}', '\x01', '\x02', 'kek'",
        ),
    ] {
        let sql = insert(columns, values);
        assert!(refused(&db, "postgres", &sql).contains("23514"), "{sql}");
    }
    // An imported key that only verifies.
    db.psql(&insert("public_key", "'{}'"));
    let sql = "UPDATE security.signing_key_versions SET state = 'current'";
    assert!(refused(&db, "postgres", sql).contains("current_can_sign"));
}

#[test]
fn no_decision_is_lost_whatever_its_month_is() {
    let server = Server::get();
    let db = migrated(&server);
    let add = |at: &str| {
        db.psql(&format!(
            "INSERT INTO authz.policy_decisions (created_at, request_id, subject, action, allow, reason_code, instance) \
             VALUES ({at}, 'r', 's', 'a', true, 'ok', 'i')"
        ));
    };
    add("now()");
    add("now() + interval '5 months'");
    add("'1999-01-01'");
    let in_default = "SELECT count(*) FROM authz.policy_decisions_default";
    assert_eq!(db.psql(in_default), "2");
    assert_eq!(
        db.psql("SELECT authz.ensure_policy_decision_partitions()"),
        "0"
    );
    // The row of a month that gets its partition moves there.
    assert_eq!(
        db.psql("SELECT authz.ensure_policy_decision_partitions(6)"),
        "3"
    );
    assert_eq!(db.psql(in_default), "1");
    assert_eq!(db.psql("SELECT count(*) FROM authz.policy_decisions"), "3");
}

#[test]
fn every_table_and_every_column_says_what_it_is() {
    let server = Server::get();
    let db = migrated(&server);
    let silent = "SELECT c.oid::regclass || coalesce('.' || a.attname, '') \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN LATERAL (SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 \
                           UNION ALL SELECT NULL, 0) a ON true \
        WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v') \
          AND col_description(c.oid, a.attnum) IS NULL \
          AND NOT (a.attnum = 0 AND obj_description(c.oid, 'pg_class') IS NOT NULL)";
    assert_eq!(db.psql(silent), "");
    let silent = "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname IN ('security', 'authz') AND obj_description(p.oid, 'pg_proc') IS NULL";
    assert_eq!(db.psql(silent), "");
}

#[test]
fn the_verification_queries_stay_index_scans() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at) \
           SELECT 't' || i, now() - i * interval '1 s', now() + interval '1 day' FROM generate_series(1, 50000) i; \
         INSERT INTO security.nonce_watermarks \
           SELECT 'n' || i, 's', i, 10, now() - i * interval '1 s' FROM generate_series(1, 50000) i; \
         INSERT INTO authz.policy_decisions (created_at, request_id, subject, action, allow, reason_code, instance) \
           SELECT now() + (i % 90 - 10) * interval '1 day' - i * interval '1 s', 'r', 's' || i % 100, 'a', true, 'ok', 'i' \
           FROM generate_series(1, 50000) i; \
         INSERT INTO security.signing_keys SELECT 'k' || i, 'p', 'EdDSA' FROM generate_series(1, 5000) i; \
         INSERT INTO security.signing_key_versions (key_id, version, kid, state, valid_from, algorithm, public_key) \
           SELECT 'k' || i % 5000 + 1, i / 5000 + 1, 'kid' || i, 'retired', now() - i * interval '1 s', 'EdDSA', '{}' \
           FROM generate_series(1, 50000) i;",
    );
    db.psql("VACUUM ANALYZE");
    for query in [
        "SELECT key_id, is_current, valid_from, valid_until FROM security.signing_key_versions ORDER BY valid_from DESC;",
        "SELECT token_id, revoked_at, expires_at FROM security.revoked_tokens ORDER BY revoked_at DESC LIMIT 20;",
        "SELECT node_name, nonce_scope, reserved_high, window_size, updated_at FROM security.nonce_watermarks ORDER BY updated_at DESC LIMIT 20;",
        "SELECT created_at, subject, action, allow, reason_code FROM authz.policy_decisions ORDER BY created_at DESC LIMIT 20;",
        "SELECT * FROM authz.request_trace WHERE request_id = 'nowhere';",
    ] {
        let plan = db.psql(&format!("EXPLAIN {query}"));
        assert!(plan.contains("Index"), "{query}\n{plan}");
        assert!(
            !plan.contains("Sort  ") && !plan.contains("-> Sort"),
            "{query}\n{plan}"
        );
        // The default partition and future months hold next to nothing here: reading them whole is right.
        let whole = plan.lines().find(|l| {
            l.contains("Seq Scan")
                && l.contains("rows=")
                && !l.contains("_default")
                && !l.contains("rows=1 ")
                && !l.contains("events")
        });
        assert_eq!(whole, None, "{query}\n{plan}");
    }
}

/// Logins that are members of one role each.
fn with_logins(db: &TestDb) {
    db.psql(
        "CREATE ROLE service LOGIN IN ROLE security_runtime; \
         CREATE ROLE auditor LOGIN IN ROLE security_auditor; \
         CREATE ROLE nobody_special LOGIN;",
    );
    db.psql(KEY);
    db.psql(&version("k", 1, "current"));
    db.psql(&version("k", 2, "standby"));
    db.psql(&version("k", 3, "retired"));
}

#[test]
fn the_runtime_role_can_do_its_work_and_nothing_else() {
    let server = Server::own();
    let db = migrated(&server);
    with_logins(&db);
    db.psql("CREATE SCHEMA other; CREATE TABLE other.t (id int)");
    for sql in [
        "INSERT INTO security.revoked_tokens (token_id, expires_at, request_id) VALUES ('t', now() + interval '1 h', 'r') ON CONFLICT (token_id) DO NOTHING",
        "INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('t', now() + interval '2 h') \
         ON CONFLICT (token_id) DO UPDATE SET expires_at = greatest(security.revoked_tokens.expires_at, excluded.expires_at)",
        "INSERT INTO security.revoked_sessions (session_id, expires_at) VALUES ('s', now() + interval '1 h') ON CONFLICT DO NOTHING",
        "SELECT token_id FROM security.revoked_tokens WHERE token_id = 't'",
        "INSERT INTO security.nonce_watermarks AS w (node_name, nonce_scope, reserved_high, window_size) VALUES ('n', 's', 10, 10) \
         ON CONFLICT (node_name, nonce_scope) DO UPDATE SET reserved_high = w.reserved_high + 10, window_size = 10, updated_at = now() RETURNING reserved_high",
        "UPDATE security.nonce_watermarks SET reserved_high = reserved_high + 10 RETURNING reserved_high",
        "SELECT kid, public_key, state FROM security.signing_key_versions WHERE state <> 'retired'",
        "INSERT INTO security.events (request_id, instance, kind) VALUES ('r', 'i', 'token.issued')",
        "INSERT INTO authz.policy_decisions (request_id, subject, action, allow, reason_code, instance) VALUES ('r', 's', 'a', true, 'ok', 'i')",
        "SELECT authz.ensure_policy_decision_partitions()",
    ] {
        db.try_psql_as("service", sql)
            .unwrap_or_else(|e| panic!("{sql}\n{e}"));
    }
    // Of the sealed halves it sees those that sign now or may next.
    let sealed = "SELECT version FROM security.signing_material ORDER BY 1";
    assert_eq!(db.try_psql_as("service", sealed).unwrap(), "1\n2");
    for sql in [
        "DELETE FROM security.revoked_tokens",
        "DELETE FROM security.revoked_sessions",
        "UPDATE security.revoked_tokens SET reason = 'x'",
        "TRUNCATE security.revoked_tokens",
        "DELETE FROM security.nonce_watermarks",
        "UPDATE security.nonce_watermarks SET node_name = 'x'",
        "SELECT sealed_private_key FROM security.signing_key_versions",
        "SELECT sealing_nonce FROM security.signing_key_versions",
        "SELECT * FROM security.signing_key_versions",
        "UPDATE security.signing_key_versions SET state = 'revoked'",
        "INSERT INTO security.signing_keys VALUES ('x', 'y', 'EdDSA')",
        "SELECT count(*) FROM security.events",
        "DELETE FROM security.events",
        "SELECT count(*) FROM authz.policy_decisions",
        "DELETE FROM authz.policy_decisions",
        "INSERT INTO authz.policy_decisions_default SELECT * FROM authz.policy_decisions",
        "SELECT * FROM authz.request_trace",
        "SELECT security.apply_privileges()",
        "SELECT * FROM other.t",
        "CREATE TABLE security.mine (id int)",
        "CREATE TABLE authz.mine (id int)",
        "ALTER TABLE security.nonce_watermarks DISABLE TRIGGER ALL",
    ] {
        let said = refused(&db, "service", sql);
        assert!(said.contains("42501"), "{sql}\n{said}");
    }
    let lower = "UPDATE security.nonce_watermarks SET reserved_high = 0";
    assert!(refused(&db, "service", lower).contains("23514"));
    let shorten = "UPDATE security.revoked_tokens SET expires_at = now()";
    assert!(refused(&db, "service", shorten).contains("23514"));
}

#[test]
fn the_auditor_reads_everything_but_key_material_and_changes_nothing() {
    let server = Server::own();
    let db = migrated(&server);
    with_logins(&db);
    for sql in [
        "SELECT * FROM security.signing_keys",
        "SELECT key_id, is_current, valid_from, valid_until FROM security.signing_key_versions ORDER BY valid_from DESC",
        "SELECT * FROM security.revoked_tokens",
        "SELECT * FROM security.revoked_sessions",
        "SELECT * FROM security.nonce_watermarks",
        "SELECT * FROM security.events",
        "SELECT * FROM authz.policy_decisions",
        "SELECT * FROM authz.request_trace WHERE request_id = 'r'",
    ] {
        db.try_psql_as("auditor", sql)
            .unwrap_or_else(|e| panic!("{sql}\n{e}"));
    }
    for sql in [
        "SELECT sealed_private_key FROM security.signing_key_versions",
        "SELECT sealing_nonce FROM security.signing_key_versions",
        "SELECT public_key FROM security.signing_key_versions",
        "SELECT * FROM security.signing_material",
        "INSERT INTO security.events (request_id, instance, kind) VALUES ('r', 'i', 'x')",
        "INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('t', now())",
        "UPDATE security.nonce_watermarks SET reserved_high = 1",
        "DELETE FROM authz.policy_decisions",
        "SELECT authz.ensure_policy_decision_partitions()",
    ] {
        let said = refused(&db, "auditor", sql);
        assert!(said.contains("42501"), "{sql}\n{said}");
    }
    for sql in [
        "SELECT * FROM security.revoked_tokens",
        "SELECT * FROM authz.policy_decisions",
    ] {
        assert!(
            refused(&db, "nobody_special", sql).contains("42501"),
            "{sql}"
        );
    }
}

/// `dbctl migrate apply` of them all as `role`.
fn apply_as(db: &TestDb, role: &str) -> crate::support::cli::Seen {
    let url = db.url_as(role);
    run(
        Path::new("/"),
        &[
            "--database-url",
            &url,
            "migrate",
            "apply",
            "--confirm",
            &db.name,
        ],
    )
}

#[test]
fn a_user_who_cannot_create_roles_migrates_all_the_same() {
    let server = Server::own();
    let db = server.fresh_database();
    db.psql(&format!(
        "CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE {} TO plain; GRANT CREATE ON SCHEMA public TO plain;",
        db.name
    ));
    let seen = apply_as(&db, "plain");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(
        db.psql("SELECT count(*) FROM pg_roles WHERE rolname ~ '^security_'"),
        "0"
    );
    assert_eq!(
        db.psql("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'security'"),
        "plain"
    );
    // Once a DBA has made the roles, one call grants what was skipped.
    db.psql("CREATE ROLE security_owner; CREATE ROLE security_runtime; CREATE ROLE security_auditor; GRANT security_owner TO plain; CREATE ROLE service LOGIN IN ROLE security_runtime");
    db.try_psql_as("plain", "SELECT security.apply_privileges()")
        .unwrap();
    db.try_psql_as(
        "service",
        "INSERT INTO security.events (request_id, instance, kind) VALUES ('r', 'i', 'x')",
    )
    .unwrap();
    assert_eq!(
        db.psql("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'security'"),
        "security_owner"
    );
    // And the one who migrates can still do so.
    db.try_psql_as(
        "plain",
        "CREATE TABLE security.more (id int); ALTER TABLE security.events ADD COLUMN x int",
    )
    .unwrap();
}

#[test]
fn a_user_with_createrole_owns_through_the_owner_role() {
    let server = Server::own();
    let db = server.fresh_database();
    db.psql(&format!(
        "CREATE ROLE creator LOGIN CREATEROLE; GRANT CREATE ON DATABASE {} TO creator; GRANT CREATE ON SCHEMA public TO creator;",
        db.name
    ));
    let seen = apply_as(&db, "creator");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let owners = "SELECT DISTINCT c.relowner::regrole FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname IN ('security', 'authz')";
    assert_eq!(db.psql(owners), "security_owner");
    db.try_psql_as("creator", "ALTER TABLE security.events ADD COLUMN x int")
        .unwrap();
}

#[test]
fn two_databases_of_a_cluster_share_the_roles() {
    let server = Server::own();
    for _ in 0..2 {
        let db = server.fresh_database();
        assert_eq!(apply_as(&db, "postgres").code, 0);
    }
}

#[test]
fn a_key_encryption_key_that_seals_something_stays_and_a_dropped_one_seals_nothing() {
    let server = Server::get();
    let db = migrated(&server);
    db.psql(KEY);
    // Whoever writes a version registers its key-encryption key.
    db.psql(&version("k", 1, "standby"));
    let row = "SELECT kek_id, first_used_at IS NOT NULL, retired_at IS NULL \
               FROM security.key_encryption_keys";
    assert_eq!(db.psql(row), "kek-1|t|t");
    let drop = "UPDATE security.key_encryption_keys SET retired_at = now() WHERE kek_id = 'kek-1'";
    assert!(refused(&db, "postgres", drop).contains("still seals 1 versions"));
    for sql in [
        "DELETE FROM security.key_encryption_keys",
        "TRUNCATE security.key_encryption_keys CASCADE",
        "UPDATE security.key_encryption_keys SET kek_id = 'kek-2'",
        "UPDATE security.key_encryption_keys SET sealed_sentinel = '\\x01'",
    ] {
        assert!(refused(&db, "postgres", sql).contains("23514"), "{sql}");
    }
    db.psql(
        "UPDATE security.signing_key_versions SET kek_id = 'kek-2', sealed_private_key = '\\x02'",
    );
    db.psql(drop);
    for sql in [
        &*version("k", 2, "standby"),
        "UPDATE security.signing_key_versions SET kek_id = 'kek-1'",
        "UPDATE security.key_encryption_keys SET retired_at = NULL",
    ] {
        assert!(refused(&db, "postgres", sql).contains("23514"), "{sql}");
    }
    // What does not touch the sealed half needs nothing of it.
    db.psql("UPDATE security.signing_key_versions SET state = 'current'");
}
