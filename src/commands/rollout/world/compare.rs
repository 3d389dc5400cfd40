//! The journal beside the world: what a run did, and what is there now.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use super::Live;
use super::expected::Expected;
use crate::carry::over::Member;
use crate::error::Result;
use crate::migrate;
use crate::runbook::plan::TargetRef;
use crate::runtime::toggles::Modes;
use crate::toggle;

/// How long a look may take. What does not answer by then could not be looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something of which the journal and the world say different things, or that could not be looked
/// at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    pub what: String,
    pub journal: String,
    pub world: String,
}

impl Live {
    /// Looks at everything that is expected. Empty: the journal and the world agree.
    pub async fn compare(&self, expected: &Expected) -> Vec<Disagreement> {
        let mut found = self.compare_files(&expected.toggles);
        let modes = self.compare_modes(&expected.modes);
        let migrated = expected.migrated.iter().map(|env| async move {
            let journal = "all migrations applied";
            let world = within(self.migrations(env)).await;
            disagreement(format!("migrations of {env}"), journal, world)
        });
        let keyed = expected.keyed.iter().map(|env| async move {
            let journal = "a current signing key";
            let world = within(self.current_key(env)).await;
            disagreement(format!("keys of {env}"), journal, world)
        });
        let (modes, migrated, keyed) = tokio::join!(
            modes,
            futures_util::future::join_all(migrated),
            futures_util::future::join_all(keyed)
        );
        found.extend(modes);
        found.extend(migrated.into_iter().chain(keyed).flatten());
        found
    }

    fn compare_files(&self, expected: &BTreeMap<TargetRef, Modes>) -> Vec<Disagreement> {
        let look = |(target, modes): (&TargetRef, &Modes)| {
            let says = || -> Result<Modes> {
                let env = self.environment(&target.env)?;
                let selected = env.select(std::slice::from_ref(&target.name))?;
                let file = selected.first().map(|t| toggle::read(t)).transpose()?;
                Ok(file.map_or(Modes::LOCAL, |f| f.modes))
            };
            of_modes(
                format!("env file of {target}"),
                *modes,
                says().map_err(|p| p.to_string()),
            )
        };
        expected.iter().filter_map(look).collect()
    }

    async fn compare_modes(&self, expected: &BTreeMap<TargetRef, Modes>) -> Vec<Disagreement> {
        let targets: Vec<TargetRef> = expected.keys().cloned().collect();
        let fleets = match self.fleets(&targets) {
            Ok(fleets) => fleets,
            Err(problem) => {
                let what = "services".to_owned();
                return Vec::from_iter(disagreement(what, "switched", Err(problem.to_string())));
            }
        };
        let asked = fleets.iter().map(|(env, fleet)| async move {
            let says = |m: &Member| {
                let client = m.client.clone();
                async move { within(async { Ok(client.health().await) }).await }
            };
            let answers = fleet.all(says).await.into_iter();
            let rows = answers.filter_map(|(member, answer)| {
                let target = TargetRef {
                    env: env.name.clone(),
                    name: member.target.name.clone(),
                };
                let modes = *expected.get(&target)?;
                let world = answer.and_then(|health| match health {
                    Ok(health) => Ok(health.modes),
                    Err(e) => Err(e.failure.to_string()),
                });
                of_modes(format!("service {target}"), modes, world)
            });
            rows.collect::<Vec<_>>()
        });
        let rows = futures_util::future::join_all(asked).await;
        rows.into_iter().flatten().collect()
    }

    /// What is not as it should be; none when all is applied.
    async fn migrations(&self, env: &str) -> Result<Option<String>> {
        let database = self.database(self.environment(env)?)?;
        let source = migrate::Source::resolve(None, &self.settings);
        let status = migrate::status(&database, &migrate::load(&source)?).await?;
        let of = |state, word| match status.count(state) {
            0 => None,
            n => Some(format!("{n} {word}")),
        };
        let wrong: Vec<String> = [
            of(migrate::State::Pending, "pending"),
            of(migrate::State::Missing, "applied without a file"),
            of(migrate::State::Divergent, "applied with another text"),
        ]
        .into_iter()
        .flatten()
        .collect();
        Ok((!wrong.is_empty()).then(|| wrong.join(", ")))
    }

    async fn current_key(&self, env: &str) -> Result<Option<String>> {
        let database = self.database(self.environment(env)?)?;
        let key_id = &self.settings.config.keys.key_id;
        let versions = crate::keys::list(&database, Some(key_id)).await?;
        let current = versions.iter().any(|v| v.is_current);
        Ok((!current).then(|| format!("{key_id} has none")))
    }
}

/// A look that takes too long is one that failed.
async fn within<T>(look: impl Future<Output = Result<T>>) -> std::result::Result<T, String> {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(seen) => seen.map_err(|p| p.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn of_modes(
    what: String,
    journal: Modes,
    world: std::result::Result<Modes, String>,
) -> Option<Disagreement> {
    let seen = world.map(|says| (says != journal).then(|| says.to_string()));
    disagreement(what, &journal.to_string(), seen)
}

fn disagreement(
    what: String,
    journal: &str,
    seen: std::result::Result<Option<String>, String>,
) -> Option<Disagreement> {
    let world = match seen {
        Ok(None) => return None,
        Ok(Some(other)) => other,
        Err(why) => format!("could not be looked at: {why}"),
    };
    Some(Disagreement {
        what,
        journal: journal.to_owned(),
        world,
    })
}
