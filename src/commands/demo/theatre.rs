//! Opening, playing and closing: the databases, the instances, the traffic, the two acts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Executor as _;

use super::autopilot::Autopilot;
use super::finale::{Act, Finale};
use crate::carry::client::http;
use crate::carry::kit::Kit;
use crate::carry::over::{self, Fleet, Store};
use crate::commands::Context;
use crate::commands::rollout::world::Live;
use crate::demo::record::Phase;
use crate::demo::service::FaultSettings;
use crate::demo::stage::{SERVICE_ROLE, Stage};
use crate::demo::supervisor::Supervisor;
use crate::demo::traffic::{self, Traffic};
use crate::error::{Chain, Exit, Problem, Result};
use crate::pg::embedded::Embedded;
use crate::pg::{self, Database, problem};
use crate::rollout::engine::{Ending, Engine};
use crate::rollout::journal::Journal;
use crate::runbook::plan::Plan;
use crate::runtime::toggles::Toggle;
use crate::settings::Settings;
use crate::toggle::{self, Patience};

pub struct Theatre {
    settings: Settings,
    stage: Stage,
    engines: Vec<Embedded>,
    databases: BTreeMap<String, Database>,
    supervisor: Supervisor,
    traffic: Option<Traffic>,
    bake: Duration,
}

impl Theatre {
    pub async fn open(dir: &Path, bake: Duration, context: &Context) -> Result<Self> {
        let ui = &context.ui;
        ui.status("starting an embedded PostgreSQL 17 for staging and one for production");
        let supervisor = Supervisor::default();
        let stage = Stage::set(dir, supervisor.listen().await?)?;
        let settings = context.settings.with_file(&stage.settings)?;
        let mut engines = Vec::new();
        let mut databases = BTreeMap::new();
        for env in settings.config.environments.keys() {
            let embedded = Embedded::start().await?;
            databases.insert(env.clone(), embedded.database().clone());
            engines.push(embedded);
        }
        ui.status("starting four instances of the reference service on memory and files");
        for player in &stage.instances {
            let database = databases[player.env].clone();
            supervisor.start(player.clone(), database).await?;
        }
        let mut options = traffic::Options::new(fleets(&stage));
        options.requests_per_second = 160;
        let traffic = Some(Traffic::start(options)?);
        Ok(Self {
            settings,
            stage,
            engines,
            databases,
            supervisor,
            traffic,
            bake,
        })
    }

    /// Both acts; the report says what was proven.
    pub async fn play(&mut self, context: &Context) -> Result<Finale> {
        let ui = &context.ui;
        ui.status("\nACT 1  a DBA applies the migrations, then the runbook moves the service\n");
        for database in self.databases.values() {
            prepare(database).await?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.enter(Phase::During);
        let first = self.act(context, None).await?;
        if first.ending != Ending::Completed {
            return self.finale(vec![first], 0).await;
        }
        self.enter(Phase::After);

        ui.status("\nback to memory and files by hand, so that the second act can begin\n");
        self.set_back().await?;
        let before = self.rows().await?;
        ui.status(
            "\nACT 2  the same again, and the key look-ups of the canary break in the bake\n",
        );
        self.enter(Phase::During);
        let second = self.act(context, Some(self.canary())).await?;
        self.enter(Phase::After);
        let lost = self.rows_lost(&before).await?;
        self.finale(vec![first, second], lost).await
    }

    async fn finale(&mut self, acts: Vec<Act>, rows_lost: i64) -> Result<Finale> {
        let traffic = self.traffic.take().ok_or_else(|| {
            Problem::new(Exit::Failed, "summing up", "the traffic was stopped before")
        })?;
        traffic.sweep().await;
        let summary = traffic.stop().await;
        Ok(Finale::new(acts, summary, rows_lost, &self.stage.settings))
    }

    fn enter(&self, phase: Phase) {
        if let Some(traffic) = &self.traffic {
            traffic.enter(phase);
        }
    }

    /// The base URL of the canary.
    fn canary(&self) -> String {
        let canary = self.stage.instances.iter().find(|p| p.name == "auth-1");
        canary.map(|p| p.url.clone()).unwrap_or_default()
    }

    /// One run of the shipped runbook. `broken` is an instance whose key look-ups fail once the
    /// bake is under way.
    async fn act(&self, context: &Context, broken: Option<String>) -> Result<Act> {
        let runbook = crate::runbook::built_in()?;
        let plan = Plan::resolve(&runbook, &self.settings, Some(self.bake))?;
        let journal = Journal::create(&self.settings.config.journal.path).await?;
        let world = Arc::new(Live::with_databases(
            self.settings.clone(),
            context.ui.clone(),
            self.databases.clone(),
        ));
        let operator = Autopilot::new(context.ui.clone());
        let breaking = broken.map(|url| tokio::spawn(break_in_bake(url, operator.baking())));
        let mut engine = Engine::start(world, operator.clone(), journal.clone(), plan).await?;
        // Nobody asks to leave: the demo as a whole is interrupted.
        let (_quiet, mut interrupts) = tokio::sync::mpsc::channel(1);
        let ending = engine.drive(&mut interrupts).await?;
        if let Some(breaking) = breaking {
            breaking.abort();
        }
        let entries = journal.entries(engine.run()).await?;
        Act::new(
            engine.run().clone(),
            ending,
            operator.moments(),
            &entries,
            engine.plan(),
        )
    }

    /// What `dbctl toggles set` does with every toggle: carry back, set, restart, settle.
    async fn set_back(&self) -> Result<()> {
        let local = Toggle::ALL.into_iter().map(|t| (t, t.local())).collect();
        for (name, database) in &self.databases {
            let env = self.settings.environment(Some(name))?;
            let fleet = Fleet::everyone(env)?;
            let store = Store {
                database,
                key_id: &self.settings.config.keys.key_id,
            };
            let kit = Kit::of(&self.settings, env)?;
            let (_, placed) = over::back(&fleet, &fleet, Some(store), &kit, &|_| {}).await?;
            let flip = toggle::flip(
                &fleet,
                &local,
                Some(&placed.snapshot),
                Patience::default(),
                &|_| {},
            );
            for switched in flip.await {
                switched.result?;
            }
            over::settle(&fleet, Some(store), &placed, &|_| {}).await;
        }
        Ok(())
    }

    /// How many rows each table of production holds.
    async fn rows(&self) -> Result<BTreeMap<&'static str, i64>> {
        let database = &self.databases["production"];
        let mut rows = BTreeMap::new();
        let counting = |e| problem("counting the rows", &e);
        let mut tx = database.begin().await.map_err(counting)?;
        for (table, sql) in TABLES {
            let count: i64 = pg::query_scalar(sql)
                .fetch_one(&mut *tx)
                .await
                .map_err(|e| problem(format!("counting {table}"), &e))?;
            rows.insert(table, count);
        }
        tx.commit().await.map_err(counting)?;
        Ok(rows)
    }

