//! A dry run: what the checks and probes of a plan say now. Nothing is written anywhere: no file,
//! no row, no toggle; nobody is asked to do anything but to answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{Live, program, prove};
use crate::carry::over::{Fleet, Member};
use crate::check::integrity::Integrity;
use crate::check::preflight::{Preflight, ServiceDatabase};
use crate::check::smoke::{Check, Smoke};
use crate::check::{CheckResult, Verdict};
use crate::error::{Problem, Result};
use crate::keys::{self, Kek};
use crate::migrate;
use crate::rollout::machine::Found;
use crate::runbook::model::{Criterion, Proof, Query, StepKind};
use crate::runbook::plan::{Plan, Planned};
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::Environment;
use crate::toggle;

/// What can be said of a step before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "now", rename_all = "kebab-case")]
pub enum Now {
    /// What it checks, or wants for what it does, was looked at.
    Judged {
        verdict: Verdict,
    },
    Done,
    NotDone,
    /// Its probe cannot tell whether it is done.
    CannotTell,
    /// It can only hold after an earlier step.
    NotKnown {
        before: String,
    },
    /// Looking would have an effect.
    NotRun,
    /// A person is asked.
    Asks,
}

/// A step with what can be said of it.
#[derive(Debug, Clone, Serialize)]
pub struct Foreseen {
    #[serde(flatten)]
    pub now: Now,
    /// One line for a person.
    pub why: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Looked>,
}

/// One of several checks of a step.
#[derive(Debug, Clone, Serialize)]
pub struct Looked {
    #[serde(flatten)]
    pub result: CheckResult,
    /// The step that it cannot hold before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
}

impl Foreseen {
    pub(super) fn new(now: Now, why: impl Into<String>) -> Self {
        Self {
            now,
            why: why.into(),
            checks: Vec::new(),
        }
    }

    pub(super) fn judged(verdict: Verdict, why: impl Into<String>) -> Self {
        Self::new(Now::Judged { verdict }, why)
    }

    /// What would stop the run here.
    pub fn stops(&self) -> Option<Verdict> {
        match &self.now {
            Now::Judged { verdict } => (*verdict != Verdict::Pass).then_some(*verdict),
            Now::Done
            | Now::NotDone
            | Now::CannotTell
            | Now::NotKnown { .. }
            | Now::NotRun
            | Now::Asks => None,
        }
    }
}

/// What an earlier step that is not done yet will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Schema,
    Key,
    Toggles,
    /// Rows that only traffic leaves.
    Traffic,
    /// A program of somebody else's: anything.
    Anything,
}

/// Steps of the way so far that are not done.
#[derive(Default)]
pub(super) struct Ahead(Vec<(String, String, Changes)>);

impl Ahead {
    /// The last step before which something in `env` cannot hold that depends on `on`.
    pub(super) fn before(&self, env: &str, on: &[Changes]) -> Option<String> {
        let of = |(_, e, c): &&(String, String, Changes)| {
            e == env && (on.contains(c) || *c == Changes::Anything)
        };
        self.0.iter().rev().find(of).map(|(id, ..)| id.clone())
    }
}

impl Live {
    /// Looks at every forward step, in order.
    pub async fn foresee(&self, plan: &Plan, tell: &(dyn Fn(&Planned) + Sync)) -> Vec<Foreseen> {
        let mut ahead = Ahead::default();
        let mut all = Vec::with_capacity(plan.forward.len());
        for planned in &plan.forward {
            tell(planned);
            let looked = self.foresee_step(plan, planned, &ahead).await;
            let foreseen = looked.unwrap_or_else(|problem| {
                let why = with_hint(&problem);
                // A program that was not run may be what makes it work.
                match ahead.before(&planned.step.env, &[]) {
                    Some(before) => Foreseen::new(Now::NotKnown { before }, why),
                    None => Foreseen::judged(Verdict::Error, why),
                }
            });
            let changes = changes(&planned.step.kind).filter(|_| foreseen.now != Now::Done);
            if let Some(changes) = changes {
                let (id, env) = (planned.step.id.clone(), planned.step.env.clone());
                ahead.0.push((id, env, changes));
            }
            all.push(foreseen);
        }
        all
    }

