//! Integrity of `security` and `authz`: whether what lies in Postgres is what the promises need.
//!
//! Everything is read in `READ ONLY` transactions. Each finding says what is wrong and the exact
//! command that puts it right; what could not be looked at is a finding too, never a pass (P6).

mod keys;
mod nonces;
mod partitions;
mod revocations;
mod schema;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Transaction};

use super::queries::begin;
use super::{CheckResult, Evidence, Verdict};
use crate::error::{Exit, Problem, Result};
use crate::pg::scratch::Choice;
use crate::pg::{self, Database, problem};
use crate::runtime::CLOCK_SKEW;
use crate::settings::{Environment, Settings};

/// The longest that one statement may take.
const STATEMENT: Duration = Duration::from_secs(30);

/// How far back decisions and events are compared with what is kept.
const LOOK_BACK: Duration = Duration::from_secs(7 * 86_400);

/// Findings of one check that are told one by one.
const MOST: usize = 20;

/// The checks, in the order in which they are made.
pub const CHECKS: [&str; 8] = [
    "database",
    "schema",
    "current-keys",
    "sealed-keys",
    "orphans",
    "revocations",
    "nonces",
    "partitions",
];

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Integrity<'a> {
    pub settings: &'a Settings,
    pub database: &'a Database,
    /// The environment that the database belongs to. Without one neither sealed keys nor what the
    /// instances say can be checked.
    pub env: Option<&'a Environment>,
    /// Where the migrations are run, to see what they make.
    pub scratch: Choice,
    pub pg_bin: Option<PathBuf>,
}

impl<'a> Integrity<'a> {
    pub fn new(
        settings: &'a Settings,
        env: Option<&'a Environment>,
        database: &'a Database,
    ) -> Self {
        Self {
            settings,
            database,
            env,
            scratch: Choice::Auto,
            pg_bin: None,
        }
    }

    /// Makes all checks. A check that passes is one result; one that does not is a result for
    /// each finding, with what it is about as the subject.
    pub async fn run(&self) -> Vec<CheckResult> {
        if let Err(unreachable) = self.database.check().await {
            return not_reached(&unreachable);
        }
        let all = [
            timed("database", self.server()).await,
            timed("schema", self.schema()).await,
            timed("current-keys", self.current_keys()).await,
            timed("sealed-keys", self.sealed_keys()).await,
            timed("orphans", self.orphans()).await,
            timed("revocations", self.revocations()).await,
            timed("nonces", self.nonces()).await,
            timed("partitions", self.partitions()).await,
        ];
        all.into_iter().flatten().collect()
    }

    /// ` --env NAME`, for commands that are advised.
    fn env_flag(&self) -> String {
        self.env
            .map_or_else(String::new, |env| format!(" --env {}", env.name))
    }

    async fn begin(&self, doing: &str) -> Result<Transaction<'static, Postgres>> {
        begin(self.database, STATEMENT)
            .await
            .map_err(|e| problem(doing, &e))
    }

    /// The primary, willing to write, with a clock like ours.
    async fn server(&self) -> Result<Looked> {
        let doing = format!("asking {} for its clock", self.database);
        let fail = |e: sqlx::Error| problem(&doing, &e);
        let mut tx = self.begin(&doing).await?;
        let asked = Timestamp::now();
        let (standby, read_only, micros): (bool, String, i64) = pg::query_as(
            "SELECT pg_catalog.pg_is_in_recovery(), \
                    pg_catalog.current_setting('default_transaction_read_only'), \
                    (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint",
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(fail)?;
        let answered = Timestamp::now();
        tx.commit().await.map_err(fail)?;
        let mut looked = Looked::default();
        if standby {
            looked.fail(
                "standby",
                "this server is a standby: what it says may be behind",
                "name the primary in database_url",
            );
        }
        if read_only == "on" {
            looked.fail(
                "read-only",
                "this server refuses writes (default_transaction_read_only): nothing can be revoked",
                "psql: ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf(); \
                 or, where the database says so: ALTER DATABASE … RESET default_transaction_read_only",
            );
        }
        let theirs = Timestamp::from_microsecond(micros)
            .map_err(|e| Problem::new(Exit::Failed, &doing, e))?;
        let apart = apart(theirs, asked, answered);
        looked.saw("their clock less ours", format_args!("{apart:#}"));
        if apart.unsigned_abs() > CLOCK_SKEW {
            looked.fail(
                "clock",
                format!(
                    "the clocks of the database and of this machine are {:#} apart, and {} s are allowed for: \
                     what expires by one is still valid by the other",
                    apart.abs(),
                    CLOCK_SKEW.as_secs()
                ),
                "set both by NTP: chronyc tracking, or timedatectl timesync-status, on each",
            );
        }
        Ok(looked.otherwise("the primary answers, and its clock agrees with ours"))
    }
}

