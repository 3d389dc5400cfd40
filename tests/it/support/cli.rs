//! Running the real binary.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::secrets::none_in;

/// What a user sees of a finished command.
#[derive(Debug)]
pub struct Seen {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary with a clean environment: no terminal, no settings of the machine it runs on.
pub fn dbctl(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbctl"));
    command
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        // The embedded Postgres unpacks itself once (100 MB), not once for each test.
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("COLUMNS", "80");
    command
}

/// Runs it to the end.
pub fn run(dir: &Path, args: &[&str]) -> Seen {
    seen(dbctl(dir, args))
}

pub fn seen(mut command: Command) -> Seen {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let seen = Seen {
        code: status.code().expect("it was not killed"),
        stdout: String::from_utf8(stdout).expect("UTF-8 on stdout"),
        stderr: String::from_utf8(stderr).expect("UTF-8 on stderr"),
    };
    none_in("stdout", &seen.stdout);
    none_in("stderr", &seen.stderr);
    seen
}
