//! The logs of the targets, where the settings name them.

use secrecy::SecretString;

use super::Live;
use crate::carry::client::admin_token;
use crate::check::logs::{self, LogExcerpt};
use crate::pg::read_secret_line;
use crate::runbook::plan::TargetRef;
use crate::settings::Environment;

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
            let secrets = secrets(env);
            Some(async move { logs::read(config, target.to_string(), since_ms, &secrets).await })
        });
        futures_util::future::join_all(reading).await
    }
}

/// What must not stand in a line, whatever it looks like.
fn secrets(env: &Environment) -> Vec<SecretString> {
    let admin = admin_token(env).ok().flatten();
    let password = env.password_file.as_deref();
    let password = password.and_then(|file| read_secret_line(file, "the password").ok());
    admin.into_iter().chain(password).collect()
}
