//! Flags, environment variables and `dbctl.toml`, resolved once into what the program needs.
//! Nobody downstream looks at flags or at the file again.

mod purge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::error::{Doing as _, Exit, Problem, Result, nearest};

pub use purge::PurgeConfig;

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Settings file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "dbctl.toml",
        env = "DBCTL_CONFIG"
    )]
    pub config: PathBuf,

    /// Environment of the settings file, such as staging or production
    #[arg(long, global = true, value_name = "NAME", env = "DBCTL_ENV")]
    pub env: Option<String>,

    /// Database to work on, without a password in it (see PGPASSWORD, PGPASSFILE, --password-file)
    ///
    /// Order: this flag, then `database_url` of the environment, then DATABASE_URL, then the PG* variables.
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,

    /// File with the database password on its first line; refused when others can read it
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Output for people or for programs; stdout is data, stderr is status
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Never prompt; what would need an answer is an error that names the flag
    #[arg(long, global = true)]
    pub no_input: bool,

    /// Say more on stderr (-v: what is done, -vv: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Colour on a terminal
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// What `dbctl.toml` holds. Unknown keys are errors: a misspelt one would be silently ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub migrations: MigrationsConfig,
    pub journal: JournalConfig,
    pub keys: KeysConfig,
    pub purge: PurgeConfig,
    pub carry: CarryConfig,
    pub runbook: RunbookConfig,
    pub smoke: crate::check::smoke::SmokeConfig,
    /// Bearer tokens for what gates and triggers ask over HTTP.
    pub http_tokens: Vec<crate::check::metrics::HttpToken>,
    /// Whom to tell what happens in a run.
    pub hooks: Vec<crate::hooks::Hook>,
    /// The environments by name.
    pub environments: BTreeMap<String, Environment>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MigrationsConfig {
    /// Folder of migrations; without it those that dbctl carries are used.
    pub dir: Option<PathBuf>,
    /// External validator, as an argument vector; exit status 0 means valid.
    pub validator: Option<Vec<String>>,
    /// What sessions begin with where migrations are tried, such as `TimeZone`: it goes before what
    /// the database of an environment says.
    pub session: BTreeMap<String, String>,
    /// Which rules of the lint hold, for which files, and from which version on.
    pub lint: crate::migrate::lint::Rules,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// SQLite file of the rollout journal. Relative to the settings file. With a database the
    /// local files of rollouts (kits, locks, the mirror) still lie beside it.
    pub path: PathBuf,
    /// The database that the journal lies in instead, without a password. A URL without a user
    /// has everybody come as themselves (PGUSER, else the operating system's user).
    pub database_url: Option<String>,
    pub password_file: Option<PathBuf>,
    /// Refuse any connection that is not `sslmode=verify-full`.
    pub require_tls: bool,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from(".dbctl/journal.db"),
            database_url: None,
            password_file: None,
            require_tls: false,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The logical key that signs access tokens.
    pub key_id: String,
    /// `EdDSA` (Ed25519), `ES256` or `RS256`.
    pub algorithm: crate::keys::Algorithm,
    /// How long verifiers may keep a key set in their caches.
    #[serde(deserialize_with = "duration")]
    pub verifier_cache: Duration,
    /// The longest lifetime of a token.
    #[serde(deserialize_with = "duration")]
    pub token_lifetime: Duration,
    /// How far clocks may differ, and how long a signer may believe an old copy of the keys.
    #[serde(deserialize_with = "duration")]
    pub clock_skew: Duration,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            key_id: "access-tokens".into(),
            algorithm: crate::keys::Algorithm::EdDsa,
            verifier_cache: Duration::from_secs(20 * 60),
            token_lifetime: Duration::from_secs(60 * 60),
            clock_skew: Duration::from_secs(15 * 60),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CarryConfig {
    /// What a rollback without Postgres does about the time since the rollback kit was fresh.
    pub gap: Gap,
}

/// What a rollback without Postgres does about revocations that it cannot know: those that were
/// accepted after the rollback kit was fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// Tokens that were revoked in the gap are accepted again until they expire, or until Postgres
    /// answers and its revocations come home.
    #[default]
    Accept,
    /// Every token that was issued before the rollback is denied: whoever was logged in logs in
    /// again, and nothing revoked comes back to life.
    DenyIssuedBefore,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunbookConfig {
    /// The runbook that `rollout` and `verify` use when none is named; without it the one that
    /// dbctl carries (`runbooks/phase-1-postgres-cutover.md`).
    pub path: Option<PathBuf>,
}

/// One environment: its database, its key-encryption key, its targets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Filled in from the table's name.
    #[serde(skip)]
    pub name: String,
    /// Without a password; see `password_file`.
    pub database_url: Option<String>,
    pub password_file: Option<PathBuf>,
    /// Refuse any connection that is not `sslmode=verify-full`.
    pub require_tls: bool,
    /// The role that the service logs in as; `preflight` compares its privileges.
    pub service_role: Option<String>,
    /// File with the key-encryption key: 32 bytes as base64; refused when others can read it.
    pub kek_file: Option<PathBuf>,
    /// Command that prints the key-encryption key (a KMS, a vault), as an argument vector.
    pub kek_command: Option<Vec<String>>,
    /// Name of a file in systemd's `$CREDENTIALS_DIRECTORY` that holds the key-encryption key.
    pub kek_credential: Option<String>,
    /// File with the bearer token for the service's carry-over endpoints.
    pub admin_token_file: Option<PathBuf>,
    /// The Prometheus server that knows the targets; without it dbctl scrapes them itself.
    pub metrics: Option<crate::check::metrics::prometheus::MetricsConfig>,
    pub targets: Vec<Target>,
}

