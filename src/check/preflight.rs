//! The five preconditions of a rollout, each with what was seen.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::process::Command;

use super::privileges;
use super::{CheckResult, Evidence, Verdict};
use crate::carry::over::{Fleet, Member};
use crate::error::{Exit, Problem, Result};
use crate::keys::{self, Kek};
use crate::migrate::{self, Source, State};
use crate::pg::scratch::{Choice, Scratch};
use crate::pg::{self, Database};
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::{Environment, Settings, Target};
use crate::toggle;

/// An external validator that takes longer hangs.
const VALIDATOR_TIMEOUT: Duration = Duration::from_secs(600);
/// How many lines of its output are kept as evidence.
const VALIDATOR_LINES: usize = 5;
/// How many statements are advised at once.
const REMEDIES: usize = 4;

/// How the service comes to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceDatabase {
    /// By a connection of its own; `DATABASE_URL` of its env file, where it stands there.
    OwnConnection,
    /// It runs in this process on the pool that is being checked (the demo).
    ThisPool,
}

/// What is to be checked, and against what.
#[derive(Debug, Clone)]
pub struct Preflight<'a> {
    pub env: &'a Environment,
    pub database: &'a Database,
    pub source: Source,
    /// Runs beside dbctl's own validation; exit status 0 means valid.
    pub validator: Option<&'a [String]>,
    /// Where the validator is run: the folder of the settings file.
    pub folder: PathBuf,
    pub scratch: Choice,
    pub pg_bin: Option<PathBuf>,
    pub key_id: &'a str,
    /// Where the toggles of every target should be.
    pub modes: Modes,
    pub service: ServiceDatabase,
}

impl<'a> Preflight<'a> {
    /// As the settings say, before anything is switched: every toggle is local.
    pub fn new(settings: &'a Settings, env: &'a Environment, database: &'a Database) -> Self {
        let file = settings.file.as_deref().unwrap_or(Path::new("dbctl.toml"));
        Self {
            env,
            database,
            source: Source::resolve(None, settings),
            validator: settings.config.migrations.validator.as_deref(),
            folder: crate::durable::parent(file).to_owned(),
            scratch: Choice::Auto,
            pg_bin: None,
            key_id: &settings.config.keys.key_id,
            modes: Modes::LOCAL,
            service: ServiceDatabase::OwnConnection,
        }
    }

    /// Makes all five checks, in the order in which they build on each other. A check that could
    /// not be made is a result too; none keeps the others from being made.
    pub async fn run(&self) -> Vec<CheckResult> {
        vec![
            timed("migrations-applied", self.applied()).await,
            timed("migrations-valid", self.valid()).await,
            timed("service-database", self.service()).await,
            timed("signing-key", self.signing_key()).await,
            timed("toggles", self.toggles()).await,
        ]
    }

    async fn applied(&self) -> Result<Seen> {
        let files = migrate::load(&self.source)?;
        let status = migrate::status(self.database, &files).await?;
        let mut seen = Seen::default();
        for state in [
            State::Applied,
            State::Pending,
            State::Missing,
            State::Divergent,
        ] {
            seen.saw(state.to_string(), status.count(state));
        }
        for entry in &status.entries {
            if let Some(wrong) = entry.unsound() {
                seen.saw(
                    format!("{:04} {}", entry.version, entry.name),
                    wrong.cause(),
                );
            }
        }
        if !status.is_sound() {
            return Ok(seen.fail(
                "the history of migrations does not fit the files",
                "dbctl migrate list shows each; put the files back as they were applied",
            ));
        }
        let pending: Vec<String> = status
            .entries
            .iter()
            .filter(|e| e.state == State::Pending)
            .map(|e| format!("{:04} {}", e.version, e.name))
            .collect();
        if !pending.is_empty() {
            seen.saw("pending", pending.join(", "));
            return Ok(seen.fail(
                format!(
                    "{} of {} migrations are not applied",
                    pending.len(),
                    files.len()
                ),
                format!("dbctl --env {} migrate apply", self.env.name),
            ));
        }
        if files.is_empty() {
            return Ok(seen.inconclusive(
                format!("there is no migration in {}", self.source),
                "name the right folder in [migrations] of the settings",
            ));
        }
        Ok(seen.pass(format!(
            "all {} migrations are applied ({:04} to {:04}), none diverges",
            files.len(),
            files.first().map_or(0, |f| f.version()),
            files.last().map_or(0, |f| f.version()),
        )))
    }

