//! Steps that only look, and what they saw as evidence.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Live, failed, succeeded};
use crate::carry::over::Fleet;
use crate::check::integrity::Integrity;
use crate::check::preflight::{Preflight, ServiceDatabase};
use crate::check::queries::{self, Options};
use crate::check::{CheckResult, Verdict};
use crate::error::Result;
use crate::rollout::machine::{Outcome, Progress};
use crate::rollout::ports::{Done, Job};
use crate::rollout::rehearsal;
use crate::runbook::model::{Criterion, Proof, Query};
use crate::runbook::plan::Plan;
use crate::runtime::toggles::Modes;

impl Live {
    pub(super) async fn smoke(&self, job: &Job, checks: &[String]) -> Result<Done> {
        let mut results = Vec::new();
        for (env, fleet) in self.fleets(&job.targets())? {
            let database = self.database(env)?;
            let targets: Vec<_> = fleet.members().iter().map(|m| &m.target).collect();
            let smoke = crate::check::smoke::Smoke::new(&self.settings.config.smoke, env)?;
            let checks = crate::check::smoke::Check::select(checks)?;
            results.extend(smoke.run(&targets, &checks, Some(&database)).await);
        }
        Ok(of_results(&results))
    }

    pub(super) async fn verify(&self, job: &Job, names: &[String]) -> Result<Done> {
        let queries = named(&job.plan.queries, names);
        let mut results = Vec::new();
        for env in job.environments() {
            let of_env = self.queries(&env, &queries, job).await?;
            results.extend(of_env.into_iter().map(|r| CheckResult {
                subject: env.clone(),
                ..r
            }));
        }
        Ok(of_results(&results))
    }

    /// In every environment that the step acts on.
    pub(super) async fn integrity(&self, job: &Job) -> Result<Done> {
        let mut results = Vec::new();
        for name in job.environments() {
            let env = self.environment(&name)?;
            let database = self.database(env)?;
            let of_env = Integrity::new(&self.settings, Some(env), &database)
                .run()
                .await;
            results.extend(of_env.into_iter().map(|r| CheckResult {
                subject: match r.subject.as_str() {
                    "" => name.clone(),
                    subject => format!("{name}: {subject}"),
                },
                ..r
            }));
        }
        Ok(of_results(&results))
    }

    pub(super) async fn preflight(&self, job: &Job) -> Result<Done> {
        let env = self.environment(&job.planned().step.env)?;
        let database = self.database(env)?;
        let mut preflight = Preflight::new(&self.settings, env, &database);
        if self.in_process {
            preflight.service = ServiceDatabase::ThisPool;
        }
        let results = preflight.run().await;
        Ok(of_results(&results))
    }

    async fn queries(&self, env: &str, queries: &[Query], job: &Job) -> Result<Vec<CheckResult>> {
        let database = self.database(self.environment(env)?)?;
        let options = Options {
            looks: Some(self.looks_file(&job.plan.runbook)),
            document: job.plan.runbook.clone(),
            ..Options::default()
        };
        let results = queries::run(&database, queries, &options).await;
        Ok(results.into_iter().map(|r| r.check).collect())
    }

    /// Where the last looks of a runbook's queries are kept.
    pub(super) fn looks_file(&self, runbook: &str) -> std::path::PathBuf {
        let journal = crate::durable::parent(&self.settings.config.journal.path);
        journal.join("verify").join(format!("{runbook}.json"))
    }

    /// The completion criteria: all of them must hold, each with evidence.
    pub(super) async fn complete(&self, job: &Job) -> Result<Done> {
        let mut results = Vec::new();
        for criterion in &job.plan.criteria {
            results.push(self.criterion(criterion, job).await?);
        }
        Ok(of_results(&results))
    }

