//! Steps that switch: carrying over, toggles, restarts, and whether authentication works again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Live, failed, succeeded};
use crate::carry::client::CallFailed;
use crate::carry::over::{self, Carried, Fleet, Placed, Source};
use crate::contract::IssueRequest;
use crate::error::{Problem, Result};
use crate::rollout::machine::{Found, Outcome};
use crate::rollout::ports::{Done, Job};
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::Environment;
use crate::toggle::{self, Patience, Switched};

/// How often recovery is looked for.
pub(super) const RECOVER_EVERY: Duration = Duration::from_millis(250);
/// How long a target may take to say where it stands, before a step is tried again.
const ASK_AGAIN: Duration = Duration::from_millis(300);

pub(super) type Toggles = BTreeMap<Toggle, Mode>;

impl Live {
    pub(super) async fn carry(&self, job: &Job) -> Result<Done> {
        let mut evidence = Vec::new();
        for (env, fleet) in self.fleets(&job.targets())? {
            // What was switched had a neighbour in memory that must know as much.
            let fleet = match job.planned().step.environment() {
                None => Fleet::everyone(env)?,
                Some(_) => fleet,
            };
            let database = self.database(env)?;
            let carried =
                over::sync(&fleet, self.store(&database), &self.kit(env)?, &|_| {}).await?;
            self.kit_made(&env.name, &carried, true);
            evidence.push(json!({ "env": env.name, "carried": carried }));
        }
        Ok(succeeded(Value::from(evidence)))
    }

    pub(super) async fn toggles(&self, job: &Job, set: &Toggles, restart: bool) -> Result<Done> {
        let fleets = self.fleets(&job.targets())?;
        let forward = set.values().any(|m| *m == Mode::Postgres);
        let switching = fleets.iter().map(|(env, fleet)| async move {
            if forward {
                return self.to_postgres(env, fleet, set).await;
            }
            if job.attempt > 1 {
                let fleet = not_there(fleet, set).await;
                return self.to_local(env, &fleet, set, restart).await;
            }
            self.to_local(env, fleet, set, restart).await
        });
        let mut evidence = Vec::new();
        let mut wrong = Vec::new();
        for switched in futures_util::future::join_all(switching).await {
            let (seen, mut not_done) = switched?;
            evidence.push(seen);
            wrong.append(&mut not_done);
        }
        Ok(of_all(wrong, Value::from(evidence)))
    }

    async fn to_postgres(
        &self,
        env: &Environment,
        fleet: &Fleet,
        set: &Toggles,
    ) -> Result<(Value, Vec<String>)> {
        let database = self.database(env)?;
        let everyone = Fleet::everyone(env)?;
        let kit = self.kit(env)?;
        let carried = over::forward(fleet, &everyone, self.store(&database), &kit, &|_| {}).await?;
        self.kit_made(&env.name, &carried, true);
        let switched = toggle::flip(fleet, set, None, Patience::default(), &|_| {}).await;
        let wrong = failures(&switched);
        if !wrong.is_empty() {
            // Whatever did not restart must not stay fenced for ever.
            over::unfence(fleet, &|_| {}).await;
        }
        Ok((seen(env, &carried, &switched), wrong))
    }

    /// Carries back and sets the toggles; the restart may be a later step's. Where a target cannot
    /// be set, that step may never come: the others are restarted here, so that one target does
    /// not keep all of them as they are, and fenced (P7).
    pub(super) async fn to_local(
        &self,
        env: &Environment,
        fleet: &Fleet,
        set: &Toggles,
        restart: bool,
    ) -> Result<(Value, Vec<String>)> {
        let taken = self.take_back(env, fleet).await?;
        self.to_local_with(taken, env, fleet, set, restart).await
    }

    /// Fences the fleet and takes the last from Postgres, or the kit, before it goes back.
    async fn take_back(&self, env: &Environment, fleet: &Fleet) -> Result<(Carried, Placed)> {
        let kit = self.kit(env)?;
        let database = self.database(env).ok();
        let store = database.as_ref().map(|d| self.store(d));
        let everyone = Fleet::everyone(env)?;
        let taken = over::back(fleet, &everyone, store, &kit, &|_| {}).await;
        match &taken {
            Ok((carried, _)) => {
                if let Some(gap) = carried.gap() {
                    self.ui.warn(format_args!("{}: {gap}", env.name));
                }
            }
            Err(_) => {
                over::unfence(fleet, &|_| {}).await;
            }
        }
        taken
    }

    async fn to_local_with(
        &self,
        (carried, placed): (Carried, Placed),
        env: &Environment,
        fleet: &Fleet,
        set: &Toggles,
        restart: bool,
    ) -> Result<(Value, Vec<String>)> {
        self.remember(env, placed.clone());
        let set = toggle::set_all(fleet, set, Some(&placed.snapshot), &|_| {}).await;
        let mut wrong: Vec<String> = set
            .iter()
            .filter_map(|(name, said)| said.as_ref().err().map(|p| format!("{name}: {p}")))
            .collect();
        if !restart && wrong.is_empty() {
            return Ok((json!({ "env": env.name, "carried": carried }), wrong));
        }
        let set = fleet.only(|name| set.iter().any(|(n, said)| n == name && said.is_ok()));
        let switched = self.restart_fleet(env, &set, &placed).await;
        wrong.append(&mut failures(&switched));
        Ok((seen(env, &carried, &switched), wrong))
    }

