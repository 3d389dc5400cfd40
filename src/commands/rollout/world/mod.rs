//! The world as the engine reaches it: steps done with the domain rooms.

mod compare;
mod expected;
mod foresee;
mod kits;
mod logs;
mod look;
mod metrics;
mod past;
mod program;
mod prove;
mod set_back;
mod sources;
mod switch;
mod witness;

pub use compare::Disagreement;
pub use expected::expected;
pub use foresee::{Foreseen, Now};
pub use metrics::Margin;
pub use past::Past;
pub use witness::Witness;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::carry::driver::Driver;
use crate::carry::over::{Fleet, Placed, Store};
use crate::check::logs::LogExcerpt;
use crate::commands::Context;
use crate::contract::KitSeal;
use crate::error::{Exit, Problem, Result};
use crate::keys::{By, Kek};
use crate::pg::Database;
use crate::rollout::journal::RunId;
use crate::rollout::machine::{Found, Outcome, Part};
use crate::rollout::person::Person;
use crate::rollout::ports::{Done, Job, Look, Looked, World};
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, TargetRef};
use crate::settings::{Environment, Settings, Target};
use crate::ui::Ui;

/// How long a target's files may take before driving begins without a word from them.
const TAKE_WITHIN: Duration = Duration::from_millis(500);

/// The real world of a set of settings.
pub struct Live {
    settings: Settings,
    ui: Ui,
    /// One pool for each environment, opened when it is first needed.
    databases: Mutex<BTreeMap<String, Database>>,
    /// What a rollback placed, for the settling after its restart.
    placed: Mutex<BTreeMap<String, Placed>>,
    /// The driver that this process is, to the targets.
    driver: Mutex<Option<Arc<Driver>>>,
    /// The journal does not answer, so nobody here knows the newest token.
    without_journal: bool,
    kits: Mutex<kits::Kits>,
    watch: tokio::sync::Mutex<Option<look::Watching>>,
    /// The services run in this process, on the databases that were given.
    in_process: bool,
}

impl Live {
    pub fn new(context: &Context) -> Result<Self> {
        Ok(Self::with_databases(
            context.settings.clone(),
            context.ui.clone(),
            BTreeMap::new(),
        ))
    }

    /// For a rollback without the journal: its tokens may be behind those that the targets know,
    /// so it comes to them as a run of its own, which a rollback may be.
    pub fn without_journal(context: &Context) -> Result<Self> {
        Ok(Self {
            without_journal: true,
            ..Self::new(context)?
        })
    }

    /// With databases that are open already: the demo's embedded one serves a single connection,
    /// which everything in the process shares.
    pub fn with_databases(
        settings: Settings,
        ui: Ui,
        databases: BTreeMap<String, Database>,
    ) -> Self {
        Self {
            settings,
            ui,
            in_process: !databases.is_empty(),
            databases: Mutex::new(databases),
            placed: Mutex::new(BTreeMap::new()),
            driver: Mutex::new(None),
            without_journal: false,
            kits: Mutex::default(),
            watch: tokio::sync::Mutex::new(None),
        }
    }

    fn environment(&self, name: &str) -> Result<&Environment> {
        self.settings.environment(Some(name))
    }

    fn database(&self, env: &Environment) -> Result<Database> {
        let mut databases = self.databases.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(database) = databases.get(&env.name) {
            return Ok(database.clone());
        }
        let database = Database::resolve(&self.settings, Some(env), &|weak| self.ui.warn(weak))?;
        databases.insert(env.name.clone(), database.clone());
        Ok(database)
    }

    fn store<'a>(&'a self, database: &'a Database) -> Store<'a> {
        Store {
            database,
            key_id: &self.settings.config.keys.key_id,
        }
    }

    /// The file that a program step's process keeps locked.
    fn step_lock(&self, job: &Job) -> std::path::PathBuf {
        let journal = &self.settings.config.journal.path;
        let steps = crate::durable::parent(journal).join("steps");
        steps.join(format!("{}.lock", job.planned().step.id))
    }

    /// The targets of `refs` by environment.
    fn fleets(&self, refs: &[TargetRef]) -> Result<Vec<(&Environment, Fleet)>> {
        let driver = self
            .driver
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone();
        let mut by_env: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for target in refs {
            by_env
                .entry(&target.env)
                .or_default()
                .push(target.name.clone());
        }
        by_env
            .into_iter()
            .map(|(name, on)| {
                let env = self.environment(name)?;
                let fleet = Fleet::new(env, &env.select(&on)?)?.driven_by(driver.as_ref());
                Ok((env, fleet))
            })
            .collect()
    }

