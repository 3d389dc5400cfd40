//! `keys verify`: looking whether everything that is sealed opens.

use serde_json::Value;

use super::{Keks, REGISTER, SEALED};
use crate::support::cli::{Seen, run};
use crate::support::postgres::Server;

#[test]
fn damage_is_found_and_named_and_looking_changes_nothing() {
    let keks = Keks::new();
    let verify = |more: &[&str]| keks.run(&[&["verify", "--format", "json"], more].concat());
    let health = |of: &Seen, key: &str, version: i64| -> Value {
        let report: Value = serde_json::from_str(&of.stdout).expect("JSON");
        let versions = report["versions"].as_array().expect("a list");
        let it = versions
            .iter()
            .find(|v| v["key_id"] == key && v["version"] == version);
        it.expect("the version").clone()
    };
    let before = (keks.db.psql(SEALED), keks.db.psql(REGISTER));
    assert_eq!(verify(&["--kek-file", "old"]).code, 0);
    // Without the key nothing can be said, which is no pass.
    let blind = verify(&[]);
    assert_eq!(blind.code, 6, "{}", blind.stderr);
    assert_eq!(health(&blind, "b", 1)["health"], "unseen");
    let told = keks.run(&["verify", "--kek-file", "new"]);
    assert!(told.stdout.contains(&keks.id("old")), "{}", told.stdout);
    assert_eq!((keks.db.psql(SEALED), keks.db.psql(REGISTER)), before);

    keks.db.psql(
        "UPDATE security.signing_key_versions SET sealed_private_key = \
           set_bit(sealed_private_key, 7, 1 - get_bit(sealed_private_key, 7)) WHERE key_id = 'b'; \
         UPDATE security.signing_key_versions AS a SET sealed_private_key = b.sealed_private_key, \
           sealing_nonce = b.sealing_nonce FROM security.signing_key_versions AS b \
          WHERE a.key_id = 'access-tokens' AND a.version = 2 AND b.key_id = a.key_id AND b.version = 1",
    );
    let seen = verify(&["--kek-file", "old"]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    for (key, version) in [("b", 1), ("access-tokens", 2)] {
        let it = health(&seen, key, version);
        assert_eq!(it["health"], "damaged", "{it}");
        let why = it["why"].as_str().expect("a reason");
        assert!(
            why.contains("were changed or belong to another row"),
            "{why}"
        );
    }
    assert_eq!(health(&seen, "access-tokens", 1)["health"], "whole");
    // What is damaged is not moved, nor anything else.
    let sealed = keks.db.psql(SEALED);
    assert_eq!(keks.rewrap(&[]).code, 3);
    assert_eq!(keks.db.psql(SEALED), sealed);
    // A public half that is another key's.
    keks.db.psql(
        "ALTER TABLE security.signing_key_versions DISABLE TRIGGER USER; \
         UPDATE security.signing_key_versions SET public_key = public_key || '{\"x\": \"AAAA\"}' \
          WHERE key_id = 'access-tokens' AND version = 1",
    );
    let seen = verify(&["--kek-file", "old"]);
    assert_eq!(health(&seen, "access-tokens", 1)["health"], "damaged");
}

#[test]
fn a_sentinel_tells_a_damaged_register_and_comes_where_there_is_none() {
    let keks = Keks::new();
    let sentinel = "SELECT count(sealed_sentinel) FROM security.key_encryption_keys";
    assert_eq!(keks.db.psql(sentinel), "1");
    // As a migration of older rows leaves it.
    keks.db.psql(
        "UPDATE security.key_encryption_keys SET sealed_sentinel = NULL, sentinel_nonce = NULL",
    );
    keks.does(&["verify", "--kek-file", "old"]);
    assert_eq!(keks.db.psql(sentinel), "0", "looking writes nothing");
    keks.does(&["seed", "--kek-file", "old"]);
    assert_eq!(keks.db.psql(sentinel), "1");
    keks.db
        .psql("UPDATE security.key_encryption_keys SET sealed_sentinel = '\\x00'");
    let seen = keks.run(&["verify", "--kek-file", "old"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("does not open its sentinel"),
        "{}",
        seen.stdout
    );
    let refused = keks.run(&["seed", "--kek-file", "old", "--key-id", "c"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the register was changed"),
        "{}",
        refused.stderr
    );
}

#[test]
fn nothing_to_verify_is_no_pass() {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    let dir = tempfile::tempdir().expect("a folder");
    let seen = run(dir.path(), &["keys", "verify", "--database-url", &db.url]);
    assert_eq!(seen.code, 6, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("No signing keys"), "{}", seen.stdout);
}
