//! `dbctl carry` as an operator uses it, against real instances and a real Postgres.

use serde_json::{Value, json};

use crate::support::cli::Seen;
use crate::support::fleet::Fleet;
use crate::support::service::{id, token};

fn carry(fleet: &Fleet, args: &[&str]) -> Seen {
    fleet.run(&[&["carry"], args].concat())
}

/// What a command says to programs, and its status.
fn data(fleet: &Fleet, args: &[&str], schema: &str) -> (Value, i32) {
    let seen = fleet.run(&[&["--format", "json", "carry"], args].concat());
    let json: Value =
        serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {seen:?}"));
    assert_eq!(json["schema"], schema, "{json}");
    (json, seen.code)
}

/// Revokes a new token on one instance, and returns it.
fn revoked_on(fleet: &Fleet, name: &str) -> Value {
    fleet.with(name, |i| {
        let issued = i.issue("bob");
        i.revoke_token(id(&issued, "token_id"));
        issued
    })
}

fn reserve(fleet: &Fleet, name: &str, count: u32) {
    fleet.with(name, |i| {
        let answer = i.post("/v1/nonces", json!({"scope": "envelope", "count": count}));
        assert_eq!(answer.status, 201, "{}", answer.text);
    });
}

#[test]
fn what_would_move_is_planned_exported_imported_and_then_agreed_upon() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    let gone = revoked_on(&fleet, "auth-1");
    reserve(&fleet, "auth-1", 7);

    let (plan, code) = data(&fleet, &["plan"], "dbctl.carry.plan/1");
    assert_eq!((code, &plan["to"]), (0, &json!("postgres")), "{plan}");
    let lacks = |at: usize| plan["instances"][at]["postgres_lacks"]["revoked_tokens"].clone();
    assert_eq!((lacks(0), lacks(1)), (json!(1), json!(0)), "{plan}");
    let nonces = &plan["nonces"][0];
    // The window of these instances is 100: one reserved, one of margin, one that is skipped.
    assert_eq!(nonces["instances"], 100, "{plan}");
    assert_eq!(
        (&nonces["starts_at"], &nonces["burns"]),
        (&json!(300), &json!(200))
    );
    assert_eq!(
        backed
            .db
            .psql("SELECT count(*) FROM security.revoked_tokens"),
        "0",
        "read-only"
    );

    let (status, code) = data(&fleet, &["status"], "dbctl.carry.status/1");
    assert_eq!((code, &status["agree"]), (5, &json!(false)), "{status}");
    assert_eq!(
        status["kit"]["usable"], false,
        "there is none yet: {status}"
    );

    let exported = carry(&fleet, &["export", "out.json"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    assert!(
        exported
            .stdout
            .contains("1 revocation, 1 nonce top, 2 keys"),
        "{}",
        exported.stdout
    );
    let file = fleet.path().join("out.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = carry(&fleet, &["export", "out.json"]);
    assert_eq!(again.code, 3, "never overwritten: {}", again.stderr);

    let unasked = carry(&fleet, &["import", "out.json", "--into", "postgres"]);
    assert_eq!(unasked.code, 16, "{}", unasked.stderr);
    assert_eq!(
        backed
            .db
            .psql("SELECT count(*) FROM security.revoked_tokens"),
        "0"
    );
    let import = [
        "import",
        "out.json",
        "--into",
        "postgres",
        "--confirm",
        "production",
    ];
    let (first, code) = data(&fleet, &import, "dbctl.carry.import/1");
    assert_eq!(code, 0, "{first}");
    let added = |done: &Value| done["into"][0]["added"].clone();
    assert_eq!(
        added(&first),
        json!({"tokens_added": 1, "sessions_added": 0, "keys_added": 2, "watermarks_raised": 1})
    );
    let (second, _) = data(&fleet, &import, "dbctl.carry.import/1");
    assert_eq!(
        added(&second),
        json!({"tokens_added": 0, "sessions_added": 0, "keys_added": 0, "watermarks_raised": 0}),
        "twice changes nothing"
    );

    // The other instance learns of it from Postgres, and keys go both ways.
    let from = carry(&fleet, &["export", "all.json", "--from", "postgres"]);
    assert_eq!(from.code, 0, "{}", from.stderr);
    let import = [
        "import",
        "all.json",
        "--into",
        "instances",
        "--confirm",
        "production",
    ];
    let (third, code) = data(&fleet, &import, "dbctl.carry.import/1");
    assert_eq!(code, 0, "{third}");
    assert_eq!(third["into"][1]["added"]["tokens_added"], 1, "{third}");
    let seen = fleet.with("auth-2", |i| i.verify(token(&gone)));
    assert_eq!(seen, (401, "revoked_token".into()));

    let refreshed = carry(&fleet, &["refresh"]);
    assert_eq!(refreshed.code, 0, "{}", refreshed.stderr);
    let (status, code) = data(&fleet, &["status"], "dbctl.carry.status/1");
    assert_eq!((code, &status["agree"]), (0, &json!(true)), "{status}");
    assert_eq!(
        status["kit"]["vouched"]["standing"], "unrecorded",
        "{status}"
    );
    assert!(
        status["kit"]["gap_seconds"].as_f64().expect("a gap") < 60.0,
        "{status}"
    );
    let people = carry(&fleet, &["status"]);
    assert!(people.stdout.contains("know the same"), "{}", people.stdout);
    assert!(
        people.stdout.contains("s if Postgres died now"),
        "{}",
        people.stdout
    );
}

#[test]
fn who_cannot_be_read_is_an_error_and_never_nothing() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    revoked_on(&fleet, "auth-1");
    assert_eq!(carry(&fleet, &["refresh"]).code, 0);
    fleet.with("auth-2", |i| {
        i.stop();
    });
    let out = fleet.path().join("out.json");
    for args in [&["plan"][..], &["export", "out.json"], &["refresh"]] {
        let seen = carry(&fleet, args);
        assert_eq!(seen.code, 4, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.contains("auth-2"), "{}", seen.stderr);
    }
    assert!(!out.exists());
    let (status, code) = data(&fleet, &["status"], "dbctl.carry.status/1");
    assert_eq!(
        (code, &status["silent"][0]["name"]),
        (5, &json!("auth-2")),
        "{status}"
    );

    // Whom one does not ask may be silent.
    let one = carry(&fleet, &["export", "out.json", "--on", "auth-1"]);
    assert_eq!(one.code, 0, "{}", one.stderr);

    backed.db.server().stop();
    for args in [
        &["plan", "--on", "auth-1"][..],
        &["export", "pg.json", "--from", "postgres"],
    ] {
        let seen = carry(&fleet, args);
        assert_eq!(seen.code, 4, "{args:?}: {}", seen.stderr);
    }
    let (status, code) = data(&fleet, &["status"], "dbctl.carry.status/1");
    assert_eq!((code, &status["agree"]), (6, &Value::Null), "{status}");
    let people = carry(&fleet, &["status"]);
    assert!(
        people.stdout.contains("cannot be said"),
        "{}",
        people.stdout
    );
    // The kit is what is left.
    let kept = carry(&fleet, &["export", "kit.json", "--from", "kit"]);
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    assert!(kept.stdout.contains("1 revocation"), "{}", kept.stdout);
}

#[test]
fn a_file_that_is_not_a_whole_snapshot_is_refused_whole() {
    let (fleet, backed) = Fleet::on(&["auth-1"]);
    revoked_on(&fleet, "auth-1");
    assert_eq!(carry(&fleet, &["export", "out.json"]).code, 0);
    assert_eq!(carry(&fleet, &["refresh"]).code, 0);
    let good = std::fs::read_to_string(fleet.path().join("out.json")).expect("there");
    let damaged = [
        ("cut.json", good[..good.len() - 20].to_owned(), "damaged"),
        ("empty.json", String::new(), "damaged"),
        (
            "other.json",
            good.replace("dbctl.carry/1", "dbctl.carry/7"),
            "dbctl.carry/7",
        ),
        (
            "key.json",
            good.replace("\"alg\":\"EdDSA\"", "\"alg\":\"ES256\""),
            "key",
        ),
    ];
    for (name, text, word) in damaged {
        assert_ne!(text, good, "{name}");
        std::fs::write(fleet.path().join(name), text).expect("written");
        let import = [
            "import",
            name,
            "--into",
            "postgres",
            "--confirm",
            "production",
        ];
        let seen = carry(&fleet, &import);
        assert_eq!(seen.code, 3, "{name}: {}", seen.stderr);
        assert!(seen.stderr.contains(word), "{name}: {}", seen.stderr);
    }
    let missing = carry(&fleet, &["import", "none.json", "--into", "postgres"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    let kit = fleet.path().join(".dbctl/kit/production/kit.json");
    let import = ["import", kit.to_str().expect("UTF-8"), "--into", "postgres"];
    let seen = carry(&fleet, &import);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(seen.stderr.contains("--from kit"), "{}", seen.stderr);
    assert_eq!(
        backed
            .db
            .psql("SELECT count(*) FROM security.revoked_tokens"),
        "0"
    );
}
