//! Secrets that the settings lead to: what must not stand in a line, whatever it looks like.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::carry::client::admin_token;
use crate::pg::read_secret_line;
use crate::settings::{Config, Environment, Target};

/// Those of one environment, as far as they can be read here. What cannot be read is not known,
/// and is masked where it looks like a secret.
pub fn secrets(config: &Config, env: &Environment) -> Vec<SecretString> {
    let admin = admin_token(env).ok().flatten();
    let metrics = env.metrics.as_ref().and_then(|m| m.token_file.as_deref());
    let files = [
        env.password_file.as_deref(),
        env.kek_file.as_deref(),
        metrics,
        config.journal.password_file.as_deref(),
    ];
    let read = |file: &Path| read_secret_line(file, "a secret to be masked").ok();
    let files = files.into_iter().flatten().filter_map(read);
    let asked = config.http_tokens.iter().filter_map(|t| t.read().ok());
    let passwords = env.targets.iter().filter_map(password);
    admin
        .into_iter()
        .chain(files)
        .chain(asked)
        .chain(passwords)
        .collect()
}

/// The password in the address of a target's database, where its env file has one.
fn password(target: &Target) -> Option<SecretString> {
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(&target.env_file).ok()?);
    let url = text.lines().rev().find_map(|line| {
        line.trim()
            .trim_start_matches("export ")
            .strip_prefix("DATABASE_URL=")
    })?;
    let url = reqwest::Url::parse(url.trim_matches(['"', '\''])).ok()?;
    let password = SecretString::from(url.password()?);
    (!password.expose_secret().is_empty()).then_some(password)
}
