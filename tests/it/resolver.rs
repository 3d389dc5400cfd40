//! Keys in Postgres as a service sees them: how long a copy is believed, and who makes it ask.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dbctl::error::Result;
use dbctl::keys::{Kek, SigningKey, VerifyingKey};
use dbctl::pg::Database;
use dbctl::runtime::resolver::{KeyError, KeyResolver, Loading, MAX_AGE, PostgresKeys};

use crate::support::service::Backed;

async fn open(backed: &Backed, max_age: Duration) -> Result<KeyResolver> {
    let url = secrecy::SecretString::from(backed.db.url_as("auth_service"));
    let db = Database::from_secret_url("test", &url, 2)?;
    let how = Loading {
        key_id: "access-tokens",
        kek: Some(Kek::from_file(&backed.kek_file)?),
        max_age,
        fault: None,
    };
    let keys = PostgresKeys::open(db, how).await?;
    Ok(KeyResolver::Postgres(keys))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[test]
fn a_copy_of_the_keys_that_grew_too_old_is_not_believed() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    runtime().block_on(async {
        let old = Duration::from_millis(50);
        let keys = open(&backed, MAX_AGE).await.expect("a resolver");
        let doubtful = open(&backed, old).await.expect("a resolver");
        let key = keys.signing().await.expect("a key");
        let kid = key.public().kid();
        tokio::time::sleep(old * 2).await;
        doubtful.verifying(kid).await.expect("loaded anew");
        backed.db.server().kill();
        tokio::time::sleep(old * 2).await;
        keys.verifying(kid).await.expect("believed for a while");
        let error = doubtful.verifying(kid).await.expect_err("too old");
        assert!(matches!(error, KeyError::Unavailable(_)), "{error}");
        assert!(doubtful.signing().await.is_err());
    });
}

#[test]
fn a_flood_of_invented_keys_does_not_reach_postgres() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let scans = || -> u64 {
        let stats = "SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_user_tables \
                     WHERE relname = 'signing_key_versions'";
        backed.db.psql(stats).parse().expect("a number")
    };
    runtime().block_on(async {
        let keys = open(&backed, MAX_AGE).await.expect("a resolver");
        for n in 0..2_000 {
            let error = keys
                .verifying(&format!("invented-{n}"))
                .await
                .expect_err("unknown");
            assert_eq!(error, KeyError::Unknown);
        }
    });
    // Each look would be two scans, and statistics come late, but never that late.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(scans() < 100, "{} scans", scans());
}

#[test]
fn a_service_reads_sealed_keys_only_through_what_it_is_given() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let direct = backed.db.try_psql_as(
        "auth_service",
        "SELECT sealed_private_key FROM security.signing_key_versions",
    );
    assert!(direct.expect_err("no right").contains("42501"));
    runtime().block_on(async {
        let keys = open(&backed, MAX_AGE).await.expect("a resolver");
        let key: std::sync::Arc<SigningKey> = keys.signing().await.expect("a key");
        let signature = key.sign_bytes(b"a message").expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let verifying: std::sync::Arc<VerifyingKey> =
            keys.verifying(key.public().kid()).await.expect("a key");
        assert!(verifying.verifies(b"a message", &signature));
        assert!(!verifying.verifies(b"another", &signature));
    });
}

/// `dbctl keys …` on this database.
fn keys(dir: &std::path::Path, backed: &Backed, args: &[&str]) {
    let settings = "[environments.test]\nkek_file = \"kek.b64\"\n";
    std::fs::write(dir.join("dbctl.toml"), settings).expect("written");
    let url = &*backed.db.url;
    let all = [&["--env", "test", "--database-url", url, "keys"], args].concat();
    let seen = crate::support::cli::run(dir, &all);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
}

fn kid_of(backed: &Backed, version: i32) -> String {
    backed.db.psql(&format!(
        "SELECT kid FROM security.signing_key_versions WHERE version = {version}"
    ))
}

#[test]
fn a_version_is_trusted_at_once_and_signs_within_the_bound() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    runtime().block_on(async {
        let resolver = open(&backed, MAX_AGE).await.expect("a resolver");
        keys(dir.path(), &backed, &["rotate"]);
        let kid = kid_of(&backed, 2);
        resolver.verifying(&kid).await.expect("looked up at once");
        let promote = ["promote", "2", "--emergency", "--confirm", "access-tokens"];
        keys(dir.path(), &backed, &promote);
        for _ in 0..300 {
            if resolver.signing().await.expect("a key").public().kid() == kid {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the new version does not sign");
    });
}

#[test]
fn a_private_half_that_does_not_open_stops_signing_and_not_verifying() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let age = Duration::from_millis(50);
    runtime().block_on(async {
        let resolver = open(&backed, age).await.expect("a resolver");
        let old = kid_of(&backed, 1);
        keys(dir.path(), &backed, &["rotate"]);
        // By hand: dbctl does not promote what it cannot open.
        backed.db.psql(
            "UPDATE security.signing_key_versions SET sealed_private_key = \
                set_bit(sealed_private_key, 7, 1 - get_bit(sealed_private_key, 7)) \
              WHERE version = 2; \
             BEGIN; \
             UPDATE security.signing_key_versions SET state = 'retiring' WHERE version = 1; \
             UPDATE security.signing_key_versions SET state = 'current' WHERE version = 2; \
             COMMIT;",
        );
        tokio::time::sleep(age * 2).await;
        let error = resolver.signing().await.expect_err("it does not open");
        assert!(error.to_string().contains("were changed"), "{error}");
        for kid in [&old, &kid_of(&backed, 2)] {
            resolver
                .verifying(kid)
                .await
                .expect("public halves are whole");
        }
        let error = open(&backed, age).await.expect_err("a start with it fails");
        assert!(error.to_string().contains("were changed"), "{error}");
    });
}

#[test]
fn many_who_ask_for_one_unknown_key_at_once_ask_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let calls = || -> u64 {
        let stats = "SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_user_tables \
                     WHERE relname = 'signing_key_versions'";
        backed.db.psql(stats).parse().expect("a number")
    };
    runtime().block_on(async {
        let resolver = std::sync::Arc::new(open(&backed, MAX_AGE).await.expect("a resolver"));
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let before = calls();
        let asking = (0..500).map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.verifying("invented").await })
        });
        for answer in asking.collect::<Vec<_>>() {
            let error = answer.await.expect("an answer").expect_err("unknown");
            assert_eq!(error, KeyError::Unknown);
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        // One look-up and a refresh or two, of a few scans each.
        assert!(calls() - before < 30, "{} scans", calls() - before);
    });
}
