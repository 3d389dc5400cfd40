//! The sequences, against real service processes and a real Postgres.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::Mutex;

use dbctl::carry::kit::Kit;
use dbctl::carry::over::{self, Fleet as Targets, Placed, Progress, Source, Store};
use dbctl::contract::{RevokedSession, RevokedToken, Snapshot};
use dbctl::pg::Database;
use dbctl::runtime::toggles::{Mode, Modes, Toggle};
use dbctl::settings::{Environment, Target};
use dbctl::toggle::{self, Patience, Switched};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use crate::support::fleet::Fleet;
use crate::support::service::{Backed, eventually, id, token};

const QUIET: fn(Progress) = |_| {};

/// What a test drives: instances, their database, and dbctl's side of it.
struct Stage {
    fleet: Fleet,
    backed: Backed,
    env: Environment,
    kit: Kit,
    database: Database,
    runtime: tokio::runtime::Runtime,
    nonces: Mutex<BTreeSet<(String, i64)>>,
}

impl Stage {
    fn new(names: &[&str]) -> Self {
        let (fleet, backed) = Fleet::on(names);
        let env = fleet.environment();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options: PgConnectOptions = backed.db.url.parse().expect("a URL");
        let database = runtime.block_on(async { Database::from_options(options, 4) });
        Self {
            kit: Kit::of(&fleet.settings(), &env).expect("a kit"),
            fleet,
            backed,
            env,
            database,
            runtime,
            nonces: Mutex::new(BTreeSet::new()),
        }
    }

    fn store(&self) -> Store<'_> {
        Store {
            database: &self.database,
            key_id: "access-tokens",
        }
    }

    fn targets(&self, on: &[&str]) -> Targets {
        let on: Vec<String> = on.iter().map(|n| (*n).to_owned()).collect();
        let chosen = self.env.select(&on).expect("targets");
        Targets::new(&self.env, &chosen).expect("clients")
    }

    fn forward(&self, on: &[&str]) -> dbctl::error::Result<over::Carried> {
        let (flipping, everyone) = (self.targets(on), self.targets(&[]));
        let sequence = over::forward(&flipping, &everyone, self.store(), &self.kit, &QUIET);
        self.runtime.block_on(sequence)
    }

    fn back(&self, on: &[&str]) -> dbctl::error::Result<(over::Carried, Placed)> {
        let (flipping, everyone) = (self.targets(on), self.targets(&[]));
        let sequence = over::back(&flipping, &everyone, Some(self.store()), &self.kit, &QUIET);
        self.runtime.block_on(sequence)
    }

    fn sync(&self) -> dbctl::error::Result<over::Carried> {
        let fleet = self.targets(&[]);
        let sequence = over::sync(&fleet, self.store(), &self.kit, &QUIET);
        self.runtime.block_on(sequence)
    }

    fn settle(&self, placed: &Placed) -> over::Carried {
        let fleet = self.targets(&[]);
        let sequence = over::settle(&fleet, Some(self.store()), placed, &QUIET);
        self.runtime.block_on(sequence)
    }

    /// Sets all four toggles to Postgres, restarts and confirms.
    fn flip(&self, on: &[&str]) {
        let all = Toggle::ALL.map(|t| (t, Mode::Postgres));
        self.switch(on, all.into(), None, Modes::POSTGRES);
    }

    /// The same to memory and files, with what `back` gave.
    fn flip_back(&self, on: &[&str], snapshot: &Snapshot) {
        let all = Toggle::ALL.map(|t| (t, t.local()));
        self.switch(on, all.into(), Some(snapshot), Modes::LOCAL);
    }

    fn switch(
        &self,
        on: &[&str],
        toggles: BTreeMap<Toggle, Mode>,
        placing: Option<&Snapshot>,
        expected: Modes,
    ) {
        let fleet = self.targets(on);
        let flipped = toggle::flip(&fleet, &toggles, placing, Patience::default(), &|_| {});
        let switched: Vec<Switched> = self.runtime.block_on(flipped);
        for one in switched {
            let health = one.result.expect("it confirms");
            assert_eq!((health.modes, health.fenced), (expected, false));
        }
    }

    /// Takes nonces from every instance; none may ever come twice (P1).
    fn take_nonces(&self) {
        let mut handed_out = self.nonces.lock().expect("not poisoned");
        self.fleet.each(|i| {
            for _ in 0..3 {
                let range = i.post("/v1/nonces", json!({"scope": "envelope", "count": 40}));
                assert_eq!(range.status, 201, "{}", range.text);
                let node = range.body["node_name"].as_str().expect("a node").to_owned();
                let bounds = ["first", "last"].map(|b| range.body[b].as_i64().expect("a number"));
                for nonce in bounds[0]..=bounds[1] {
                    assert!(
                        handed_out.insert((node.clone(), nonce)),
                        "{node} {nonce} twice"
                    );
                }
            }
        });
    }

    /// No node knows of fewer nonces than Postgres, as `dbctl security check` asks for.
    fn no_file_is_below_its_row(&self, when: &str) {
        self.fleet.each(|i| {
            let known = i.get("/v1/nonces/envelope");
            let (node, top) = (&known.body["node_name"], &known.body["reserved_high"]);
            let row = self.backed.db.psql(&format!(
                "SELECT reserved_high FROM security.nonce_watermarks WHERE node_name = '{}'",
                node.as_str().expect("a node"),
            ));
            let row: i64 = row.parse().expect("a row");
            assert!(
                top.as_i64() >= Some(row),
                "{when}: {node} {top}, Postgres {row}"
            );
        });
    }

    /// Every instance denies the revoked ones and allows the others (P2, P3).
    fn everybody_knows(&self, live: &[Value], revoked: &[Value]) {
        self.fleet.each(|i| {
            for t in live {
                assert_eq!(i.verify(token(t)), (200, "ok".into()), "{}", i.url());
            }
            for t in revoked {
                let (status, reason) = i.verify(token(t));
                assert_eq!(status, 401, "{reason}");
                assert!(reason.starts_with("revoked_"), "{reason}");
            }
        });
    }
}