    async fn try_perform(&self, job: &Job) -> Result<Done> {
        let planned = job.planned();
        match &planned.step.kind {
            StepKind::Command { run, timeout, .. } => {
                Ok(program::run(run, *timeout, &self.step_lock(job)).await)
            }
            StepKind::Preflight => self.preflight(job).await,
            StepKind::Migrate => self.migrate(&planned.step.env).await,
            StepKind::Keys => self.seed_keys(&planned.step.env).await,
            StepKind::Carry { .. } => self.carry(job).await,
            StepKind::Toggles { set, restart, .. } => self.toggles(job, set, *restart).await,
            StepKind::Restart { .. } => self.restart(job).await,
            StepKind::Rehearse { .. } => self.rehearse(job).await,
            StepKind::Recover { timeout, .. } => self.recover(job, *timeout).await,
            StepKind::Smoke { checks, .. } => self.smoke(job, checks).await,
            StepKind::Verify { queries } => self.verify(job, queries).await,
            StepKind::Integrity => self.integrity(job).await,
            StepKind::Complete => self.complete(job).await,
            StepKind::Confirm { .. } | StepKind::Approve { .. } | StepKind::Bake { .. } => {
                Ok(failed("this kind of step is not carried out", Value::Null))
            }
        }
    }

    async fn migrate(&self, env: &str) -> Result<Done> {
        let env = self.environment(env)?;
        let database = self.database(env)?;
        let source = crate::migrate::Source::resolve(None, &self.settings);
        let files = crate::migrate::load(&source)?;
        let options = crate::migrate::Options::default();
        let outcome = crate::migrate::apply(&database, &files, &options, &mut |event| {
            if let crate::migrate::Event::LockedOut { .. } = event {
                self.ui
                    .status("another migrate apply works on this database; waiting for it");
            }
        })
        .await?;
        Ok(succeeded(json!({
            "database": database.to_string(),
            "applied": outcome.applied,
            "before": outcome.before,
        })))
    }

    async fn seed_keys(&self, env: &str) -> Result<Done> {
        let env = self.environment(env)?;
        let database = self.database(env)?;
        let keys = &self.settings.config.keys;
        let kek = Kek::of_environment(env).await?;
        let by = By::new(Person::of_system(), Some("a step of a rollout".into()));
        let (seeded, recorded) =
            crate::keys::seed(&database, &keys.key_id, keys.algorithm, &kek, &[], &by).await?;
        Ok(succeeded(
            json!({ "key_id": keys.key_id, "seeded": seeded, "recorded": recorded }),
        ))
    }

    /// What a step in doubt left behind, without doing anything.
    async fn try_probe(&self, job: &Job) -> Result<(Found, String)> {
        let planned = job.planned();
        let again = |why: &str| Ok((Found::NotDone, why.to_owned()));
        match &planned.step.kind {
            StepKind::Command { probe, timeout, .. } => match probe {
                Some(probe) => Ok(program::probe(probe, *timeout, &self.step_lock(job)).await),
                None => Ok((
                    Found::Unknown,
                    "the step has no probe: look for yourself, then say what you saw with `dbctl rollout resolve`".into(),
                )),
            },
            StepKind::Migrate => {
                let database = self.database(self.environment(&planned.step.env)?)?;
                let source = crate::migrate::Source::resolve(None, &self.settings);
                let status =
                    crate::migrate::status(&database, &crate::migrate::load(&source)?).await?;
                let pending = status.count(crate::migrate::State::Pending);
                Ok((
                    if pending == 0 {
                        Found::Done
                    } else {
                        Found::NotDone
                    },
                    format!("{pending} migrations are pending"),
                ))
            }
            StepKind::Toggles { set, restart, .. } => self.probe_toggles(job, set, *restart).await,
            StepKind::Keys => again("seeding again changes nothing"),
            StepKind::Carry { .. } => again("carrying again changes nothing"),
            StepKind::Restart { .. } => again("it is confirmed anew"),
            StepKind::Rehearse { .. } => again("a rehearsal begins with going back"),
            StepKind::Recover { .. }
            | StepKind::Preflight
            | StepKind::Smoke { .. }
            | StepKind::Verify { .. }
            | StepKind::Integrity
            | StepKind::Confirm { .. }
            | StepKind::Approve { .. }
            | StepKind::Bake { .. }
            | StepKind::Complete => again("it only looks"),
        }
    }
}