    async fn valid(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        let (files, mut problems) = migrate::read(&self.source)?;
        if problems.is_empty() {
            let scratch = Scratch::start(&self.scratch, self.pg_bin.as_deref()).await?;
            let validated = migrate::validate(&files, &scratch).await;
            let stopped = scratch.stop().await;
            let validated = validated?;
            stopped?;
            seen.saw(
                "scratch database",
                format!(
                    "{} of {} ran on {} in {:.1} s",
                    validated.ran,
                    validated.total,
                    validated.server,
                    validated.elapsed.as_secs_f64()
                ),
            );
            problems = validated.findings;
        }
        for problem in &problems {
            let place = problem
                .line_column()
                .map_or_else(String::new, |(file, line, column)| {
                    format!("{file}:{line}:{column}: ")
                });
            seen.saw("found", format!("{place}{problem}"));
        }
        if !problems.is_empty() {
            return Ok(seen.fail(
                format!("{} mistakes in the migrations", problems.len()),
                "dbctl migrate validate shows them in full",
            ));
        }
        let Some(argv) = self.validator else {
            seen.saw("external validator", "none is configured");
            return Ok(seen.pass(format!(
                "all {} run on an empty database; no external validator is configured",
                files.len()
            )));
        };
        let valid = self.external_validator(argv, &mut seen).await?;
        Ok(match valid {
            true => seen.pass(format!(
                "all {} run on an empty database, and the external validator passes",
                files.len()
            )),
            false => seen.fail(
                "the external validator did not pass",
                format!("run it by hand: {}", argv.join(" ")),
            ),
        })
    }