/// Revokes on one instance only: the others hear of it by the carry-over.
fn revoke(stage: &Stage, on: &str, issued: &Value, by_session: bool) {
    stage.fleet.with(on, |i| {
        let answer = if by_session {
            i.post(
                "/v1/sessions/revoke",
                json!({"session_id": issued["session_id"]}),
            )
        } else {
            i.post("/v1/tokens/revoke", json!({"token_id": issued["token_id"]}))
        };
        assert_eq!(answer.status, 200, "{}", answer.text);
    });
}

#[test]
fn there_and_back_nothing_revoked_revives_no_nonce_repeats_and_every_token_verifies() {
    let stage = Stage::new(&["auth-1", "auth-2", "auth-3"]);
    let all = ["auth-1", "auth-2", "auth-3"];
    // Each instance signs with a key of its own, which the others do not know yet.
    let mut live: Vec<Value> = stage.fleet.each(|i| i.issue("alice"));
    let mut gone: Vec<Value> = stage.fleet.each(|i| i.issue("bob"));
    stage.take_nonces();
    revoke(&stage, "auth-1", &gone[0], false);
    revoke(&stage, "auth-1", &gone[1], true);
    revoke(&stage, "auth-3", &gone[2], false);

    let synced = stage.sync().expect("synchronised");
    assert!(synced.without.is_empty(), "{:?}", synced.without);
    stage.everybody_knows(&live, &gone);
    stage.take_nonces();

    // The canary first: two stay in memory.
    let carried = stage.forward(&["canary"]).expect("carried");
    assert_eq!(carried.source, Source::Targets);
    let refused = stage.fleet.with("auth-1", |i| {
        i.post("/v1/tokens/revoke", json!({"token_id": "x"}))
    });
    assert_eq!(
        (refused.status, refused.body["error"].as_str()),
        (503, Some("fenced"))
    );
    stage.flip(&["canary"]);
    live.push(stage.fleet.with("auth-1", |i| i.issue("carol")));
    stage.everybody_knows(&live, &gone);
    let more = stage.fleet.with("auth-2", |i| i.issue("dave"));
    revoke(&stage, "auth-2", &more, false);
    gone.push(more);
    stage.take_nonces();
    stage.sync().expect("synchronised");
    stage.everybody_knows(&live, &gone);

    stage.forward(&["others"]).expect("carried");
    stage.flip(&["others"]);
    stage.everybody_knows(&live, &gone);
    stage.take_nonces();
    let on_postgres = stage.fleet.with("auth-3", |i| i.issue("erin"));
    revoke(&stage, "auth-2", &on_postgres, true);
    gone.push(on_postgres);
    live.push(stage.fleet.with("auth-2", |i| i.issue("frank")));
    let rows = "SELECT count(*) FROM security.revoked_tokens";
    let before = stage.backed.db.psql(rows);

    let (carried, placed) = stage.back(&[]).expect("carried");
    assert_eq!(carried.source, Source::Postgres);
    stage.flip_back(&all, &placed.snapshot);
    stage.everybody_knows(&live, &gone);
    let settled = stage.settle(&placed);
    assert!(settled.without.is_empty(), "{:?}", settled.without);
    stage.no_file_is_below_its_row("after settling");
    live.extend(stage.fleet.each(|i| i.issue("grace")));
    stage.everybody_knows(&live, &gone);
    stage.take_nonces();
    assert_eq!(
        stage.backed.db.psql(rows),
        before,
        "P9: every row is still there"
    );

    // And forward once more.
    stage.forward(&[]).expect("carried");
    stage.flip(&all);
    stage.everybody_knows(&live, &gone);
    stage.take_nonces();
}