impl World for Live {
    async fn take(&self, plan: Arc<Plan>, run: &RunId, token: u64, holder: &str) -> Vec<String> {
        let driver = Arc::new(Driver {
            run: match self.without_journal {
                true => format!("{run}, without the journal, by {holder}"),
                false => run.to_string(),
            },
            token,
            holder: holder.to_owned(),
        });
        *self.driver.lock().unwrap_or_else(|e| e.into_inner()) = Some(driver.clone());
        let targets = plan.environments.iter().flat_map(|e| {
            let names = e.targets.iter().map(|t| t.name.clone());
            let env = self.environment(&e.name).ok();
            names.filter_map(move |n| env?.targets.iter().find(|t| t.name == n).cloned())
        });
        tell(&driver, targets.collect()).await
    }

    async fn perform(&self, job: Job) -> Done {
        match self.try_perform(&job).await {
            Ok(done) => done,
            Err(problem) => of_problem(&job, &problem),
        }
    }

    async fn probe(&self, job: Job) -> (Found, String) {
        match self.try_probe(&job).await {
            Ok(found) => found,
            Err(problem) => (Found::Unknown, problem.to_string()),
        }
    }

    async fn look(&self, look: Look) -> Looked {
        self.look_at(look).await
    }

    async fn logs(&self, targets: Vec<TargetRef>, since_ms: u64) -> Vec<LogExcerpt> {
        self.read_logs(targets, since_ms).await
    }

    fn kits_recorded(&self, kits: &BTreeMap<String, Vec<KitSeal>>) {
        self.know_kits(kits);
    }

    fn kits_made(&self, all: bool) -> Vec<(String, KitSeal)> {
        self.unrecorded_kits(all)
    }

    async fn tend(&self, plan: Arc<Plan>, flipped: Vec<TargetRef>) -> Result<(), String> {
        let mut envs: Vec<&str> = flipped.iter().map(|t| t.env.as_str()).collect();
        envs.dedup();
        for planned in plan
            .environments
            .iter()
            .filter(|e| envs.contains(&e.name.as_str()))
        {
            let sync = async {
                let env = self.environment(&planned.name)?;
                let fleet = Fleet::everyone(env)?;
                let database = self.database(env)?;
                let kit = self.kit(env)?;
                crate::carry::over::sync(&fleet, self.store(&database), &kit, &|_| {}).await
            };
            let synced = sync.await.map_err(|p| p.to_string())?;
            self.kit_made(&planned.name, &synced, false);
        }
        Ok(())
    }
}

/// Makes `driver` known to targets; says where that could not be had.
async fn tell(driver: &Arc<Driver>, targets: Vec<Target>) -> Vec<String> {
    let taken = targets.into_iter().map(|target| {
        let driver = driver.clone();
        async move {
            let dir = target.state_dir.clone();
            let taking = tokio::task::spawn_blocking(move || driver.take(&dir));
            let why = match tokio::time::timeout(TAKE_WITHIN, taking).await {
                Ok(Ok(Ok(()))) => return None,
                Ok(Ok(Err(problem))) => problem.to_string(),
                Ok(Err(e)) => e.to_string(),
                Err(_) => "its files do not answer".into(),
            };
            Some(format!(
                "{}: an earlier driver may still change it: {why}",
                target.name
            ))
        }
    });
    let refused = futures_util::future::join_all(taken).await;
    refused.into_iter().flatten().collect()
}

fn succeeded(evidence: Value) -> Done {
    Done {
        outcome: Outcome::Succeeded,
        evidence,
    }
}

fn failed(why: impl Into<String>, evidence: Value) -> Done {
    Done {
        outcome: Outcome::Failed(why.into()),
        evidence,
    }
}

/// What an error means: a check that could not reach what it looks at is not judged; an effect
/// that could not be carried out has failed. Every effect here says so only when it is known.
fn of_problem(job: &Job, problem: &Problem) -> Done {
    let mut why = problem.to_string();
    if let Some(next) = problem.hint() {
        why += &format!(" (next: {next})");
    }
    let looks = match job.planned().step.kind {
        StepKind::Preflight
        | StepKind::Smoke { .. }
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Complete => true,
        StepKind::Command { .. }
        | StepKind::Migrate
        | StepKind::Keys
        | StepKind::Carry { .. }
        | StepKind::Toggles { .. }
        | StepKind::Restart { .. }
        | StepKind::Rehearse { .. }
        | StepKind::Recover { .. }
        | StepKind::Confirm { .. }
        | StepKind::Approve { .. }
        | StepKind::Bake { .. } => false,
    };
    let unreachable = problem.exit() == Exit::Unavailable || job.at.part == Part::Rollback;
    Done {
        outcome: if looks && unreachable {
            Outcome::Inconclusive(why)
        } else {
            Outcome::Failed(why)
        },
        evidence: Value::Null,
    }
}