/// How far their clock is from ours, as far as that is certain: they answered at some moment
/// between the two of ours.
fn apart(theirs: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    if theirs < asked {
        theirs.duration_since(asked)
    } else if theirs > answered {
        theirs.duration_since(answered)
    } else {
        SignedDuration::ZERO
    }
}

/// What one check saw, and what is wrong.
#[derive(Default)]
struct Looked {
    passed: String,
    evidence: Vec<Evidence>,
    findings: Vec<Finding>,
}

struct Finding {
    verdict: Verdict,
    subject: String,
    summary: String,
    next: String,
}

impl Looked {
    fn saw(&mut self, what: impl Into<String>, seen: impl std::fmt::Display) {
        self.evidence.push(Evidence::new(what, seen));
    }

    /// Something is wrong. `next` is the exact command where there is one.
    fn fail(
        &mut self,
        subject: impl Into<String>,
        summary: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(Verdict::Fail, subject, summary, next);
    }

    /// Something could not be judged, which is no pass.
    fn unknown(
        &mut self,
        subject: impl Into<String>,
        summary: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(Verdict::Inconclusive, subject, summary, next);
    }

    fn add(
        &mut self,
        verdict: Verdict,
        subject: impl Into<String>,
        summary: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.findings.push(Finding {
            verdict,
            subject: subject.into(),
            summary: summary.into(),
            next: next.into(),
        });
    }

    /// What is so, where nothing was found.
    fn otherwise(mut self, passed: impl Into<String>) -> Self {
        self.passed = passed.into();
        self
    }

    fn into_results(mut self, name: &str, duration: Duration) -> Vec<CheckResult> {
        let result = |finding: Finding, evidence| CheckResult {
            name: name.to_owned(),
            subject: finding.subject,
            verdict: finding.verdict,
            summary: finding.summary,
            next: Some(finding.next).filter(|n| !n.is_empty()),
            evidence,
            duration,
        };
        if self.findings.is_empty() {
            let passed = Finding {
                verdict: Verdict::Pass,
                subject: String::new(),
                summary: self.passed,
                next: String::new(),
            };
            return vec![result(passed, self.evidence)];
        }
        // What is wrong comes before what could not be judged.
        self.findings.sort_by_key(|f| f.verdict != Verdict::Fail);
        let more = self.findings.len().saturating_sub(MOST);
        if more > 0 {
            let cut = self.findings.split_off(MOST);
            let verdict = Verdict::worst(cut.iter().map(|f| f.verdict));
            self.add(
                verdict,
                "more",
                format!("{more} more of the same check"),
                "put these right and check again",
            );
        }
        let mut evidence = Some(self.evidence);
        let findings = self.findings.into_iter();
        findings
            .map(|finding| result(finding, evidence.take().unwrap_or_default()))
            .collect()
    }
}

async fn timed(name: &str, check: impl Future<Output = Result<Looked>>) -> Vec<CheckResult> {
    let began = Instant::now();
    match check.await {
        Ok(looked) => looked.into_results(name, began.elapsed()),
        Err(problem) => vec![CheckResult {
            name: name.to_owned(),
            subject: String::new(),
            verdict: Verdict::Error,
            summary: problem.to_string(),
            next: problem.hint().map(str::to_owned),
            evidence: Vec::new(),
            duration: began.elapsed(),
        }],
    }
}

/// Nothing can be said about what is not reached.
fn not_reached(unreachable: &Problem) -> Vec<CheckResult> {
    let result = |name: &&str| CheckResult {
        name: (*name).to_owned(),
        subject: String::new(),
        verdict: match *name {
            "database" => Verdict::Error,
            _ => Verdict::Inconclusive,
        },
        summary: match *name {
            "database" => unreachable.to_string(),
            _ => "not checked: the database does not answer".to_owned(),
        },
        next: unreachable.hint().map(str::to_owned),
        evidence: Vec::new(),
        duration: Duration::ZERO,
    };
    CHECKS.iter().map(result).collect()
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