    async fn foresee_step(
        &self,
        plan: &Plan,
        planned: &Planned,
        ahead: &Ahead,
    ) -> Result<Foreseen> {
        let env = self.environment(&planned.step.env)?;
        Ok(match &planned.step.kind {
            StepKind::Confirm { .. } => Foreseen::new(Now::Asks, "a person answers"),
            StepKind::Approve { approvals: 1 } => Foreseen::new(Now::Asks, "a person approves"),
            StepKind::Approve { approvals } => {
                Foreseen::new(Now::Asks, format!("{approvals} people approve"))
            }
            StepKind::Command {
                run,
                probe,
                undo,
                timeout,
            } => foresee_command(run, probe.as_deref(), undo.as_deref(), *timeout).await,
            StepKind::Preflight => self.foresee_preflight(plan, env, ahead).await?,
            StepKind::Migrate => self.foresee_migrate(env).await?,
            StepKind::Keys => self.foresee_keys(env, ahead).await?,
            StepKind::Carry { .. } => {
                self.database(env)?.check().await?;
                let fleet = self.fleet_of(planned, env)?;
                let ready = look_at_members(&fleet, None).await;
                summed(ready, Now::NotDone, "each target can be exchanged with")
            }
            StepKind::Toggles { set, .. } => self.foresee_toggles(planned, env, set).await?,
            StepKind::Restart { .. } | StepKind::Rehearse { .. } => {
                let ready = look_at_members(&self.fleet_of(planned, env)?, None).await;
                summed(
                    ready,
                    Now::NotRun,
                    "it restarts targets; each of them answers now",
                )
            }
            StepKind::Recover { .. } => Foreseen::new(Now::NotRun, "it issues tokens"),
            StepKind::Smoke { checks, .. } => {
                Smoke::new(&self.settings.config.smoke, env)?;
                Check::select(checks)?;
                let why = "it issues and revokes tokens and reserves nonces";
                Foreseen::new(Now::NotRun, why)
            }
            StepKind::Verify { queries } => {
                let queries = prove::named(&plan.queries, queries);
                self.foresee_queries(plan, env, &queries, ahead).await?
            }
            StepKind::Integrity => self.foresee_integrity(plan, env, ahead).await?,
            StepKind::Bake { .. } => self.foresee_bake(plan, planned, env, ahead).await?,
            StepKind::Complete => self.foresee_completion(plan, ahead).await?,
        })
    }

    fn fleet_of(&self, planned: &Planned, env: &Environment) -> Result<Fleet> {
        Fleet::new(env, &env.select(&planned.targets)?)
    }

    async fn foresee_preflight(
        &self,
        plan: &Plan,
        env: &Environment,
        ahead: &Ahead,
    ) -> Result<Foreseen> {
        let database = self.database(env)?;
        let mut preflight = Preflight::new(&self.settings, env, &database);
        if self.in_process {
            preflight.service = ServiceDatabase::ThisPool;
        }
        let looked = preflight.run().await.into_iter().map(|result| {
            let on: &[Changes] = match result.name.as_str() {
                "migrations-applied" | "service-database" => &[Changes::Schema],
                "signing-key" => &[Changes::Schema, Changes::Key],
                "toggles" => &[Changes::Toggles],
                _ => &[],
            };
            Looked::new(result, ahead.before(&env.name, on))
        });
        Ok(of_looked(looked.collect(), "preconditions hold", plan))
    }

    async fn foresee_integrity(
        &self,
        plan: &Plan,
        env: &Environment,
        ahead: &Ahead,
    ) -> Result<Foreseen> {
        let database = self.database(env)?;
        let integrity = Integrity::new(&self.settings, Some(env), &database);
        let results = integrity.run().await;
        let changes = [Changes::Schema, Changes::Key, Changes::Toggles];
        let looked = results.into_iter().map(|result| {
            let before = ahead.before(&env.name, &changes);
            Looked::new(result, before)
        });
        Ok(of_looked(
            looked.collect(),
            "checks of the security state pass",
            plan,
        ))
    }

