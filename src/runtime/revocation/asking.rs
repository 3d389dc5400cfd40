//! Checks that ask Postgres, many in one statement.
//!
//! A check is put to Postgres after it was asked for, so that it knows everything that was
//! committed before. Those that come while a statement is under way go together in the next one:
//! alone, a check costs one round trip, and when there are many they share its costs. Two
//! statements are under way at a time, whatever the number of checks, so that revocations,
//! nonces and keys find connections too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{STORE, Status};
use crate::pg::{self, Database, Prepared};
use crate::runtime::{STORE_TIMEOUT, Unavailable, bounded};

/// How many statements are under way at a time.
const LANES: usize = 2;

/// The most checks in one statement.
const TOGETHER: usize = 100;

/// How many checks may wait. More than that cannot be answered in time anyway.
const WAITING: usize = 10_000;

#[derive(Debug)]
pub(super) struct Asking {
    db: Database,
    /// The tasks begin with the first check: there is a runtime then.
    lanes: OnceLock<mpsc::Sender<Question>>,
}

struct Question {
    token_id: String,
    session_id: String,
    answer: oneshot::Sender<Result<Status, Unavailable>>,
}

impl Asking {
    pub fn new(db: &Database) -> Self {
        prepare(db);
        Self {
            db: db.clone(),
            lanes: OnceLock::new(),
        }
    }

    /// # Errors
    /// Whatever keeps Postgres from answering within [`STORE_TIMEOUT`].
    pub async fn ask(&self, token_id: &str, session_id: &str) -> Result<Status, Unavailable> {
        // It would make the whole statement fail, and all that go with it.
        if token_id.contains('\0') || session_id.contains('\0') {
            return Err(Unavailable::new(STORE, "no id has a NUL in it"));
        }
        let (answer, answered) = oneshot::channel();
        let question = Question {
            token_id: token_id.to_owned(),
            session_id: session_id.to_owned(),
            answer,
        };
        let lanes = self.lanes.get_or_init(|| begin(&self.db));
        if lanes.try_send(question).is_err() {
            return Err(Unavailable::new(STORE, "too many checks wait for it"));
        }
        match tokio::time::timeout(STORE_TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unavailable::new(STORE, "the service stops")),
            Err(_) => Err(Unavailable::new(
                STORE,
                format_args!("no answer in {} ms", STORE_TIMEOUT.as_millis()),
            )),
        }
    }
}

/// See [`crate::runtime::prepare`].
pub(crate) fn prepare(db: &Database) {
    db.prepare(&LOOK);
}

/// The lanes end once nobody can ask any more.
fn begin(db: &Database) -> mpsc::Sender<Question> {
    let (ask, questions) = mpsc::channel(WAITING);
    let questions = Arc::new(Mutex::new(questions));
    for _ in 0..LANES {
        tokio::spawn(lane(db.clone(), Arc::clone(&questions)));
    }
    ask
}

async fn lane(db: Database, questions: Arc<Mutex<mpsc::Receiver<Question>>>) {
    let mut asked = Vec::with_capacity(TOGETHER);
    while questions.lock().await.recv_many(&mut asked, TOGETHER).await > 0 {
        // Who has stopped waiting need not be answered.
        asked.retain(|q| !q.answer.is_closed());
        if asked.is_empty() {
            continue;
        }
        match look(&db, &asked).await {
            Err(Failed::Refused(_)) if asked.len() > 1 => {
                // One of them has something in it that this database cannot read. The others must
                // not suffer from it.
                for question in asked.drain(..) {
                    let alone = std::slice::from_ref(&question);
                    let answer = look(&db, alone).await.map(|answers| answers[0]);
                    let _ = question.answer.send(answer.map_err(Unavailable::from));
                }
            }
            Err(e) => {
                let e = Unavailable::from(e);
                for question in asked.drain(..) {
                    let _ = question.answer.send(Err(e.clone()));
                }
            }
            Ok(answers) => {
                for (question, answer) in asked.drain(..).zip(answers) {
                    let _ = question.answer.send(Ok(answer));
                }
            }
        }
    }
}

enum Failed {
    /// By the database, in an orderly way: asking something else may work.
    Refused(Unavailable),
    Unavailable(Unavailable),
}

impl From<Failed> for Unavailable {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(e) | Failed::Unavailable(e) => e,
        }
    }
}

/// Sub-selects, which are looked up by their index one by one; an EXISTS may be turned into a scan
/// of the whole table. A standby may not know the newest revocations, so it cannot say.
static LOOK: LazyLock<Prepared> = LazyLock::new(|| {
    Prepared::new(
        "text[], text[]",
        "SELECT pg_catalog.pg_is_in_recovery(), \
                (SELECT true FROM security.revoked_tokens r WHERE r.token_id = g.token), \
                (SELECT true FROM security.revoked_sessions r WHERE r.session_id = g.session) \
           FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) \
                WITH ORDINALITY AS g (token, session, n) \
          ORDER BY g.n",
    )
    .by_index()
});

/// One statement; the answers come in the order of the questions.
async fn look(db: &Database, asked: &[Question]) -> Result<Vec<Status>, Failed> {
    let tokens = pg::literal_array(asked.iter().map(|q| &*q.token_id));
    let sessions = pg::literal_array(asked.iter().map(|q| &*q.session_id));
    let refused = AtomicBool::new(false);
    let rows = async {
        let rows = db.execute(&LOOK, &format!("{tokens}, {sessions}")).await;
        refused.store(
            matches!(rows, Err(sqlx::Error::Database(_))),
            Ordering::Relaxed,
        );
        rows
    };
    let rows = bounded(STORE, rows)
        .await
        .map_err(|e| match refused.load(Ordering::Relaxed) {
            true => Failed::Refused(e),
            false => Failed::Unavailable(e),
        })?;
    let answers: Vec<Status> = rows
        .iter()
        .map(status)
        .collect::<Result<_, _>>()
        .map_err(Failed::Unavailable)?;
    match answers.len() == asked.len() {
        true => Ok(answers),
        false => Err(Failed::Unavailable(Unavailable::new(
            STORE,
            "it gave another number of answers than it was asked for",
        ))),
    }
}

fn status(row: &PgRow) -> Result<Status, Unavailable> {
    let read = |i: usize| {
        row.try_get::<Option<bool>, _>(i)
            .map_err(|e| Unavailable::new(STORE, e))
    };
    match (read(0)?, read(1)?, read(2)?) {
        (Some(false), Some(true), _) => Ok(Status::TokenRevoked),
        (Some(false), None | Some(false), Some(true)) => Ok(Status::SessionRevoked),
        (Some(false), None | Some(false), None | Some(false)) => Ok(Status::NotRevoked),
        (Some(true) | None, _, _) => Err(Unavailable::new(STORE, "the server is a standby")),
    }
}
