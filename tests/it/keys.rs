//! Signing keys: the published vectors, sealing, and the `keys` commands against real Postgres.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dbctl::keys::{Algorithm, SigningKey, VerifyingKey, thumbprint};
use serde_json::{Value, json};

use crate::support::cli::{Seen, dbctl, run};
use crate::support::postgres::{Server, TestDb};
use crate::support::service::Backed;

fn migrated() -> TestDb {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    db
}

fn new_kek(dir: &Path, name: &str) -> Value {
    let seen = run(dir, &["--format", "json", "keys", "new-kek", name]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    serde_json::from_str(&seen.stdout).expect("JSON")
}

fn seed(dir: &Path, db: &TestDb, more: &[&str]) -> Seen {
    let mut args = vec![
        "keys",
        "seed",
        "--kek-file",
        "kek",
        "--database-url",
        &db.url,
    ];
    args.extend(more);
    run(dir, &args)
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    // RFC 7638, section 3.1. Members that do not identify the key make no difference.
    let rsa = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    });
    assert_eq!(
        thumbprint(&rsa).expect("a key"),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    // RFC 8037, appendix A.3.
    let ed25519 =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert_eq!(
        thumbprint(&ed25519).expect("a key"),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    // RFC 7517, appendix A.1: the key; its thumbprint computed independently.
    let p256 = json!({
        "kty": "EC", "crv": "P-256", "use": "enc", "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    });
    assert_eq!(
        thumbprint(&p256).expect("a key"),
        "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
    );
}

#[test]
fn an_ed25519_signature_is_the_one_of_rfc_8037() {
    // Appendix A.1 and A.4. PKCS#8 is a fixed prefix before the 32 bytes of the seed (RFC 8410).
    let prefix = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .expect("base64url");
    let key = SigningKey::from_pkcs8(&[&prefix[..], &seed].concat()).expect("a key");
    assert_eq!(
        key.public().kid(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        key.sign_bytes(message.as_bytes()).expect("a signature"),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_public_key_is_taken_only_if_everything_about_it_fits() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).expect("a key");
        let good = key.public().jwk().clone();
        assert_eq!(VerifyingKey::from_jwk(&good).expect("a key"), *key.public());

        let refused = |change: fn(&mut Value), why: &str| {
            let mut jwk = good.clone();
            change(&mut jwk);
            let problem = VerifyingKey::from_jwk(&jwk).expect_err(why);
            assert!(problem.to_string().contains(why), "{problem}");
        };
        refused(|k| k["d"] = json!("AAAA"), "private key");
        refused(|k| k["kid"] = json!("mine"), "thumbprint");
        refused(|k| k["alg"] = json!("HS256"), "alg does not fit");
        refused(
            |k| k["kty"] = json!("oct"),
            "neither Ed25519, P-256 nor RSA",
        );
        refused(|k| k["use"] = json!("enc"), "`use` is not `sig`");
        refused(|k| k["key_ops"] = json!(["wrapKey"]), "`key_ops`");
        match algorithm {
            Algorithm::EdDsa | Algorithm::Es256 => {
                refused(|k| k["x"] = json!("AAAA"), "32 bytes");
            }
            Algorithm::Rs256 => {
                // 1,024 bits; a leading zero byte, with which one key would have two thumbprints.
                refused(
                    |k| k["n"] = json!(URL_SAFE_NO_PAD.encode([0xc1; 128])),
                    "1024 bits",
                );
                refused(|k| k["e"] = json!("AAEAAQ"), "without leading zeros");
                refused(|k| k["e"] = json!("Ag"), "not a valid RS256 key");
            }
        }
        let spki = key.public().spki().expect("DER");
        assert_eq!(
            VerifyingKey::from_spki(&spki).expect("a key"),
            *key.public()
        );
        let longer = [&spki[..], &[0]].concat();
        assert!(VerifyingKey::from_spki(&longer).is_err());
    }
    // Not on the curve.
    let mut off = SigningKey::generate(Algorithm::Es256)
        .expect("a key")
        .public()
        .jwk()
        .clone();
    off.as_object_mut().expect("an object").remove("kid");
    off["y"] = json!(URL_SAFE_NO_PAD.encode([1_u8; 32]));
    assert!(VerifyingKey::from_jwk(&off).is_err());
}

#[test]
fn seeding_twice_changes_nothing() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let args = ["--key-id", algorithm, "--algorithm", algorithm];
        let first = seed(dir, &db, &args);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert!(
            first.stdout.contains("seeded: version 1 signs."),
            "{}",
            first.stdout
        );
        let rows = "SELECT * FROM security.signing_key_versions ORDER BY key_id, version";
        let before = db.psql(rows);
        let again = seed(dir, &db, &args);
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert!(
            again.stdout.contains("was seeded already"),
            "{}",
            again.stdout
        );
        assert!(
            again.stdout.contains("Nothing was changed."),
            "{}",
            again.stdout
        );
        assert_eq!(db.psql(rows), before);
    }
}

#[test]
fn many_who_seed_at_once_seed_once() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    let seeders: Vec<_> = (0..6)
        .map(|_| {
            let args = ["--format", "json", "keys", "seed", "--kek-file", "kek"];
            dbctl(dir, &args)
                .args(["--database-url", &db.url])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("the binary starts")
        })
        .collect();
    let answers: Vec<Value> = seeders
        .into_iter()
        .map(|seeder| {
            let output = seeder.wait_with_output().expect("it ends");
            assert!(output.status.success());
            serde_json::from_slice(&output.stdout).expect("JSON")
        })
        .collect();
    let created = answers.iter().filter(|a| a["outcome"] == "created").count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(answers.iter().all(|a| a["kid"] == answers[0]["kid"]));
    let versions = db.psql("SELECT count(*) FROM security.signing_key_versions");
    assert_eq!(versions, "1");
}