/// One instance of the service: what a toggle reaches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub name: String,
    /// Base URL of the running instance.
    pub url: String,
    /// Names that a runbook step may use in `on`, such as `canary`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The file that holds the toggles (`NAME=value` lines) and is read when the service starts.
    pub env_file: PathBuf,
    /// How to restart it after its toggles changed.
    pub restart: Restart,
    /// Where the memory and file adapters read at their start; the rollback kit is kept here.
    pub state_dir: PathBuf,
    /// The log that the service writes: what it says of trouble is kept when a run is stopped.
    #[serde(default)]
    pub log: Option<crate::check::logs::LogConfig>,
}

/// `restart = ["systemctl", "restart", "auth@1"]` or `restart = { post = "http://…/restart" }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Restart {
    Command(Vec<String>),
    /// For supervisors that are asked over HTTP; any 2xx answer means restarted.
    Post {
        post: String,
    },
}

impl Environment {
    /// The targets that `on` names, by target name or by group; all of them when `on` is empty.
    /// An unknown name is an error: a toggle must never reach fewer targets than was meant.
    pub fn select(&self, on: &[String]) -> Result<Vec<&Target>> {
        if let Some(unknown) = on
            .iter()
            .find(|name| !self.targets.iter().any(|t| t.is(name)))
        {
            return Err(Problem::new(
                Exit::Config,
                format!("choosing targets of {}", self.name),
                format!("no target and no group is called `{unknown}`"),
            )
            .next(format!("known: {}", self.known_names().join(", "))));
        }
        Ok(self
            .targets
            .iter()
            .filter(|t| on.is_empty() || on.iter().any(|name| t.is(name)))
            .collect())
    }

    /// Whether it says where its key-encryption key is.
    pub fn names_a_kek(&self) -> bool {
        self.kek_file.is_some() || self.kek_command.is_some() || self.kek_credential.is_some()
    }

