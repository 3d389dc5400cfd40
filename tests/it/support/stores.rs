//! The stores that a journal may lie in, each with everything that it needs.

use dbctl::pg::Database;
use dbctl::rollout::journal::{Journal, RunId};
use dbctl::rollout::lease::Lease;
use dbctl::rollout::machine::{Event, Outline};

use super::pooler::Pooler;
use super::postgres::{Server, TestDb};

/// A new journal. What it lies in goes with this value.
pub struct Scene {
    pub journal: Journal,
    place: Place,
}

enum Place {
    File(tempfile::TempDir),
    Database(TestDb, Option<Pooler>),
}

impl Scene {
    pub async fn on_sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::begin(Place::File(dir)).await
    }

    pub async fn on_postgres() -> Self {
        let db = Server::own().fresh_database();
        Self::begin(Place::Database(db, None)).await
    }

    /// In Postgres, behind a PgBouncer in transaction mode.
    pub async fn behind_a_pooler() -> Self {
        let db = Server::own().fresh_database();
        let pooler = Pooler::before(&db);
        Self::begin(Place::Database(db, Some(pooler))).await
    }

    async fn begin(place: Place) -> Self {
        let journal = open(&place).await;
        Self { journal, place }
    }

    /// The same journal with connections of its own, as another process has them.
    pub async fn another(&self) -> Journal {
        open(&self.place).await
    }

    /// What a process is called, by the rules of the store.
    pub fn holder(&self, name: &str) -> String {
        format!("{}@{name}", self.journal.person())
    }

    /// Begins a run.
    pub async fn begun(&self) -> (Lease, dbctl::rollout::journal::Head) {
        let holder = self.holder("first");
        let ttl = dbctl::rollout::lease::TTL;
        let started = started(&self.journal.person().to_string());
        let run = RunId::random();
        let begun = self
            .journal
            .start(&run, "runbook", &holder, ttl, 1, started);
        let (lease, entry) = begun.await.expect("a run begins");
        (lease, entry.head())
    }

    pub fn note(&self, text: &str) -> Event {
        note(&self.journal.person().to_string(), text)
    }

    /// The database, where it lies in one.
    pub fn db(&self) -> &TestDb {
        match &self.place {
            Place::Database(db, _) => db,
            Place::File(_) => panic!("it lies in a file"),
        }
    }
}

async fn open(place: &Place) -> Journal {
    match place {
        Place::File(dir) => Journal::create(&dir.path().join("j/journal.db")).await,
        Place::Database(db, None) => Journal::create_in(database(&db.url)).await,
        Place::Database(_, Some(pooler)) => Journal::create_in(database(&pooler.url())).await,
    }
    .expect("a journal")
}

pub fn database(url: &str) -> Database {
    Database::from_url("the test", url).expect("a URL")
}

pub fn started(by: &str) -> Event {
    Event::Started {
        by: by.into(),
        outline: Outline {
            plan: "p".into(),
            phases: vec!["staging".into()],
            forward: vec![],
            rollback: vec![],
            afterwards: vec![],
        },
        plan: "{}".into(),
    }
}

pub fn note(by: &str, text: &str) -> Event {
    Event::Note {
        by: by.into(),
        text: text.into(),
    }
}
