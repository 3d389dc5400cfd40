//! The logs of the targets, where the settings name them.

use super::Live;
use crate::check::logs::{self, LogExcerpt};
use crate::runbook::plan::TargetRef;

impl Live {
    pub(super) async fn read_logs(
        &self,
        targets: Vec<TargetRef>,
        since_ms: u64,
    ) -> Vec<LogExcerpt> {
        let reading = targets.into_iter().filter_map(|target| {
            let env = self.environment(&target.env).ok()?;
            let config = env.targets.iter().find(|t| t.name == target.name)?;
            let config = config.log.as_ref()?;
            let secrets = logs::secrets(&self.settings.config, env);
            Some(async move { logs::read(config, target.to_string(), since_ms, &secrets).await })
        });
        futures_util::future::join_all(reading).await
    }
}