    fn known_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .targets
            .iter()
            .flat_map(|t| std::iter::once(&t.name).chain(&t.groups).cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Target {
    fn is(&self, name: &str) -> bool {
        self.name == name || self.groups.iter().any(|g| g == name)
    }
}

/// Everything resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    pub config: Config,
    /// The settings file, where one was read.
    pub file: Option<PathBuf>,
    pub env_name: Option<String>,
    pub database_url: Option<String>,
    pub password_file: Option<PathBuf>,
    pub format: Format,
    pub color: ColorChoice,
    pub no_input: bool,
    pub verbose: u8,
}

impl Settings {
    /// Reads the settings file. A missing one is fine as long as it was not named by hand.
    pub fn load(args: &GlobalArgs) -> Result<Self> {
        let named = args.config != Path::new("dbctl.toml");
        let (config, file) = match std::fs::read_to_string(&args.config) {
            Ok(text) => (parse(&args.config, &text)?, Some(args.config.clone())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => {
                (Config::default(), None)
            }
            Err(e) => {
                return Err(Problem::new(
                    Exit::Config,
                    format!("reading {}", args.config.display()),
                    e,
                )
                .next("`dbctl init` writes one with comments"));
            }
        };
        Ok(Self {
            config,
            file,
            ..Self::without_file(args)
        })
    }

    /// The same command line with another settings file.
    pub fn with_file(&self, file: &Path) -> Result<Self> {
        let doing = format!("reading {}", file.display());
        let text = std::fs::read_to_string(file).doing(Exit::Config, doing)?;
        Ok(Self {
            config: parse(file, &text)?,
            file: Some(file.to_owned()),
            env_name: None,
            database_url: None,
            password_file: None,
            ..self.clone()
        })
    }

    /// The command line alone, for commands that no settings file has a say in.
    pub fn without_file(args: &GlobalArgs) -> Self {
        Self {
            config: Config::default(),
            file: None,
            env_name: args.env.clone(),
            database_url: args.database_url.clone(),
            password_file: args.password_file.clone(),
            format: args.format,
            color: args.color,
            no_input: args.no_input,
            verbose: args.verbose,
        }
    }

    /// The environment of a command that needs only a database: that of `--env`; without it none
    /// where `--database-url` names the database or there are none, else the only one there is.
    pub fn environment_of_database(&self) -> Result<Option<&Environment>> {
        let needless = self.database_url.is_some() || self.config.environments.is_empty();
        if self.env_name.is_none() && needless {
            return Ok(None);
        }
        self.environment(None).map(Some)
    }

    /// The environment called `name`, else the one of `--env`, else the only one there is.
    pub fn environment(&self, name: Option<&str>) -> Result<&Environment> {
        let all = &self.config.environments;
        match name.or(self.env_name.as_deref()) {
            Some(name) => all.get(name).ok_or_else(|| self.no_environment(Some(name))),
            None if all.len() == 1 => Ok(all.values().next().expect("one")),
            None => Err(self.no_environment(None)),
        }
    }

    /// Why none could be chosen, and which there are.
    fn no_environment(&self, name: Option<&str>) -> Problem {
        let known: Vec<&str> = self.config.environments.keys().map(|k| &**k).collect();
        let file = self.file.as_deref().map(Path::display);
        let (exit, cause) = match (name, &file) {
            (Some(name), Some(file)) => {
                let name = name.escape_debug();
                (Exit::Config, format!("`{name}` is not in {file}"))
            }
            (Some(name), None) => {
                let name = name.escape_debug();
                let cause = format!("there is no settings file that could name `{name}`");
                (Exit::Config, cause)
            }
            (None, None) => (Exit::Usage, "there is no settings file".to_owned()),
            (None, Some(file)) if known.is_empty() => {
                (Exit::Usage, format!("{file} names no environment"))
            }
            (None, Some(_)) => (Exit::Usage, "several are possible".to_owned()),
        };
        let all = known.join(", ");
        let next = match (name, file) {
            (_, None) => "`dbctl init` writes a settings file to fill in".to_owned(),
            (_, Some(file)) if known.is_empty() => {
                format!("it names none: fill in an [environments.NAME] of {file}")
            }
            (Some(name), Some(_)) => match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? it names {all}"),
                None => format!("it names {all}"),
            },
            (None, Some(_)) => format!("say which with --env: {all}"),
        };
        Problem::new(exit, "choosing the environment", cause).next(next)
    }
}

/// Parses the text of a settings file; paths of environments and targets become relative to it.
fn parse(file: &Path, text: &str) -> Result<Config> {
    let mut config: Config = toml::from_str(text).map_err(|e| {
        let problem = Problem::new(
            Exit::Config,
            format!("reading {}", file.display()),
            e.message(),
        )
        .next("`dbctl init DIR` writes one with every setting explained");
        match e.span() {
            Some(span) => problem.at(file.display(), without_passwords(text), span, "here"),
            None => problem,
        }
    })?;
    config.purge.check().map_err(|why| {
        let doing = format!("reading {}", file.display());
        Problem::new(Exit::Config, doing, format!("[purge]: {why}"))
            .next("docs/settings.md describes [purge]")
    })?;
    let base = crate::durable::parent(file);
    let under = |p: &mut PathBuf| *p = base.join(&*p);
    for (name, env) in &mut config.environments {
        env.name = name.clone();
        [
            &mut env.password_file,
            &mut env.kek_file,
            &mut env.admin_token_file,
        ]
        .into_iter()
        .flatten()
        .for_each(under);
        for target in &mut env.targets {
            under(&mut target.env_file);
            under(&mut target.state_dir);
            if let Some(log) = &mut target.log {
                log.file.iter_mut().for_each(under);
                log.check().map_err(|why| {
                    let doing = format!("reading {}", file.display());
                    Problem::new(
                        Exit::Config,
                        doing,
                        format!("target {}: {why}", target.name),
                    )
                    .next("docs/settings.md describes [[environments.NAME.targets]]")
                })?;
            }
        }
        if let Some(metrics) = &mut env.metrics {
            metrics.files().for_each(under);
            metrics.check(&env.targets).map_err(|why| {
                let doing = format!("reading {}", file.display());
                Problem::new(Exit::Config, doing, format!("environment {name}: {why}"))
                    .next("docs/settings.md describes [environments.NAME.metrics]")
            })?;
        }
        if let Some(twice) = repeated(env.targets.iter().map(|t| &t.name)) {
            return Err(Problem::new(
                Exit::Config,
                format!("reading {}", file.display()),
                format!("environment {name} has two targets called `{twice}`"),
            ));
        }
    }
    for token in &mut config.http_tokens {
        under(&mut token.token_file);
    }
    let origins: Vec<String> = config.http_tokens.iter().map(|t| t.origin()).collect();
    if let Some(twice) = repeated(origins.iter()) {
        return Err(Problem::new(
            Exit::Config,
            format!("reading {}", file.display()),
            format!("http_tokens names {twice} twice"),
        ));
    }
    for hook in &mut config.hooks {
        hook.secret_file().into_iter().for_each(under);
    }
    config.migrations.dir.iter_mut().for_each(under);
    config.runbook.path.iter_mut().for_each(under);
    under(&mut config.journal.path);
    config.journal.password_file.iter_mut().for_each(under);
    Ok(config)
}

/// The text with whatever stands before the `@` of an address made unreadable, of the same length.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown += before;
        shown += "://";
        let ends = |c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace();
        let authority = &after[..after.find(ends).unwrap_or(after.len())];
        let user = authority.rfind('@').unwrap_or(0);
        shown.extend(std::iter::repeat_n('*', user));
        rest = &after[user..];
    }
    shown + rest
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Reads a duration in words: `30m`, `1h 30m`, `500ms`.
pub fn duration<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

/// Durations in words, both ways.
pub mod duration_in_words {
    use std::time::Duration;

    pub use super::duration as deserialize;

    pub fn serialize<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        let signed = jiff::SignedDuration::try_from(*d).map_err(serde::ser::Error::custom)?;
        s.collect_str(&format_args!("{signed:#}"))
    }
}

/// Reads a duration in words: `30m`, `1h 30m`, `500ms`, `7d` (of 24 hours each). Zero and negative
/// ones are refused.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let no_duration = |_: jiff::Error| {
        format!("`{text}` is not a duration such as \"30m\", \"90s\" or \"1h 30m\"")
    };
    let span: jiff::Span = text.parse().map_err(no_duration)?;
    let signed = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(no_duration)?;
    Duration::try_from(signed)
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| format!("`{text}` is not a positive duration"))
}

/// The name of this machine.
#[cfg(unix)]
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The name of this machine.
#[cfg(not(unix))]
pub fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".into())
}