    async fn foresee_migrate(&self, env: &Environment) -> Result<Foreseen> {
        let source = migrate::Source::resolve(None, &self.settings);
        let files = migrate::load(&source)?;
        let status = migrate::status(&self.database(env)?, &files).await?;
        if let Some(wrong) = status.entries.iter().find_map(migrate::Entry::unsound) {
            return Ok(Foreseen::judged(Verdict::Fail, with_hint(&wrong)));
        }
        let pending = status.count(migrate::State::Pending);
        Ok(match pending {
            0 => Foreseen::new(Now::Done, format!("all {} are applied", files.len())),
            n => Foreseen::new(Now::NotDone, format!("{n} of {} are pending", files.len())),
        })
    }

    async fn foresee_keys(&self, env: &Environment, ahead: &Ahead) -> Result<Foreseen> {
        let kek = Kek::of_environment(env).await?;
        let key_id = &self.settings.config.keys.key_id;
        let database = self.database(env)?;
        let stored = match keys::load(&database, key_id).await {
            Ok(stored) => stored,
            Err(problem) => {
                // Without a connection no step makes the table.
                database.check().await?;
                return match ahead.before(&env.name, &[Changes::Schema]) {
                    Some(before) => Ok(Foreseen::new(
                        Now::NotDone,
                        format!("its table comes with {before}"),
                    )),
                    None => Err(problem),
                };
            }
        };
        Ok(match stored.iter().find(|s| s.version.is_current) {
            None => Foreseen::new(Now::NotDone, format!("{key_id} has no current version")),
            Some(current) => match current.open(Some(&kek)) {
                Ok(_) => {
                    let version = current.version.version;
                    Foreseen::new(Now::Done, format!("version {version} is current and opens"))
                }
                Err(problem) => Foreseen::judged(Verdict::Fail, with_hint(&problem)),
            },
        })
    }

    async fn foresee_toggles(
        &self,
        planned: &Planned,
        env: &Environment,
        set: &BTreeMap<Toggle, Mode>,
    ) -> Result<Foreseen> {
        let fleet = self.fleet_of(planned, env)?;
        if set.values().any(|m| *m == Mode::Postgres) {
            self.database(env)?.check().await?;
        }
        let expected = Modes::resolve(set);
        let mut already = true;
        for (member, health) in fleet.all(|m| m.client.health()).await {
            let file = toggle::read(&member.target).is_ok_and(|f| f.modes == expected);
            already &= file && health.is_ok_and(|h| h.modes == expected && !h.fenced);
        }
        let ready = look_at_members(&fleet, Some(set)).await;
        let (now, why) = match already {
            true => (Now::Done, format!("every target is in {expected}")),
            false => (
                Now::NotDone,
                "each target answers and can be switched".into(),
            ),
        };
        Ok(summed(ready, now, &why))
    }

    async fn foresee_queries(
        &self,
        plan: &Plan,
        env: &Environment,
        queries: &[Query],
        ahead: &Ahead,
    ) -> Result<Foreseen> {
        let looked = self.query_now(&plan.runbook, env, queries, ahead).await?;
        Ok(of_looked(looked, "queries are as expected", plan))
    }

    /// The last looks are read from a copy: this one is not to be remembered.
    async fn query_now(
        &self,
        document: &str,
        env: &Environment,
        queries: &[Query],
        ahead: &Ahead,
    ) -> Result<Vec<Looked>> {
        use crate::check::queries::{Options, run};
        use crate::error::{Doing as _, Exit};
        let copying = "copying the last looks of the verification queries";
        let folder = tempfile::tempdir().doing(Exit::Failed, copying)?;
        let copy = folder.path().join("looks.json");
        let kept = self.looks_file(document);
        if kept.exists() {
            std::fs::copy(&kept, &copy).doing(Exit::Failed, copying)?;
        }
        let options = Options {
            looks: Some(copy),
            document: document.to_owned(),
            ..Options::default()
        };
        let results = run(&self.database(env)?, queries, &options).await;
        let on = [
            Changes::Schema,
            Changes::Key,
            Changes::Toggles,
            Changes::Traffic,
        ];
        let before = ahead.before(&env.name, &on);
        let looked = results.into_iter();
        Ok(looked
            .map(|r| Looked::new(r.check, before.clone()))
            .collect())
    }