#[test]
fn with_postgres_gone_the_kit_takes_everything_back() {
    let stage = Stage::new(&["auth-1", "auth-2"]);
    let live = stage.fleet.each(|i| i.issue("alice"));
    let mut gone = stage.fleet.each(|i| i.issue("bob"));
    stage.forward(&[]).expect("carried");
    stage.flip(&[]);
    revoke(&stage, "auth-1", &gone[0], false);
    revoke(&stage, "auth-2", &gone[1], true);
    let on_postgres = stage.fleet.with("auth-1", |i| i.issue("carol"));
    revoke(&stage, "auth-2", &on_postgres, false);
    gone.push(on_postgres);
    stage.take_nonces();
    stage.sync().expect("the kit is fresh");
    stage.take_nonces();
    stage.backed.db.server().kill();

    let (carried, placed) = stage.back(&[]).expect("carried");
    assert!(
        matches!(carried.source, Source::Kit { .. }),
        "{:?}",
        carried.source
    );
    assert!(
        carried
            .source
            .to_string()
            .starts_with("from the rollback kit")
    );
    stage.flip_back(&[], &placed.snapshot);
    let settled = stage.settle(&placed);
    let silent: Vec<&str> = settled.without.iter().map(|w| &*w.target).collect();
    assert_eq!(silent, ["postgres"], "said, and no reason to stop");
    stage.everybody_knows(&live, &gone);
    stage.take_nonces();
}

#[test]
fn with_postgres_gone_a_target_finds_at_its_start_what_those_in_memory_know() {
    let stage = Stage::new(&["auth-1", "auth-2"]);
    let gone = stage.fleet.with("auth-2", |i| i.issue("bob"));
    stage.forward(&["auth-1"]).expect("carried");
    stage.flip(&["auth-1"]);
    stage.sync().expect("the kit is fresh");
    // Later than the kit.
    revoke(&stage, "auth-2", &gone, false);
    stage.backed.db.server().kill();

    let (carried, placed) = stage.back(&["auth-1"]).expect("carried");
    let source = carried.source;
    assert!(matches!(source, Source::Kit { .. }), "{source:?}");
    stage.flip_back(&["auth-1"], &placed.snapshot);
    // Before the two exchange anything.
    stage.everybody_knows(&[], &[gone]);
}

#[test]
fn without_postgres_and_without_a_kit_nothing_is_switched() {
    let stage = Stage::new(&["auth-1"]);
    stage.backed.db.server().kill();
    let problem = stage.back(&[]).expect_err("nothing to go back with");
    assert!(problem.to_string().contains("no rollback kit"), "{problem}");
    assert!(
        !stage
            .fleet
            .with("auth-1", |i| i.state_dir().join("carry.json").exists())
    );
    std::fs::write(stage.kit.path(), "{").expect("written");
    let problem = stage.back(&[]).expect_err("a damaged kit");
    assert!(problem.to_string().contains("cannot be used"), "{problem}");
}

#[test]
fn a_revocation_that_does_not_arrive_in_postgres_stops_the_switch() {
    let stage = Stage::new(&["auth-1"]);
    let gone = stage.fleet.with("auth-1", |i| i.issue("bob"));
    revoke(&stage, "auth-1", &gone, false);
    stage.backed.db.psql(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER lose BEFORE INSERT ON security.revoked_tokens
            FOR EACH ROW EXECUTE FUNCTION lose()",
    );
    let problem = stage.forward(&[]).expect_err("it is not there");
    assert!(
        problem.to_string().contains("1 revocations are not there"),
        "{problem}"
    );
    let fenced = stage
        .fleet
        .with("auth-1", |i| i.get("/healthz").body["fenced"].clone());
    assert_eq!(fenced, json!(false));
}

/// A target that accepts connections and never answers.
fn hanging(stage: &mut Stage, name: &str, groups: &[&str]) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let like = stage.env.targets[0].clone();
    let state_dir = stage.fleet.path().join(name);
    stage.env.targets.push(Target {
        name: name.into(),
        url: format!("http://{}", listener.local_addr().expect("an address")),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        state_dir,
        ..like
    });
    listener
}