#[test]
fn the_private_half_is_not_in_the_database() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    new_kek(dir.path(), "kek");
    assert_eq!(seed(dir.path(), &db, &[]).code, 0);
    // What every unsealed Ed25519 key in PKCS#8 form begins with (RFC 8410).
    let plain = db.psql(
        "SELECT count(*) FROM security.signing_key_versions \
         WHERE position('\\x300506032b6570'::bytea IN sealed_private_key) > 0",
    );
    assert_eq!(plain, "0");
}

#[test]
fn a_sealed_key_opens_only_in_its_own_row_and_unchanged() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    for key in ["one", "two"] {
        assert_eq!(seed(dir, &db, &["--key-id", key]).code, 0);
    }
    // The whole sealed half of `one`, in the row of `two`.
    db.psql(
        "UPDATE security.signing_key_versions AS b \
         SET sealed_private_key = a.sealed_private_key, sealing_nonce = a.sealing_nonce \
         FROM security.signing_key_versions AS a WHERE a.key_id = 'one' AND b.key_id = 'two'",
    );
    let moved = seed(dir, &db, &["--key-id", "two"]);
    assert_eq!(moved.code, 3, "{}", moved.stderr);
    assert!(
        moved
            .stderr
            .contains("were changed or belong to another row"),
        "{}",
        moved.stderr
    );
    // One bit.
    db.psql(
        "UPDATE security.signing_key_versions \
         SET sealed_private_key = set_bit(sealed_private_key, 7, 1 - get_bit(sealed_private_key, 7)) \
         WHERE key_id = 'one'",
    );
    let changed = seed(dir, &db, &["--key-id", "one"]);
    assert_eq!(changed.code, 3, "{}", changed.stderr);
    assert!(
        changed.stderr.contains("version 1 of key one"),
        "{}",
        changed.stderr
    );
}

#[test]
fn a_wrong_key_encryption_key_is_named_beside_the_one_that_is_needed() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    let right = new_kek(dir, "kek");
    assert_eq!(seed(dir, &db, &[]).code, 0);
    let wrong = new_kek(dir, "other");
    let seen = run(
        dir,
        &[
            "keys",
            "seed",
            "--kek-file",
            "other",
            "--database-url",
            &db.url,
        ],
    );
    assert_eq!(seen.code, 3);
    for id in [&right["kek_id"], &wrong["kek_id"]] {
        assert!(
            seen.stderr.contains(id.as_str().expect("an id")),
            "{}",
            seen.stderr
        );
    }
}

#[test]
fn key_encryption_keys_that_are_open_to_others_or_no_keys_are_refused() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    let mode = |m| std::fs::Permissions::from_mode(m);
    assert_eq!(
        std::fs::metadata(dir.join("kek"))
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    std::fs::set_permissions(dir.join("kek"), mode(0o640)).expect("chmod");
    let open = seed(dir, &db, &[]);
    assert_eq!(open.code, 3);
    assert!(
        open.stderr.contains("others can read the file"),
        "{}",
        open.stderr
    );
    assert!(open.stderr.contains("chmod 600"), "{}", open.stderr);

    std::fs::set_permissions(dir.join("kek"), mode(0o600)).expect("chmod");
    for (text, why) in [
        ("not base64!", "it is not base64"),
        (&*STANDARD.encode([7_u8; 16]), "16 bytes instead of 32"),
        ("", "the file is empty"),
    ] {
        std::fs::write(dir.join("kek"), text).expect("written");
        let seen = seed(dir, &db, &[]);
        assert_eq!(seen.code, 3);
        assert!(seen.stderr.contains(why), "{}", seen.stderr);
        // P10: whatever the file holds, it is not shown.
        assert!(
            text.is_empty() || !seen.stderr.contains(text),
            "{}",
            seen.stderr
        );
    }
    let none = run(dir, &["keys", "seed", "--database-url", &db.url]);
    assert_eq!(none.code, 3);
    assert!(none.stderr.contains("keys new-kek"), "{}", none.stderr);
}