    async fn foresee_completion(&self, plan: &Plan, ahead: &Ahead) -> Result<Foreseen> {
        let mut looked = Vec::new();
        for criterion in &plan.criteria {
            looked.push(self.foresee_criterion(plan, criterion, ahead).await?);
        }
        Ok(of_looked(looked, "criteria hold", plan))
    }

    async fn foresee_criterion(
        &self,
        plan: &Plan,
        criterion: &Criterion,
        ahead: &Ahead,
    ) -> Result<Looked> {
        let last_bake = |gates: &[String]| {
            let bakes = |p: &&Planned| {
                matches!(&p.step.kind, StepKind::Bake { gates: baked, .. }
                    if gates.iter().any(|g| baked.contains(g)))
            };
            plan.forward
                .iter()
                .rev()
                .find(bakes)
                .map(|p| p.step.id.clone())
        };
        let unknown = |why: &str, before| (Verdict::Inconclusive, why.to_owned(), before);
        let (verdict, summary, before) = match &criterion.proof {
            Proof::Modes { env, set } => {
                let (verdict, why) = self.modes_hold(env, Modes::resolve(set)).await?;
                (verdict, why, ahead.before(env, &[Changes::Toggles]))
            }
            Proof::Gates { gates } => unknown("the gates are judged in this run", last_bake(gates)),
            Proof::Queries { env, queries } => {
                let queries = prove::named(&plan.queries, queries);
                let env = self.environment(env)?;
                let looked = self.query_now(&plan.runbook, env, &queries, ahead).await?;
                let verdict = Verdict::worst(looked.iter().map(|l| l.result.verdict));
                let wrong = looked.iter().find(|l| l.result.verdict == verdict);
                let why = wrong.map_or_else(String::new, |l| {
                    format!("{}: {}", l.result.name, l.result.summary)
                });
                let before = looked.into_iter().find_map(|l| l.not_before);
                (verdict, why, before)
            }
            Proof::Rehearsal { step } => unknown("it is rehearsed in this run", Some(step.clone())),
            Proof::Rehearsed { env, within } => {
                let (verdict, why) = self.rehearsed(plan, env, *within).await;
                (verdict, why, None)
            }
        };
        let result = result(&criterion.id, "", verdict, summary, None);
        Ok(Looked::new(result, before))
    }
}

impl Looked {
    /// What holds already needs no earlier step.
    pub(super) fn new(result: CheckResult, before: Option<String>) -> Self {
        Self {
            not_before: before.filter(|_| result.verdict != Verdict::Pass),
            result,
        }
    }
}

fn changes(kind: &StepKind) -> Option<Changes> {
    match kind {
        StepKind::Command { .. } => Some(Changes::Anything),
        StepKind::Migrate => Some(Changes::Schema),
        StepKind::Keys => Some(Changes::Key),
        StepKind::Toggles { .. } | StepKind::Restart { .. } => Some(Changes::Toggles),
        StepKind::Carry { .. } | StepKind::Smoke { .. } | StepKind::Rehearse { .. } => {
            Some(Changes::Traffic)
        }
        StepKind::Confirm { .. }
        | StepKind::Approve { .. }
        | StepKind::Preflight
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Bake { .. }
        | StepKind::Recover { .. }
        | StepKind::Complete => None,
    }
}

/// The program itself is never run; its probe is, where the runbook has one.
async fn foresee_command(
    run: &[String],
    probe: Option<&[String]>,
    undo: Option<&[String]>,
    timeout: Duration,
) -> Foreseen {
    for argv in [Some(run), probe, undo].into_iter().flatten() {
        let program = argv.first().map_or("", String::as_str);
        if !is_found(program) {
            let why = format!("{} is not there", program.escape_debug());
            return Foreseen::judged(Verdict::Fail, why);
        }
    }
    match probe {
        None => Foreseen::new(Now::NotRun, "the runbook names no probe for it"),
        Some(probe) => {
            let (found, why) = program::ask(probe, timeout).await;
            let now = match found {
                Found::Done => Now::Done,
                Found::NotDone => Now::NotDone,
                Found::Unknown => Now::CannotTell,
            };
            Foreseen::new(now, why)
        }
    }
}

