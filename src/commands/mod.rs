//! One command, one file: arguments in, one domain call, output out. No rules of the business.

pub mod carry;
pub mod completions;
pub mod demo;
pub mod gate;
pub mod incident;
pub mod init;
pub mod keys;
pub mod man;
pub mod migrate;
pub mod preflight;
pub mod rollout;
pub mod runbook;
pub mod security;
pub mod service;
pub mod smoke;
pub mod toggles;
pub mod verify;
mod written;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::settings::{Environment, GlobalArgs, Settings};
use crate::ui::{Ui, interrupts};

/// Moves a service's security runtime onto Postgres while it runs, proves that it worked, and
/// takes it back.
#[derive(Debug, Parser)]
#[command(
    name = "dbctl",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    after_help = after_help(),
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented dbctl.toml, a runbook to fill in and a migrations folder
    Init(init::InitArgs),
    /// Create, list, validate and apply migrations
    Migrate(migrate::MigrateArgs),
    /// Check the preconditions of a rollout, each with evidence
    Preflight(preflight::PreflightArgs),
    /// Seed, rotate, bring in, give out and look at signing keys
    Keys(keys::KeysArgs),
    /// Look after the security state in Postgres
    Security(security::SecurityArgs),
    /// Show and set the four runtime toggles on targets
    Toggles(toggles::TogglesArgs),
    /// Carry live state across a switch; look at the rollback kit
    Carry(carry::CarryArgs),
    /// Check the running service over HTTP
    Smoke(smoke::SmokeArgs),
    /// Run the verification queries of a runbook, read-only
    Verify(verify::VerifyArgs),
    /// Check and list runbooks
    Runbook(runbook::RunbookArgs),
    /// Drive a runbook: plan, start, approve, pause, roll back
    Rollout(rollout::RolloutArgs),
    /// Try gates and triggers out on past data
    Gate(gate::GateArgs),
    /// Keep what belongs to an incident; say why a request was decided as it was
    Incident(incident::IncidentArgs),
    /// Run the reference service
    Service(service::ServiceArgs),
    /// Watch a real service move onto Postgres, break and come back; needs nothing installed
    Demo(demo::DemoArgs),
    /// Print a shell's completion script
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
}

impl Command {
    /// Whether the settings file has a say in it. The others work beside a broken one.
    const fn reads_settings(&self) -> bool {
        !matches!(
            self,
            Command::Init(_) | Command::Service(_) | Command::Completions(_) | Command::Man(_)
        )
    }
}

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    pub settings: Settings,
    pub ui: Ui,
}

impl Context {
    /// The database to work on and the environment that it belongs to, if it is one's. Nothing
    /// is sent yet; a weak connection is warned of.
    pub fn database(&self) -> Result<(Database, Option<&Environment>)> {
        let environment = self.settings.environment_of_database()?;
        let database = Database::resolve(&self.settings, environment, &|weak| self.ui.warn(weak))?;
        Ok((database, environment))
    }
}

/// The command line; clap's message and the end where it is wrong.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|mut wrong| {
        // Where a command takes names, clap advises `-- --flag`: no name here begins like a flag.
        if let Some(ContextValue::StyledStrs(tips)) = wrong.remove(ContextKind::Suggested) {
            let is_that = |tip: &StyledStr| tip.to_string().starts_with("to pass '");
            let others: Vec<_> = tips.into_iter().filter(|tip| !is_that(tip)).collect();
            if !others.is_empty() {
                wrong.insert(ContextKind::Suggested, ContextValue::StyledStrs(others));
            }
        }
        wrong.exit()
    })
}

/// Runs a parsed command line to its exit status. Never panics on bad input.
pub fn run(cli: Cli) -> Exit {
    let plain = Ui::from_parts(
        cli.global.format,
        cli.global.color,
        cli.global.no_input,
        cli.global.verbose,
    );
    let settings = if cli.command.reads_settings() {
        Settings::load(&cli.global)
    } else {
        Ok(Settings::without_file(&cli.global))
    };
    let outcome = settings.and_then(|settings| {
        // A service keeps a log of its own.
        if !matches!(cli.command, Command::Service(_)) {
            trace_to_stderr(settings.verbose);
        }
        let ui = Ui::new(&settings);
        let context = Context { settings, ui };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| Problem::new(Exit::Failed, "starting", e))?;
        let done = runtime.block_on(async {
            outlive_file_size_limit();
            tokio::select! {
                biased;
                done = dispatch(cli.command, &context) => done,
                () = interrupts::after_a_question() => {
                    let cause = "interrupted; what was done stays";
                    Err(Problem::new(Exit::Interrupted, "", cause))
                }
            }
        });
        // What still runs in the background (a blocked DNS look-up) must not hold the exit.
        runtime.shutdown_background();
        done
    });
    outcome.unwrap_or_else(|problem| {
        plain.problem(&problem);
        problem.exit()
    })
}

/// A write beyond `ulimit -f` is an error like a full disk, which is told and can be gone on from,
/// and not the end of the process.
#[cfg(unix)]
fn outlive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    let raw = rustix::process::Signal::XFSZ.as_raw();
    // A handler stays for the life of the process. Without one we are as before.
    let _ = signal(SignalKind::from_raw(raw));
}

#[cfg(not(unix))]
fn outlive_file_size_limit() {}

async fn dispatch(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Migrate(args) => migrate::run(args, context).await,
        Command::Preflight(args) => preflight::run(args, context).await,
        Command::Keys(args) => keys::run(args, context).await,
        Command::Security(args) => security::run(args, context).await,
        Command::Toggles(args) => toggles::run(args, context).await,
        Command::Carry(args) => carry::run(args, context).await,
        Command::Smoke(args) => smoke::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Runbook(args) => runbook::run(args, context),
        Command::Rollout(args) => rollout::run(args, context).await,
        Command::Gate(args) => gate::run(args, context).await,
        Command::Incident(args) => incident::run(args, context).await,
        Command::Service(args) => service::run(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => man::run(args, context),
    }
}

fn trace_to_stderr(verbose: u8) {
    use tracing_subscriber::filter::{EnvFilter, LevelFilter};
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::WARN,
        2 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // The driver logs a malformed PGPASSFILE line whole, password and all.
    let never = "sqlx_postgres::options::pgpass=off";
    let filter = EnvFilter::default()
        .add_directive(level.into())
        .add_directive(never.parse().expect("a valid directive"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

fn after_help() -> String {
    let mut text = String::from("Exit status:\n");
    for (exit, meaning) in Exit::ALL {
        text += &format!("  {:>3}  {meaning}\n", exit as u8);
    }
    text + "\nExample:\n  dbctl demo\n"
}