    fn remember(&self, env: &Environment, placed: Placed) {
        let mut all = self.placed.lock().unwrap_or_else(|e| e.into_inner());
        all.insert(env.name.clone(), placed);
    }

    async fn restart_fleet(
        &self,
        env: &Environment,
        fleet: &Fleet,
        placed: &Placed,
    ) -> Vec<Switched> {
        let switched = toggle::restart_all(fleet, Patience::default(), &|_| {}).await;
        let database = self.database(env).ok();
        let store = database.as_ref().map(|d| self.store(d));
        // With the targets that were never switched: what was revoked on Postgres just before
        // must be known there too (P2).
        let everyone = Fleet::everyone(env);
        let everyone = everyone.as_ref().unwrap_or(fleet);
        over::settle(everyone, store, placed, &|_| {}).await;
        switched
    }

    pub(super) async fn restart(&self, job: &Job) -> Result<Done> {
        let fleets = self.fleets(&job.targets())?;
        let restarted = fleets.iter().map(|(env, fleet)| async move {
            let placed = self.placed_or_kept(env)?;
            let switched = match &placed {
                Some(placed) => self.restart_fleet(env, fleet, placed).await,
                None => toggle::restart_all(fleet, Patience::default(), &|_| {}).await,
            };
            Ok::<_, Problem>((times(&switched), failures(&switched)))
        });
        let mut evidence = Vec::new();
        let mut wrong = Vec::new();
        for result in futures_util::future::join_all(restarted).await {
            let (seen, mut not_done): (Value, Vec<String>) = result?;
            evidence.push(seen);
            wrong.append(&mut not_done);
        }
        Ok(of_all(wrong, Value::from(evidence)))
    }

    /// What the rollback placed; after a crash of dbctl, what the kit holds.
    fn placed_or_kept(&self, env: &Environment) -> Result<Option<Placed>> {
        let all = self.placed.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(placed) = all.get(&env.name) {
            return Ok(Some(placed.clone()));
        }
        let kit = self.kit(env)?;
        let kept = kit.trusted()?;
        Ok(kept.map(|k| Placed {
            snapshot: kit.for_going_back(&k, jiff::Timestamp::now()),
            position: k.position,
        }))
    }

    /// Back to memory/file, a look, and forward again, on targets that run on Postgres.
    pub(super) async fn rehearse(&self, job: &Job) -> Result<Done> {
        let mut evidence = Vec::new();
        for (env, fleet) in self.fleets(&job.targets())? {
            let local = Toggle::ALL.into_iter().map(|t| (t, t.local())).collect();
            let postgres = Toggle::ALL
                .into_iter()
                .map(|t| (t, Mode::Postgres))
                .collect();
            let began = Instant::now();
            let mut taken = self.take_back(env, &fleet).await?;
            if let Source::Kit { .. } = taken.0.source {
                // Nobody is in a hurry here: what was revoked on Postgres last, and is not in the
                // kit, must not come back to life for an exercise (P2).
                over::unfence(&fleet, &|_| {}).await;
                // What a rollback does not wait for: a busy machine, a connection that is opened
                // anew. It is opened at leisure, while nothing is fenced.
                if self.database(env)?.begin().await.is_ok() {
                    taken = self.take_back(env, &fleet).await?;
                }
            }
            if let Source::Kit { .. } = taken.0.source {
                over::unfence(&fleet, &|_| {}).await;
                let why = format!(
                    "Postgres of {} does not answer, and both ways need it; nothing was switched",
                    env.name
                );
                return Ok(failed(why, json!({ "env": env.name, "carried": taken.0 })));
            }
            let (back, wrong) = self.to_local_with(taken, env, &fleet, &local, true).await?;
            if !wrong.is_empty() {
                return Ok(failed(format!("going back: {}", wrong.join("; ")), back));
            }
            let back_ms = began.elapsed().as_millis();
            if let Some(why) = not_recovered(&fleet).await {
                return Ok(failed(format!("after going back: {why}"), back));
            }
            let (forward, wrong) = self.to_postgres(env, &fleet, &postgres).await?;
            if !wrong.is_empty() {
                return Ok(failed(
                    format!("going forward again: {}", wrong.join("; ")),
                    forward,
                ));
            }
            if let Some(why) = not_recovered(&fleet).await {
                return Ok(failed(format!("after going forward again: {why}"), forward));
            }
            evidence.push(json!({ "back": back, "back_ms": back_ms as u64, "forward": forward }));
        }
        Ok(succeeded(Value::from(evidence)))
    }

