//! The binary: parse, run, map to an exit code. Everything else is the library.
use std::process::ExitCode;

use clap::Parser;
use dbctl::commands::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    dbctl::commands::run(cli).into()
}
