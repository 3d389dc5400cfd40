//! `dbctl service`: the reference service as a process.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::demo::service::{Initialised, Service, ServiceConfig, SharedFiles, init, read_env_file};
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::runtime::toggles::Modes;
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  dbctl service init auth-1 --name auth-1 --listen 127.0.0.1:8101\n  \
    dbctl service run --env-file auth-1/service.env"
)]
pub struct ServiceArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    Run(RunArgs),
    /// Write what an instance needs: environment file, signing key, admin token, state folder
    Init(InitArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "The settings are SERVICE_… variables, DATABASE_URL and the four toggles, as in \
    docs/service-contract.md.\n\nExample:\n  dbctl service run --env-file auth-1/service.env"
)]
struct RunArgs {
    /// File of NAME=value lines; what it says wins over the environment
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Address to serve on instead of SERVICE_LISTEN; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Allow POST /v1/faults to break things on purpose (demonstrations and tests)
    #[arg(long)]
    faults: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  dbctl service init auth-1 --name auth-1 --listen 127.0.0.1:8101\n  \
    dbctl service init b --name b --listen localhost:8102 --admin-token a/token"
)]
struct InitArgs {
    /// Folder to write into; it is made where it is missing
    dir: PathBuf,

    /// Name of the instance, different from every other's
    #[arg(long)]
    name: String,

    /// Address that it will serve on
    #[arg(long, value_name = "HOST:PORT")]
    listen: String,

    /// Sign with this PKCS#8 PEM key, which other instances have too, instead of a new one
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,

    /// Admit whoever knows the token in this file, which other instances have too: dbctl uses one
    /// for all targets of an environment
    #[arg(long, value_name = "FILE")]
    admin_token: Option<PathBuf>,
}

pub async fn run(args: ServiceArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Run(args) => serve(args, context).await,
        Command::Init(args) => begin(args, context),
    }
}

/// The one line that says that it serves.
#[derive(Debug, Serialize)]
struct Serving {
    name: String,
    url: String,
    modes: Modes,
}

impl Report for Serving {
    const SCHEMA: &'static str = "dbctl.service.run/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{} serves on {} · {}", self.name, self.url, self.modes)
    }
}

async fn serve(args: RunArgs, context: &Context) -> Result<Exit> {
    let mut pairs: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(file) = &args.env_file {
        pairs.extend(read_env_file(file)?);
    }
    let borrowed = pairs.iter().map(|(name, value)| (&**name, &**value));
    let mut config = ServiceConfig::from_pairs(borrowed)?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    config.faults = args.faults;
    log_to(config.log_file.as_deref(), context.settings.verbose)?;
    let stopped = stop_signal()?;
    let running = Service::start(config, None).await?;
    context.ui.report(&Serving {
        name: running.name().to_owned(),
        url: running.url(),
        modes: running.modes(),
    })?;
    stopped.await;
    running.shutdown().await;
    Ok(Exit::Ok)
}

/// Resolves at the first SIGTERM or Ctrl-C. Listens from now on, so that none is missed.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let doing = "listening to signals";
    let mut terminate = signal(SignalKind::terminate()).doing(Exit::Failed, doing)?;
    let mut interrupt = signal(SignalKind::interrupt()).doing(Exit::Failed, doing)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler for Ctrl-C the system ends the process by itself.
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// JSON lines on stderr or at the end of a file: what happened, with request ids; no tokens, no
/// secrets. `-v` adds every request.
fn log_to(file: Option<&Path>, verbose: u8) -> Result<()> {
    use tracing_subscriber::filter::EnvFilter;
    let level = if verbose > 0 { "debug" } else { "info" };
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_env_filter(EnvFilter::new(format!("warn,dbctl={level},sqlx=off")));
    let set = match file {
        Some(path) => {
            let doing = format!("opening the log {}", path.display());
            let mut options = std::fs::OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let log = options.open(path).doing(Exit::Config, doing)?;
            lines.with_writer(std::sync::Mutex::new(log)).try_init()
        }
        None => lines.with_writer(std::io::stderr).try_init(),
    };
    set.map_err(|e| Problem::new(Exit::Failed, "starting the log", e))
}

impl Report for Initialised {
    const SCHEMA: &'static str = "dbctl.service.init/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{} can serve on {}.", self.name, self.listen)?;
        writeln!(out, "  settings     {}", self.env_file.display())?;
        writeln!(out, "  signing key  {}", self.signing_key_file.display())?;
        writeln!(out, "               kid {}", self.kid)?;
        writeln!(out, "  admin token  {}", self.admin_token_file.display())?;
        writeln!(out, "  state        {}", self.state_dir.display())?;
        let env_file = self.env_file.display();
        writeln!(out, "\nNext:\n  dbctl service run --env-file {env_file}")
    }
}

fn begin(args: InitArgs, context: &Context) -> Result<Exit> {
    let shared = SharedFiles {
        signing_key: args.signing_key.as_deref(),
        admin_token: args.admin_token.as_deref(),
    };
    let made = init(&args.dir, &args.name, &args.listen, shared)?;
    context.ui.report(&made)?;
    Ok(Exit::Ok)
}
