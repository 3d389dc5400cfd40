//! A program that prints one number.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::{Fill, Said};
use crate::programs::Group;

const OUTPUT_BYTES: u64 = 4096;

/// What it prints on stderr goes nowhere, and nothing that it prints is ever quoted: it may hold
/// secrets, and the journal is for ever.
pub(super) async fn ask(
    argv: &[String],
    (env, targets): (&str, &[&str]),
    fill: &Fill<'_>,
    timeout: Duration,
) -> Said {
    let filled: Result<Vec<String>, String> = argv
        .iter()
        .map(|word| fill(word, &targets.join(",")))
        .collect();
    let filled = match filled {
        Ok(filled) => filled,
        Err(why) => return Said::Wrong(why),
    };
    let Some((program, arguments)) = filled.split_first() else {
        return Said::Wrong("it names no program".into());
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("DBCTL_TARGETS", targets.join(" "))
        .env("DBCTL_ENV", env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group = match Group::spawn(&mut command) {
        Ok(group) => group,
        Err(e) => return Said::Silent(format!("{program} could not be started: {e}")),
    };
    let stdout = group.stdout();
    let ended = tokio::time::timeout(timeout, async {
        let mut text = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT_BYTES).read_to_end(&mut text).await?;
        }
        Ok::<_, std::io::Error>((text, group.wait().await?))
    });
    let (text, status) = match ended.await {
        Ok(Ok(ended)) => ended,
        Ok(Err(e)) => return Said::Silent(format!("{program}: {e}")),
        Err(_) => {
            return Said::Silent(format!(
                "{program} did not end within {} s and was stopped",
                timeout.as_secs_f64()
            ));
        }
    };
    if !status.success() {
        return Said::Silent(format!("{program} ended with {status}; run it by hand"));
    }
    let text = String::from_utf8_lossy(&text);
    let text = text.trim();
    if text.is_empty() {
        return Said::NoNumber(format!("{program} printed nothing"));
    }
    match text.parse::<f64>() {
        Ok(value) => Said::number(value),
        Err(_) => Said::Wrong(format!(
            "{program} printed {} line(s) that are not one number",
            text.lines().count()
        )),
    }
}