    async fn criterion(&self, criterion: &Criterion, job: &Job) -> Result<CheckResult> {
        let began = std::time::Instant::now();
        let (verdict, summary) = match &criterion.proof {
            Proof::Modes { env, set } => self.modes_hold(env, Modes::resolve(set)).await?,
            Proof::Gates { gates } => {
                let missing: Vec<&str> = gates
                    .iter()
                    .filter(|g| !job.state.passed_gates.contains(g))
                    .map(String::as_str)
                    .collect();
                match missing.as_slice() {
                    [] => (
                        Verdict::Pass,
                        format!("passed in this run: {}", gates.join(", ")),
                    ),
                    missing => (
                        Verdict::Fail,
                        format!("not passed in this run: {}", missing.join(", ")),
                    ),
                }
            }
            Proof::Queries { env, queries } => {
                let queries = named(&job.plan.queries, queries);
                let results = self.queries(env, &queries, job).await?;
                let verdict = Verdict::worst(results.iter().map(|r| r.verdict));
                (verdict, summaries(&results))
            }
            Proof::Rehearsal { step } => {
                let index = job.plan.forward.iter().position(|p| p.step.id == *step);
                let done = index
                    .and_then(|i| job.state.forward.get(i))
                    .is_some_and(|s| s.progress == Progress::Done);
                let documented = !job.plan.rollback.is_empty();
                match (done, documented) {
                    (true, true) => (
                        Verdict::Pass,
                        format!("{step} went back and forward in this run"),
                    ),
                    (false, _) => (Verdict::Fail, format!("{step} was not done in this run")),
                    (_, false) => (Verdict::Fail, "the runbook documents no rollback".into()),
                }
            }
            Proof::Rehearsed { env, within } => self.rehearsed(&job.plan, env, *within).await,
        };
        Ok(CheckResult {
            name: criterion.id.clone(),
            subject: String::new(),
            verdict,
            summary,
            next: None,
            evidence: Vec::new(),
            duration: began.elapsed(),
        })
    }

    /// Whether what the plan does in `env` was rehearsed there, and when.
    pub(super) async fn rehearsed(
        &self,
        plan: &Plan,
        env: &str,
        within: Duration,
    ) -> (Verdict, String) {
        let Some(part) = rehearsal::part(plan, env) else {
            return (Verdict::Fail, format!("no step acts in {env}"));
        };
        let folder = rehearsal::folder(&self.settings.config.journal.path, env);
        let hash = rehearsal::part_hash(&part);
        match rehearsal::evidence(&folder, &hash, within, Timestamp::now()).await {
            Ok(record) => {
                let quick = match record.shortened_ms {
                    Some(ms) => format!(", bakes shortened to {ms} ms"),
                    None => String::new(),
                };
                let ended = record.ended.unwrap_or(record.began);
                let ways = record.cases.len();
                let text = format!("{ways} ways were rehearsed in {env} until {ended}{quick}");
                (Verdict::Pass, text)
            }
            Err(why) => (
                Verdict::Fail,
                format!("{why}; dbctl --env {env} rollout rehearse"),
            ),
        }
    }

    pub(super) async fn modes_hold(&self, env: &str, expected: Modes) -> Result<(Verdict, String)> {
        let env = self.environment(env)?;
        let fleet = Fleet::everyone(env)?;
        let mut wrong = Vec::new();
        for (member, health) in fleet.all(|m| m.client.health()).await {
            let name = &member.target.name;
            match health {
                Ok(health) if health.modes == expected => {}
                Ok(health) => wrong.push(format!("{name} says {}", health.modes)),
                Err(e) => {
                    return Ok((
                        Verdict::Error,
                        format!("{name} does not answer: {}", e.failure),
                    ));
                }
            }
        }
        Ok(match wrong.as_slice() {
            [] => (
                Verdict::Pass,
                format!(
                    "{} targets say themselves: {expected}",
                    fleet.members().len()
                ),
            ),
            wrong => (Verdict::Fail, wrong.join("; ")),
        })
    }
}

/// The queries of these names; all of them for none. The parser has checked the names.
pub(super) fn named(queries: &[Query], names: &[String]) -> Vec<Query> {
    queries
        .iter()
        .filter(|q| names.is_empty() || names.contains(&q.name))
        .cloned()
        .collect()
}

fn summaries(results: &[CheckResult]) -> String {
    let lines = results
        .iter()
        .map(|r| format!("{}: {} ({})", r.name, r.verdict, r.summary));
    lines.collect::<Vec<_>>().join("; ")
}

/// The outcome of a step that consists of checks.
fn of_results(results: &[CheckResult]) -> Done {
    let evidence = json!(results);
    let wrong: Vec<String> = results
        .iter()
        .filter(|r| r.verdict != Verdict::Pass)
        .map(|r| {
            let next = r.next.iter().map(|next| format!(" (next: {next})"));
            let next: String = next.collect();
            match r.subject.as_str() {
                "" => format!("{}: {}{next}", r.name, r.summary),
                subject => format!("{} on {subject}: {}{next}", r.name, r.summary),
            }
        })
        .collect();
    match Verdict::worst(results.iter().map(|r| r.verdict)) {
        Verdict::Pass => succeeded(evidence),
        Verdict::Fail => failed(wrong.join("; "), evidence),
        Verdict::Inconclusive | Verdict::Error => Done {
            outcome: Outcome::Inconclusive(if wrong.is_empty() {
                "nothing was looked at".into()
            } else {
                wrong.join("; ")
            }),
            evidence,
        },
    }
}