#[test]
fn a_new_key_encryption_key_never_replaces_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("kek"), "precious").expect("written");
    let seen = run(dir.path(), &["keys", "new-kek", "kek"]);
    assert_eq!(seen.code, 3);
    let left = std::fs::read_to_string(dir.path().join("kek")).expect("it is there");
    assert_eq!(left, "precious");
}

#[test]
fn the_key_encryption_key_may_come_from_a_command() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    let id = new_kek(dir, "kek")["kek_id"].clone();
    let settings = |command: &str| {
        let text = format!(
            "[environments.staging]\ndatabase_url = \"{}\"\nkek_command = {command}\ntargets = []\n",
            db.url
        );
        std::fs::write(dir.join("dbctl.toml"), text).expect("written");
        run(dir, &["--format", "json", "keys", "seed"])
    };
    let seeded = settings(r#"["cat", "kek"]"#);
    assert_eq!(seeded.code, 0, "{}", seeded.stderr);
    let seeded: Value = serde_json::from_str(&seeded.stdout).expect("JSON");
    assert_eq!(seeded["kek_id"], id);
    let failed = settings(r#"["false"]"#);
    assert_eq!(failed.code, 4);
    assert!(
        failed.stderr.contains("`false` ended with"),
        "{}",
        failed.stderr
    );
}

#[test]
fn the_exported_key_set_holds_what_verifies_and_nothing_private() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    let local = SigningKey::generate(Algorithm::Es256).expect("a key");
    let set = dbctl::keys::jwks([local.public()]);
    std::fs::write(dir.join("local.json"), set.to_string()).expect("written");
    let first = seed(dir, &db, &["--trust", "local.json"]);
    assert!(
        first.stdout.contains("1 of 1 given public keys newly"),
        "{}",
        first.stdout
    );
    let again = seed(dir, &db, &["--trust", "local.json"]);
    assert!(
        again.stdout.contains("Nothing was changed."),
        "{}",
        again.stdout
    );
    let events = "SELECT kind, kid FROM security.events WHERE detail->>'how' = 'trusted'";
    let recorded = format!("key.retiring|{}", local.public().kid());
    assert_eq!(db.psql(events), recorded);

    let export = ["keys", "export", "--jwks", "--database-url", &db.url];
    let shown = run(dir, &export);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let set: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let kids: Vec<_> = set["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|k| &k["kid"])
        .collect();
    assert_eq!(kids.len(), 2);
    assert!(kids.contains(&&json!(local.public().kid())));
    assert!(!shown.stdout.contains("\"d\""));

    db.psql(&format!(
        "UPDATE security.signing_key_versions SET state = 'revoked' WHERE kid = '{}'",
        local.public().kid()
    ));
    let written = run(dir, &[&export[..], &["--out", "jwks.json"]].concat());
    assert_eq!((written.code, &*written.stdout), (0, ""));
    let set = std::fs::read_to_string(dir.join("jwks.json")).expect("the file");
    assert!(
        !set.contains(local.public().kid()),
        "a revoked key is not published"
    );
    let list = run(dir, &["keys", "list", "--database-url", &db.url]);
    assert!(list.stdout.contains("revoked"), "{}", list.stdout);
    assert!(list.stdout.contains("public half"), "{}", list.stdout);
    assert!(
        list.stdout.lines().all(|l| l.chars().count() <= 80),
        "{}",
        list.stdout
    );
}

#[test]
fn a_private_key_is_not_recorded_as_a_public_one() {
    let (dir, db) = (tempfile::tempdir().expect("a folder"), migrated());
    let dir = dir.path();
    new_kek(dir, "kek");
    let mut jwk = SigningKey::generate(Algorithm::EdDsa)
        .expect("a key")
        .public()
        .jwk()
        .clone();
    jwk["d"] = json!("c2VjcmV0");
    std::fs::write(dir.join("k.json"), json!({"keys": [jwk]}).to_string()).expect("written");
    let seen = seed(dir, &db, &["--trust", "k.json"]);
    assert_eq!(seen.code, 3);
    assert!(seen.stderr.contains("private key"), "{}", seen.stderr);
    assert!(!seen.stderr.contains("c2VjcmV0"), "{}", seen.stderr);
    assert_eq!(db.psql("SELECT count(*) FROM security.signing_keys"), "0");
}

#[test]
fn seeding_says_what_is_wrong_with_the_database() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    new_kek(dir, "kek");
    // No migrations.
    let empty = Server::get().fresh_database();
    let seen = seed(dir, &empty, &[]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("dbctl migrate apply"),
        "{}",
        seen.stderr
    );
    // A role that may not.
    let backed = Backed::new(dir);
    let url = backed.db.url_as("auth_service");
    let seen = run(
        dir,
        &[
            "keys",
            "seed",
            "--kek-file",
            "kek.b64",
            "--database-url",
            &url,
        ],
    );
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(seen.stderr.contains("42501"), "{}", seen.stderr);
}
