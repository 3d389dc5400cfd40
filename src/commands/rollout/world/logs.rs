//! The logs of the targets, where the settings name them.

use std::path::Path;

use secrecy::SecretString;

use super::Live;
use crate::carry::client::admin_token;
use crate::check::logs::{self, LogExcerpt};
use crate::pg::read_secret_line;
use crate::runbook::plan::TargetRef;
use crate::settings::{Config, Environment};

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
            let secrets = secrets(&self.settings.config, env);
            Some(async move { logs::read(config, target.to_string(), since_ms, &secrets).await })
        });
        futures_util::future::join_all(reading).await
    }
}

/// What must not stand in a line, whatever it looks like.
fn secrets(config: &Config, env: &Environment) -> Vec<SecretString> {
    let admin = admin_token(env).ok().flatten();
    let metrics = env.metrics.as_ref().and_then(|m| m.token_file.as_deref());
    let files = [env.password_file.as_deref(), metrics];
    let read = |file: &Path| read_secret_line(file, "a secret to be masked").ok();
    let files = files.into_iter().flatten().filter_map(read);
    let asked = config.http_tokens.iter().filter_map(|t| t.read().ok());
    admin.into_iter().chain(files).chain(asked).collect()
}
