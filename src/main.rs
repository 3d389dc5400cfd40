//! The binary: parse, run, map to an exit code. Everything else is the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = dbctl::commands::parse();
    dbctl::commands::run(cli).into()
}