    /// Whether it ended with status 0.
    async fn external_validator(&self, argv: &[String], seen: &mut Seen) -> Result<bool> {
        let doing = "running the external validator";
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Problem::new(
                Exit::Config,
                doing,
                "migrations.validator is an empty list",
            ));
        };
        let cannot = |why: String| {
            Problem::new(Exit::Unavailable, format!("{doing} `{program}`"), why)
                .next("it stands in [migrations] validator of the settings")
        };
        let running = Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(VALIDATOR_TIMEOUT, running)
            .await
            .map_err(|_| cannot(format!("no end within {} s", VALIDATOR_TIMEOUT.as_secs())))?
            .map_err(|e| cannot(e.to_string()))?;
        seen.saw(
            "external validator",
            format!("{program}: {}", output.status),
        );
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        for line in &lines[lines.len().saturating_sub(VALIDATOR_LINES)..] {
            seen.saw("it said", *line);
        }
        Ok(output.status.success())
    }

    async fn service(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut role = self.env.service_role.clone();
        let mut unknown = None;
        for member in self.fleet()?.members() {
            match self.reaches(member, &mut role, &mut seen).await? {
                Reach::Reached => {}
                Reach::Not(why) => {
                    return Ok(seen.fail(
                        format!("{} does not reach Postgres: {why}", member.target.name),
                        "check DATABASE_URL of the service, its password, and the network between",
                    ));
                }
                Reach::Unknown => unknown = Some(member.target.name.clone()),
            }
        }
        let Some(role) = role else {
            return Ok(seen.inconclusive(
                "nothing says which role the service logs in as",
                format!("set service_role of [environments.{}]", self.env.name),
            ));
        };
        let Some(difference) = privileges::compare(self.database, &role).await? else {
            return Ok(seen.fail(
                format!("there is no role {role}"),
                format!(
                    "CREATE ROLE {role} LOGIN IN ROLE security_runtime, or correct service_role"
                ),
            ));
        };
        seen.saw("role", &role);
        for missing in &difference.missing {
            seen.saw("missing", missing);
        }
        for excess in &difference.excess {
            seen.saw("excess", excess);
        }
        if !difference.is_none() {
            let next = match difference.remedies.as_slice() {
                [] => "psql: ALTER ROLE or REVOKE takes back what is excess".to_owned(),
                few if few.len() <= REMEDIES => format!("psql: {}", few.join("; ")),
                many => format!(
                    "psql: {}; and {} more",
                    many[..REMEDIES].join("; "),
                    many.len() - REMEDIES
                ),
            };
            return Ok(seen.fail(
                format!(
                    "the privileges of {role} are not exactly what it needs: {} missing, {} excess",
                    difference.missing.len(),
                    difference.excess.len()
                ),
                next,
            ));
        }
        if let Some(target) = unknown {
            return Ok(seen.inconclusive(
                format!("{role} has exactly what it needs, but nothing shows that {target} reaches Postgres"),
                "put DATABASE_URL into its env file, as the service will read it, or let the service connect once",
            ));
        }
        Ok(seen.pass(format!(
            "the service reaches Postgres, and {role} has exactly the privileges that it needs"
        )))
    }

    async fn reaches(
        &self,
        member: &Member,
        role: &mut Option<String>,
        seen: &mut Seen,
    ) -> Result<Reach> {
        let target = &member.target;
        let health = member.client.health().await.map_err(Problem::from)?;
        if self.service == ServiceDatabase::ThisPool {
            self.database.check().await?;
            seen.saw(
                &target.name,
                "runs in this process, on the same connections",
            );
            return Ok(Reach::Reached);
        }
        if Toggle::ALL
            .iter()
            .any(|t| health.modes.get(*t) == Mode::Postgres)
        {
            seen.saw(
                &target.name,
                format!("runs on Postgres, and says `{}`", health.status),
            );
            return Ok(match health.status.as_str() {
                "ok" => Reach::Reached,
                other => Reach::Not(format!("it says that it is {other}")),
            });
        }
        if let Some(url) = database_url(target)? {
            return self.as_the_service(target, &url, role, seen).await;
        }
        if let Some(role) = role.as_deref() {
            let counting = |e| crate::pg::problem("counting the service's sessions", &e);
            let mut tx = self.database.begin().await.map_err(counting)?;
            let sessions: i64 = pg::query_scalar(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity \
                 WHERE usename = $1 AND datname = pg_catalog.current_database()",
            )
            .bind(role)
            .fetch_one(&mut *tx)
            .await
            .map_err(counting)?;
            tx.commit().await.map_err(counting)?;
            seen.saw(
                &target.name,
                format!("{sessions} sessions of {role} in the database"),
            );
            if sessions > 0 {
                return Ok(Reach::Reached);
            }
        }
        Ok(Reach::Unknown)
    }

    /// Connects with the service's own `DATABASE_URL`, from here, and looks whether that is the
    /// database of this environment.
    async fn as_the_service(
        &self,
        target: &Target,
        url: &SecretString,
        role: &mut Option<String>,
        seen: &mut Seen,
    ) -> Result<Reach> {
        let origin = format!("DATABASE_URL in {}", target.env_file.display());
        let theirs = Database::from_secret_url(&origin, url, 1)?;
        if let Err(problem) = theirs.check().await {
            seen.saw(&origin, problem.cause());
            return Ok(Reach::Not(problem.cause().to_owned()));
        }
        let asking = |e| crate::pg::problem("asking who the service is", &e);
        let mut tx = theirs.begin().await.map_err(asking)?;
        let (user, name): (String, String) =
            pg::query_as("SELECT current_user::text, pg_catalog.current_database()::text")
                .fetch_one(&mut *tx)
                .await
                .map_err(asking)?;
        tx.commit().await.map_err(asking)?;
        let identity = theirs.identity().await?;
        let ours = self.database.identity().await?;
        theirs.pool().close().await;
        seen.saw(&origin, format!("connects from here as {user} to {name}"));
        if !identity.same_database(&ours) {
            return Ok(Reach::Not(format!(
                "its DATABASE_URL leads to another database than {}",
                self.database
            )));
        }
        match role {
            Some(role) if *role != user => Ok(Reach::Not(format!(
                "it logs in as {user}, and service_role says {role}"
            ))),
            _ => {
                *role = Some(user);
                Ok(Reach::Reached)
            }
        }
    }

    async fn signing_key(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        let stored = keys::load(self.database, self.key_id).await?;
        for s in &stored {
            let v = &s.version;
            seen.saw(
                format!("{} version {}", v.key_id, v.version),
                format!("{} {} {}", v.state, v.algorithm, v.kid),
            );
        }
        let current: Vec<_> = stored.iter().filter(|s| s.version.is_current).collect();
        let [current] = current.as_slice() else {
            return Ok(seen.fail(
                format!(
                    "{} has {} current versions instead of one",
                    self.key_id,
                    current.len()
                ),
                format!("dbctl --env {} keys seed", self.env.name),
            ));
        };
        let kek = Kek::of_environment(self.env).await?;
        match current.open(Some(&kek)) {
            Ok(_) => {
                seen.saw("sealed with", kek.id());
                Ok(seen.pass(format!(
                    "{} is seeded, version {} is current and opens",
                    self.key_id, current.version.version
                )))
            }
            Err(problem) => {
                seen.saw("opening it", problem.cause());
                Ok(seen.fail(
                    format!("the current version of {} does not open", self.key_id),
                    "kek_file, kek_command or kek_credential of the environment must give the key that sealed it",
                ))
            }
        }
    }

    async fn toggles(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        let fleet = self.fleet()?;
        let mut astray = Vec::new();
        for (member, health) in fleet.all(|m| m.client.health()).await {
            let file = toggle::read(&member.target)?.modes;
            let says = health.map_err(Problem::from)?.modes;
            let name = &member.target.name;
            seen.saw(format!("{name} file"), file);
            seen.saw(format!("{name} service"), says);
            if file != self.modes || says != self.modes {
                astray.push(name.clone());
            }
        }
        if astray.is_empty() {
            return Ok(seen.pass(format!("every target is on {}", self.modes)));
        }
        Ok(seen.fail(
            format!("not on {}: {}", self.modes, astray.join(", ")),
            format!(
                "dbctl --env {} toggles show; dbctl toggles set brings them there",
                self.env.name
            ),
        ))
    }

    /// All targets of the environment; none at all cannot be judged.
    fn fleet(&self) -> Result<Fleet> {
        let targets = self.env.select(&[])?;
        if targets.is_empty() {
            return Err(Problem::new(
                Exit::Config,
                format!("looking at the targets of {}", self.env.name),
                "the environment has none",
            )
            .next("describe each instance in [[environments.NAME.targets]]"));
        }
        Fleet::new(self.env, &targets)
    }
}