    /// Rows that are not there any more, over all tables: none may be (P9).
    async fn rows_lost(&self, before: &BTreeMap<&'static str, i64>) -> Result<i64> {
        let after = self.rows().await?;
        let lost = |(table, count): (&&str, &i64)| (count - after[*table]).max(0);
        Ok(before.iter().map(lost).sum())
    }

    pub async fn close(self) -> Result<()> {
        if let Some(traffic) = self.traffic {
            traffic.stop().await;
        }
        self.supervisor.stop().await;
        drop(self.databases);
        for embedded in self.engines {
            embedded.stop().await?;
        }
        Ok(())
    }
}

const TABLES: [(&str, &str); 5] = [
    (
        "signing_key_versions",
        "SELECT count(*) FROM security.signing_key_versions",
    ),
    (
        "revoked_tokens",
        "SELECT count(*) FROM security.revoked_tokens",
    ),
    (
        "revoked_sessions",
        "SELECT count(*) FROM security.revoked_sessions",
    ),
    (
        "nonce_watermarks",
        "SELECT count(*) FROM security.nonce_watermarks",
    ),
    (
        "policy_decisions",
        "SELECT count(*) FROM authz.policy_decisions",
    ),
];

fn fleets(stage: &Stage) -> Vec<traffic::Fleet> {
    let mut fleets: Vec<traffic::Fleet> = Vec::new();
    for player in &stage.instances {
        let instance = traffic::Instance {
            name: player.name.into(),
            url: player.url.clone(),
        };
        match fleets.last_mut() {
            Some(fleet) if fleet.name == player.env => fleet.instances.push(instance),
            Some(_) | None => fleets.push(traffic::Fleet {
                name: player.env.into(),
                instances: vec![instance],
            }),
        }
    }
    fleets
}

/// What a DBA does first: the migrations, and a role for the service.
async fn prepare(database: &Database) -> Result<()> {
    let files = crate::migrate::load(&crate::migrate::Source::BuiltIn)?;
    let options = crate::migrate::Options::default();
    crate::migrate::apply(database, &files, &options, &mut |_| {}).await?;
    for sql in [
        format!("CREATE ROLE {SERVICE_ROLE} LOGIN"),
        format!("GRANT security_runtime TO {SERVICE_ROLE}"),
    ] {
        database
            .pool()
            .execute(sqlx::AssertSqlSafe(sql))
            .await
            .map_err(|e| problem("making the service's role", &e))?;
    }
    Ok(())
}

/// Breaks the key look-ups of one instance a moment after the bake began.
async fn break_in_bake(url: String, mut baking: tokio::sync::watch::Receiver<bool>) -> Result<()> {
    let doing = "injecting the fault";
    let gone = |e: &dyn std::error::Error| Problem::new(Exit::Failed, doing, Chain(e));
    baking
        .wait_for(|baking| *baking)
        .await
        .map_err(|e| gone(&e))?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let faults = FaultSettings {
        key_lookup_failure_ratio: 0.9,
        ..FaultSettings::default()
    };
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let sent = http()?
            .post(format!("{url}/v1/faults"))
            .json(&faults)
            .send()
            .await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return Ok(()),
            Err(e) if Instant::now() > until => return Err(gone(&e)),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