/// Whether a program is where the system would look for it.
fn is_found(program: &str) -> bool {
    let path = Path::new(program);
    if program.is_empty() {
        return false;
    }
    // Windows adds endings of its own.
    if path.components().count() > 1 || cfg!(not(unix)) {
        return path.exists() || cfg!(not(unix));
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(path).is_file())
}

/// Whether each target can be carried over and, with `set`, be switched.
async fn look_at_members(fleet: &Fleet, set: Option<&BTreeMap<Toggle, Mode>>) -> Vec<CheckResult> {
    let looked = fleet.all(|m| async move {
        let said = m.client.health().await;
        let health = said.map_err(|e| e.failure.to_string())?;
        if health.fenced {
            return Err("it is fenced: another switch is under way, or one was broken off".into());
        }
        // As its administrator: whether it lets us is known only by asking.
        let exported = m.client.export().await;
        exported.map_err(|e| format!("its state cannot be exported: {}", e.failure))?;
        if let Some(set) = set {
            let env_file = &m.target.env_file;
            toggle::preview(env_file, set).map_err(|p| p.to_string())?;
            is_writable(env_file)?;
            is_writable(&m.target.state_dir.join("carry.json"))?;
        }
        Ok(())
    });
    let looked = looked.await.into_iter();
    looked
        .map(|(member, said)| of_member(member, "target", said))
        .collect()
}

/// A file is replaced by another one in its folder.
#[cfg(unix)]
fn is_writable(file: &Path) -> std::result::Result<(), String> {
    let folder = crate::durable::parent(file);
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)
        .map_err(|e| format!("{} cannot be written: {e}", folder.display()))
}

#[cfg(not(unix))]
fn is_writable(_file: &Path) -> std::result::Result<(), String> {
    Ok(())
}

fn of_member(member: &Member, name: &str, said: std::result::Result<(), String>) -> CheckResult {
    let (verdict, summary) = match said {
        Ok(()) => (Verdict::Pass, "ready".to_owned()),
        Err(why) => (Verdict::Error, why),
    };
    result(name, &member.target.name, verdict, summary, None)
}

fn result(
    name: &str,
    subject: &str,
    verdict: Verdict,
    summary: String,
    next: Option<String>,
) -> CheckResult {
    CheckResult {
        name: name.to_owned(),
        subject: subject.to_owned(),
        verdict,
        summary,
        next,
        evidence: Vec::new(),
        duration: Duration::ZERO,
    }
}

/// `now` where everything that it needs is there, else what is missing.
fn summed(results: Vec<CheckResult>, now: Now, why: &str) -> Foreseen {
    let verdict = Verdict::worst(results.iter().map(|r| r.verdict));
    if verdict == Verdict::Pass {
        return Foreseen::new(now, why);
    }
    let wrong = results.into_iter().filter(|r| r.verdict != Verdict::Pass);
    Foreseen {
        checks: wrong.map(|r| Looked::new(r, None)).collect(),
        ..Foreseen::judged(verdict, "it could not be done now")
    }
}

/// Several checks: what does not hold and cannot yet counts for none, as long as nothing else fails.
fn of_looked(checks: Vec<Looked>, hold: &str, plan: &Plan) -> Foreseen {
    let judged = || checks.iter().filter(|l| l.not_before.is_none());
    let passed = judged()
        .filter(|l| l.result.verdict == Verdict::Pass)
        .count();
    let why = format!("{passed} of {} {hold} now", checks.len());
    let worst = Verdict::worst(judged().map(|l| l.result.verdict));
    // The last of them in the plan.
    let before = plan.forward.iter().rev().map(|p| &p.step.id);
    let before = before
        .into_iter()
        .find(|id| checks.iter().any(|l| l.not_before.as_ref() == Some(*id)))
        .cloned();
    let now = match before {
        Some(before) if worst == Verdict::Pass || judged().count() == 0 => Now::NotKnown { before },
        Some(_) | None => Now::Judged { verdict: worst },
    };
    Foreseen { now, why, checks }
}

fn with_hint(problem: &Problem) -> String {
    match problem.hint() {
        Some(next) => format!("{problem} (next: {next})"),
        None => problem.to_string(),
    }
}