enum Reach {
    Reached,
    Not(String),
    Unknown,
}

/// `DATABASE_URL` of a target's env file, as the service reads it; the last one counts.
fn database_url(target: &Target) -> Result<Option<SecretString>> {
    let text = match std::fs::read_to_string(&target.env_file) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(e) => {
            let file = target.env_file.display();
            return Err(Problem::new(Exit::Config, format!("reading {file}"), e));
        }
    };
    let value = text.lines().rev().find_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix("DATABASE_URL=")
    });
    let value = value.map(|v| v.trim().trim_matches(['"', '\'']));
    Ok(value.filter(|v| !v.is_empty()).map(SecretString::from))
}

/// A check under way: what it saw, and what it says in the end.
#[derive(Default)]
struct Seen {
    evidence: Vec<Evidence>,
    said: Option<(Verdict, String, Option<String>)>,
}

impl Seen {
    fn saw(&mut self, what: impl Into<String>, seen: impl std::fmt::Display) {
        self.evidence.push(Evidence::new(what, seen));
    }

    fn pass(mut self, summary: impl Into<String>) -> Self {
        self.said = Some((Verdict::Pass, summary.into(), None));
        self
    }

    fn fail(mut self, summary: impl Into<String>, next: impl Into<String>) -> Self {
        self.said = Some((Verdict::Fail, summary.into(), Some(next.into())));
        self
    }

    fn inconclusive(mut self, summary: impl Into<String>, next: impl Into<String>) -> Self {
        self.said = Some((Verdict::Inconclusive, summary.into(), Some(next.into())));
        self
    }
}

/// Turns what a check says, or why it could not be made, into its result.
async fn timed(name: &str, check: impl Future<Output = Result<Seen>>) -> CheckResult {
    let began = Instant::now();
    let (evidence, verdict, summary, next) = match check.await {
        Ok(Seen { evidence, said }) => {
            let (verdict, summary, next) = said.unwrap_or((
                Verdict::Inconclusive,
                "it came to no conclusion".to_owned(),
                None,
            ));
            (evidence, verdict, summary, next)
        }
        Err(problem) => (
            Vec::new(),
            Verdict::Error,
            problem.to_string(),
            problem.hint().map(str::to_owned),
        ),
    };
    CheckResult {
        name: name.to_owned(),
        subject: String::new(),
        verdict,
        summary,
        next,
        evidence,
        duration: began.elapsed(),
    }
}
