//! Going back without a run: what is left when nobody here knows what was switched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::switch::{RECOVER_EVERY, Toggles, not_recovered};
use super::{Live, tell};
use crate::carry::driver::Driver;
use crate::carry::over::{self, Fleet};
use crate::error::Result;
use crate::runtime::toggles::Toggle;
use crate::toggle::switch::outlook;

/// How long a target may take to authenticate again.
const RECOVERS_WITHIN: Duration = Duration::from_secs(20);

impl Live {
    /// Sets every target of an environment back to memory/file, as the rollback of a run does:
    /// what was revoked comes from Postgres if it answers, else from the kit. A target that says
    /// itself that it is there already is left alone. Returns what was seen, and what is wrong.
    ///
    /// # Errors
    /// Nothing was switched.
    pub async fn set_back(&self, env: &str, holder: &str) -> Result<(Value, Vec<String>)> {
        let env = self.environment(env)?;
        // Whoever drove before and wakes up changes nothing any more.
        let driver = Arc::new(Driver {
            run: format!("{}, without the journal, by {holder}", env.name),
            token: 0,
            holder: holder.to_owned(),
        });
        for why in tell(&driver, env.targets.clone()).await {
            self.ui.warn(why);
        }
        let everyone = Fleet::everyone(env)?.driven_by(Some(&driver));
        let local: Toggles = Toggle::ALL.into_iter().map(|t| (t, t.local())).collect();
        let fleet = match outlook(&everyone, &local).await {
            Ok(looked) => {
                everyone.only(|name| looked.iter().all(|o| o.target != name || o.changes()))
            }
            // Whoever cannot be looked at is set back as well, or says itself why not.
            Err(_) => everyone.clone(),
        };
        // A switch that was given up may have left these fenced.
        let others = everyone.only(|name| !fleet.members().iter().any(|m| m.target.name == name));
        over::unfence(&others, &|_| {}).await;
        if fleet.is_empty() {
            return Ok((json!({ "env": env.name, "already": true }), Vec::new()));
        }
        let (seen, wrong) = self.to_local(env, &fleet, &local, true).await?;
        if !wrong.is_empty() {
            return Ok((seen, wrong));
        }
        let began = Instant::now();
        loop {
            let Some(why) = not_recovered(&fleet).await else {
                return Ok((seen, Vec::new()));
            };
            if began.elapsed() >= RECOVERS_WITHIN {
                return Ok((seen, vec![why]));
            }
            tokio::time::sleep(RECOVER_EVERY).await;
        }
    }
}
