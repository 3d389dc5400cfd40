//! Restarting a target, and having it say itself what it runs in.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

use crate::carry::client::{CallFailed, ServiceClient, exchange, http};
use crate::carry::contract::Health;
use crate::error::{Chain, Doing, Exit, Problem, Result};
use crate::runtime::toggles::{Modes, Toggle};
use crate::settings::{Restart, Target};

/// How long a restart command, or the supervisor that is asked, may take.
pub const RESTART_WITHIN: Duration = Duration::from_secs(60);
/// How long a restarted target may take to say that it runs as it should.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// How much of a failed command's output is kept, from its end.
const TAIL_BYTES: u64 = 2048;
const TAIL_LINES: usize = 8;
const ANSWER_BYTES: usize = 64 << 10;
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_SLOWEST: Duration = Duration::from_millis(250);
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// Restarts `target` in the way that its settings say and waits until that is done.
///
/// # Errors
/// The command cannot be started, fails, or takes longer than `within`; then it is killed with
/// everything that it started, and whether the restart happened is unknown.
pub async fn restart(target: &Target, within: Duration) -> Result<()> {
    match &target.restart {
        Restart::Command(argv) => command(&target.name, argv, within).await,
        Restart::Post { post } => ask(&target.name, post, within).await,
    }
}

async fn command(target: &str, argv: &[String], within: Duration) -> Result<()> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Problem::new(
            Exit::Config,
            format!("restarting {target}"),
            "its restart command is empty",
        )
        .next("restart = [\"systemctl\", \"restart\", \"NAME\"]"));
    };
    // The program stands for the whole: arguments may hold what is nobody's business.
    let doing = format!("restarting {target} ({program})");
    // A file and not a pipe: a service that stays in the background keeps writing to it, and must
    // neither hold us up nor be ended by a pipe that nobody reads any more.
    let mut output = tempfile::tempfile().doing(Exit::Failed, &doing)?;
    let out = output.try_clone().doing(Exit::Failed, &doing)?;
    let err = output.try_clone().doing(Exit::Failed, &doing)?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    // A group of its own: Ctrl-C in our terminal is not for it, and a time-out ends all of it.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|e| {
        Problem::new(Exit::Config, &doing, e)
            .next("is the program of `restart` installed, and on PATH?")
    })?;
    let ended = tokio::time::timeout(within, child.wait()).await;
    let cause = match ended {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => format!("it ended with {status}"),
        Ok(Err(e)) => e.to_string(),
        Err(_) => {
            kill_group(&mut child).await;
            format!(
                "it did not end within {} s and was killed; whether the restart happened is unknown",
                within.as_secs_f64()
            )
        }
    };
    let said = tail(&mut output);
    Err(Problem::new(
        Exit::Unavailable,
        doing,
        if said.is_empty() {
            cause
        } else {
            format!("{cause}; it said last:\n{said}")
        },
    )
    .next(format!(
        "run its restart command by hand; then `dbctl toggles show --on {target}`"
    )))
}

/// Ends the command and whatever it started, and waits for the command itself.
async fn kill_group(child: &mut tokio::process::Child) {
    #[cfg(unix)]
    if let Some(pid) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.kill().await;
}

/// The last lines of a command's output, printable.
fn tail(output: &mut std::fs::File) -> String {
    let length = output.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut bytes = Vec::new();
    let read = output
        .seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .and_then(|_| output.take(TAIL_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .map(|l| l.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|l| !l.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

async fn ask(target: &str, url: &str, within: Duration) -> Result<()> {
    let doing = format!("restarting {target} (POST to its supervisor)");
    let request = http()?.post(url).timeout(within);
    let answer = exchange(request, within, ANSWER_BYTES)
        .await
        .map_err(|failure| {
            Problem::new(Exit::Unavailable, &doing, failure)
                .next("is the supervisor running, and is `restart.post` right?")
        })?;
    if answer.status.is_success() {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Unavailable,
        doing,
        format!("the supervisor answered {}", answer.status.as_u16()),
    ))
}

/// Polls the target until it says itself that it is a process other than `previous` (its
/// `boot_id` before the restart) and runs in `expected`.
///
/// # Errors
/// It does not say so within `within`: the error names the target and what it said last.
pub async fn confirm(
    client: &ServiceClient,
    expected: &Modes,
    previous: Option<&str>,
    within: Duration,
) -> Result<Health> {
    let until = Instant::now() + within;
    let mut pause = POLL_FIRST;
    let mut wrong_in_a_row = 0;
    let mut said;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let answer = client
            .within(ASK_WITHIN.min(left.max(POLL_FIRST)))
            .health()
            .await;
        match answer {
            Ok(health) if previous == Some(health.boot_id.as_str()) => {
                said = format!("still the process from before, in {}", health.modes);
            }
            Ok(health) if health.modes == *expected => return Ok(health),
            Ok(health) => {
                said = difference(expected, &health.modes);
                wrong_in_a_row += 1;
            }
            Err(CallFailed { failure, .. }) => {
                said = failure.to_string();
                wrong_in_a_row = 0;
            }
        }
        // A new process does not change its modes any more: it read something else.
        if wrong_in_a_row >= 3 || Instant::now() + pause >= until {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_SLOWEST);
    }
    let name = client.name();
    Err(Problem::new(
        Exit::Unavailable,
        format!("waiting for {name} to say that it runs in {expected}"),
        said,
    )
    .next(format!(
        "look at the log of {name}; does it read the env_file of dbctl.toml at its start?"
    )))
}

fn difference(expected: &Modes, actual: &Modes) -> String {
    let wrong: Vec<String> = Toggle::ALL
        .into_iter()
        .filter(|t| expected.get(*t) != actual.get(*t))
        .map(|t| format!("{t} is {} instead of {}", actual.get(t), expected.get(t)))
        .collect();
    format!("it says that {}", wrong.join(", "))
}

/// The `boot_id` of a running target; none when it does not answer at once.
pub async fn boot_id(client: &ServiceClient) -> Option<String> {
    let health = client.within(Duration::from_millis(300)).health().await;
    health.ok().map(|h| h.boot_id)
}

/// For errors of the runtime itself.
pub(super) fn broken(target: &str, e: &tokio::task::JoinError) -> Problem {
    Problem::new(Exit::Failed, format!("switching {target}"), Chain(e))
}