    /// Waits until a token can be issued and verified on every target.
    pub(super) async fn recover(&self, job: &Job, timeout: Duration) -> Result<Done> {
        let fleets = self.fleets(&job.targets())?;
        let began = Instant::now();
        loop {
            let asked = fleets.iter().map(|(_, fleet)| refused(fleet));
            let asked = futures_util::future::join_all(asked).await;
            let wrong: Vec<Refused> = asked.into_iter().flatten().collect();
            let after_ms = began.elapsed().as_millis() as u64;
            if wrong.is_empty() {
                return Ok(succeeded(json!({ "after_ms": after_ms })));
            }
            if began.elapsed() >= timeout {
                let ids: Vec<&str> = wrong.iter().map(|r| r.request_id.as_str()).collect();
                let seen = json!({ "after_ms": after_ms, "request_ids": ids });
                let why: Vec<String> = wrong.iter().map(ToString::to_string).collect();
                return Ok(failed(why.join("; "), seen));
            }
            tokio::time::sleep(RECOVER_EVERY).await;
        }
    }

    pub(super) async fn probe_toggles(
        &self,
        job: &Job,
        set: &Toggles,
        restart: bool,
    ) -> Result<(Found, String)> {
        let expected = Modes::resolve(set);
        for (_, fleet) in self.fleets(&job.targets())? {
            for member in fleet.members() {
                let name = &member.target.name;
                let file = toggle::read(&member.target)?.modes;
                if file != expected {
                    return Ok((
                        Found::NotDone,
                        format!("the env file of {name} says {file}"),
                    ));
                }
                if !restart {
                    continue;
                }
                match member.client.health().await {
                    Ok(health) if health.modes == expected && !health.fenced => {}
                    Ok(health) => {
                        return Ok((Found::NotDone, format!("{name} says {}", health.modes)));
                    }
                    // The file is set and nobody answers: doing it again restarts it.
                    Err(e) => return Ok((Found::NotDone, format!("{name}: {}", e.failure))),
                }
            }
        }
        Ok((Found::Done, format!("every target is in {expected}")))
    }
}

/// Those that do not say that they run in what `set` comes to, or are fenced: an attempt before may
/// have brought the others there already.
async fn not_there(fleet: &Fleet, set: &Toggles) -> Fleet {
    let expected = Modes::resolve(set);
    let asked = fleet.all(|m| async { m.client.within(ASK_AGAIN).health().await });
    let there: Vec<String> = asked
        .await
        .into_iter()
        .filter(|(_, said)| {
            let health = said.as_ref().ok();
            health.is_some_and(|h| h.modes == expected && !h.fenced)
        })
        .map(|(m, _)| m.target.name.clone())
        .collect();
    fleet.only(|name| !there.iter().any(|n| n == name))
}

/// A target on which authentication does not work.
struct Refused {
    target: String,
    why: String,
    /// The request that found it out.
    request_id: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.why)
    }
}

/// Why authentication does not work on some target; nothing when it does on all.
pub(super) async fn not_recovered(fleet: &Fleet) -> Option<String> {
    let wrong = refused(fleet).await;
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

async fn refused(fleet: &Fleet) -> Vec<Refused> {
    let failed = |e: CallFailed| (e.failure.to_string(), e.request_id);
    let asked = fleet.all(|m| async move {
        let request = IssueRequest {
            subject: "dbctl-recovery".into(),
            session_id: None,
        };
        let issued = m.client.issue(&request).await.map_err(failed)?;
        let answer = m.client.verify(&issued.body.token).await.map_err(failed)?;
        match answer.body.allow {
            true => Ok(()),
            false => {
                let why = format!("a fresh token is denied: {}", answer.body.reason_code);
                Err((why, answer.request_id))
            }
        }
    });
    let asked = asked.await.into_iter();
    asked
        .filter_map(|(m, said)| {
            let (why, request_id) = said.err()?;
            Some(Refused {
                target: m.target.name.clone(),
                why,
                request_id,
            })
        })
        .collect()
}

fn failures(switched: &[Switched]) -> Vec<String> {
    let wrong = |s: &Switched| {
        s.result
            .as_ref()
            .err()
            .map(|p| format!("{}: {p}", s.target))
    };
    switched.iter().filter_map(wrong).collect()
}

fn times(switched: &[Switched]) -> Value {
    switched
        .iter()
        .map(|s| {
            let modes = s.result.as_ref().ok().map(|h| h.modes);
            json!({ "target": s.target, "times": s.times, "modes": modes })
        })
        .collect()
}

fn seen(env: &Environment, carried: &over::Carried, switched: &[Switched]) -> Value {
    json!({ "env": env.name, "carried": carried, "targets": times(switched) })
}

fn of_all(wrong: Vec<String>, evidence: Value) -> Done {
    if wrong.is_empty() {
        return succeeded(evidence);
    }
    Done {
        outcome: Outcome::Failed(wrong.join("; ")),
        evidence,
    }
}