#[test]
fn a_target_that_hangs_holds_nobody_up_and_is_never_taken_for_done() {
    let mut stage = Stage::new(&["auth-1"]);
    let _listener = hanging(&mut stage, "stuck", &["late"]);
    let gone = stage.fleet.with("auth-1", |i| i.issue("bob"));
    revoke(&stage, "auth-1", &gone, false);

    let synced = stage.sync().expect("the others are synchronised");
    let silent: Vec<&str> = synced.without.iter().map(|w| &*w.target).collect();
    assert_eq!(silent, ["stuck"]);
    assert_eq!(synced.counts.revoked_tokens, 1);

    // What it alone knows would be lost.
    let problem = stage
        .forward(&["auth-1", "stuck"])
        .expect_err("it does not answer");
    assert!(problem.to_string().contains("stuck"), "{problem}");
    let fenced = stage
        .fleet
        .with("auth-1", |i| i.get("/healthz").body["fenced"].clone());
    assert_eq!(fenced, json!(false), "nobody stays fenced");

    stage.forward(&["auth-1"]).expect("the others go on");
    stage.flip(&["auth-1"]);
    let (carried, placed) = stage.back(&["auth-1", "stuck"]).expect("back never waits");
    assert_eq!(carried.source, Source::Postgres);
    assert_eq!(carried.without[0].target, "stuck");
    stage.flip_back(&["auth-1"], &placed.snapshot);
    stage.settle(&placed);
    let seen = stage.fleet.with("auth-1", |i| i.verify(token(&gone)));
    assert_eq!(seen, (401, "revoked_token".into()));
}

#[test]
fn a_wrong_administrators_token_is_told_as_such_and_nothing_is_switched() {
    let stage = Stage::new(&["auth-1"]);
    let file = stage.env.admin_token_file.clone().expect("a file");
    std::fs::write(file, "another\n").expect("written");
    let problem = stage.forward(&[]).expect_err("refused");
    let all = format!("{problem} {}", problem.hint().unwrap_or_default());
    assert!(all.contains("401") && all.contains("auth-1"), "{all}");
    assert!(!all.contains("another"), "{all}");
}

#[test]
fn what_was_revoked_on_postgres_after_the_last_look_is_not_lost() {
    let stage = Stage::new(&["auth-1", "auth-2"]);
    stage.forward(&[]).expect("carried");
    stage.flip(&[]);
    let late = stage.fleet.with("auth-1", |i| i.issue("bob"));
    let (_, placed) = stage.back(&[]).expect("carried");
    // A process that could not be fenced accepts one more, just before its restart.
    stage.fleet.with("auth-1", |i| {
        assert_eq!(i.admin("DELETE", "/v1/carry/fence", None).status, 200);
    });
    revoke(&stage, "auth-1", &late, false);
    stage.flip_back(&[], &placed.snapshot);
    stage.settle(&placed);
    stage.everybody_knows(&[], &[late]);
}

/// Revokes `tokens`, and `sessions` as such, as somebody who drives from another machine does it:
/// what they bring keeps the time at which it was revoked, which is long ago.
fn brought_by_another_machine(stage: &Stage, tokens: &[&Value], sessions: &[&Value]) {
    let now = jiff::Timestamp::now();
    let revoked_at = now - std::time::Duration::from_secs(3_600);
    let expires_at = now + std::time::Duration::from_secs(3_600);
    let token = |issued: &&Value| RevokedToken {
        token_id: id(issued, "token_id").to_owned(),
        revoked_at,
        expires_at,
        reason: None,
    };
    let session = |issued: &&Value| RevokedSession {
        session_id: id(issued, "session_id").to_owned(),
        revoked_at,
        expires_at,
        reason: None,
    };
    let theirs = Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at: now,
        source: "auth-9".into(),
        revoked_tokens: tokens.iter().map(token).collect(),
        revoked_sessions: sessions.iter().map(session).collect(),
        ..Snapshot::default()
    };
    let import = dbctl::carry::postgres::import(&stage.database, "access-tokens", &theirs);
    stage.runtime.block_on(import).expect("imported");
}

