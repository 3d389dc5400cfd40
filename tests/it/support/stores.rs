//! The stores that a journal may lie in, each with everything that it needs.

use dbctl::pg::Database;
use dbctl::rollout::journal::{Journal, RunId};
use dbctl::rollout::lease::Lease;
use dbctl::rollout::machine::{Event, Outline};
use sqlx::{Connection as _, Executor as _};

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

    /// The next change of a lease does not happen, as if it had come a moment too early.
    pub async fn too_early_once(&self) {
        match &self.place {
            Place::File(dir) => {
                let file = dir.path().join("j/journal.db");
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut file = sqlx::SqliteConnection::connect_with(&options)
                    .await
                    .expect("the journal");
                let made = file
                    .execute(
                        "CREATE TABLE early (n); INSERT INTO early VALUES (1);
                         CREATE TRIGGER too_early BEFORE UPDATE ON leases
                         WHEN EXISTS (SELECT 1 FROM early)
                         BEGIN DELETE FROM early; SELECT RAISE(IGNORE); END",
                    )
                    .await;
                made.expect("a trigger");
            }
            Place::Database(db, _) => {
                db.psql(
                    "CREATE TABLE public.early AS SELECT 1 AS n;
                     CREATE FUNCTION public.too_early() RETURNS trigger LANGUAGE plpgsql
                     SECURITY DEFINER AS $$ BEGIN
                         DELETE FROM public.early;
                         IF FOUND THEN RETURN NULL; END IF;
                         RETURN NEW;
                     END $$;
                     CREATE TRIGGER too_early BEFORE UPDATE ON dbctl_journal.leases
                     FOR EACH ROW EXECUTE FUNCTION public.too_early()",
                );
            }
        }
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