#[test]
fn what_another_machine_brought_late_is_not_missed_by_a_rollback() {
    let stage = Stage::new(&["auth-1"]);
    let gone: Vec<Value> = ["bob", "carol", "dave", "erin"]
        .map(|name| stage.fleet.with("auth-1", |i| i.issue(name)))
        .into();
    stage.forward(&[]).expect("carried");
    stage.flip(&[]);
    // After this machine made its kit.
    brought_by_another_machine(&stage, &[&gone[0]], &[&gone[1]]);
    let (carried, placed) = stage.back(&[]).expect("carried");
    assert_eq!(carried.source, Source::Postgres);
    let taken = (
        carried.counts.revoked_tokens,
        carried.counts.revoked_sessions,
    );
    assert_eq!(taken, (1, 1));
    // And after it read its last from Postgres.
    brought_by_another_machine(&stage, &[&gone[2]], &[&gone[3]]);
    stage.flip_back(&[], &placed.snapshot);
    let settled = stage.settle(&placed);
    assert!(settled.without.is_empty(), "{:?}", settled.without);
    stage.everybody_knows(&[], &gone);
}

#[test]
fn after_a_crash_of_the_server_everything_is_read_and_nothing_is_missed() {
    let stage = Stage::new(&["auth-1"]);
    let gone = ["bob", "carol"].map(|name| stage.fleet.with("auth-1", |i| i.issue(name)));
    stage.forward(&[]).expect("carried");
    stage.flip(&[]);
    let complete_at = || {
        let kept = stage.kit.load().expect("readable").expect("there");
        (kept.complete_at, kept.position)
    };
    let crash_and_revoke = |issued: &Value| {
        stage.backed.db.server().kill();
        stage.backed.db.server().start();
        // As if its transaction had an id that was in use before: none that a snapshot of then
        // would take for new.
        stage.backed.db.psql(&format!(
            "ALTER TABLE security.revoked_tokens ALTER changed_in SET DEFAULT '3'; \
             INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at) \
             VALUES ('{}', now() - interval '1 hour', now() + interval '1 hour'); \
             ALTER TABLE security.revoked_tokens ALTER changed_in SET DEFAULT pg_current_xact_id()",
            id(issued, "token_id")
        ));
        // The connections of before are dead: a rollback would not wait for new ones.
        eventually("the database answers", || {
            let read = dbctl::carry::postgres::export(&stage.database);
            stage.runtime.block_on(read).is_ok()
        });
    };
    let before = complete_at();
    crash_and_revoke(&gone[0]);
    assert_eq!(stage.sync().expect("synchronised").counts.revoked_tokens, 1);
    let after = complete_at();
    assert!(after.0 > before.0 && after.1 != before.1, "{after:?}");
    stage.sync().expect("synchronised");
    assert_eq!(complete_at().0, after.0, "then again what is new only");
    crash_and_revoke(&gone[1]);
    let (carried, placed) = stage.back(&[]).expect("carried");
    assert_eq!(carried.source, Source::Postgres);
    assert!(carried.without.is_empty(), "{:?}", carried.without);
    stage.flip_back(&[], &placed.snapshot);
    stage.settle(&placed);
    stage.everybody_knows(&[], &gone);
}

#[test]
fn where_there_is_no_time_to_read_everything_what_may_be_missing_is_said() {
    let stage = Stage::new(&["auth-1"]);
    let gone = ["bob", "carol"].map(|name| stage.fleet.with("auth-1", |i| i.issue(name)));
    stage.forward(&[]).expect("carried");
    stage.flip(&[]);
    brought_by_another_machine(&stage, &[&gone[0]], &[]);
    revoke(&stage, "auth-1", &gone[1], false);
    // Another table, of which nobody knows what is new, and slow where all of it is read.
    stage.backed.db.psql(
        "CREATE FUNCTION public.slow(revoked_at timestamptz) RETURNS boolean LANGUAGE plpgsql COST 1000000 AS \
         'BEGIN IF revoked_at < now() - interval ''10 minutes'' THEN PERFORM pg_sleep(3); END IF; RETURN true; END'; \
         ALTER TABLE security.revoked_tokens RENAME TO all_revoked_tokens; \
         CREATE VIEW security.revoked_tokens AS SELECT * FROM security.all_revoked_tokens WHERE slow(revoked_at)",
    );
    let (carried, placed) = stage.back(&[]).expect("carried");
    assert_eq!(carried.source, Source::Postgres);
    assert_eq!(carried.counts.revoked_tokens, 1, "the one of just now");
    assert_eq!(carried.without.len(), 1, "{:?}", carried.without);
    assert_eq!(carried.without[0].target, "postgres");
    let why = &carried.without[0].why;
    assert!(why.contains("what another machine brought"), "{why}");
    // Read whole again, it is known.
    stage.backed.db.psql(
        "DROP VIEW security.revoked_tokens; \
         ALTER TABLE security.all_revoked_tokens RENAME TO revoked_tokens",
    );
    stage.flip_back(&[], &placed.snapshot);
    stage.settle(&placed);
    stage.everybody_knows(&[], &gone);
}
