//! Connecting, and saying in plain words why it did not work.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, Postgres, SqlSafeStr, Transaction};

use super::prepared::Known;
use super::{query_as, query_scalar};
use crate::error::{Chain, Doing, Exit, Problem, Result};
use crate::settings::{Environment, JournalConfig, Settings};

/// How long connecting may take. A hostile or dead server must not hold anybody up (the
/// driver's SCRAM has no bound of its own).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was good so short a time ago is used without being asked again, which would
/// cost every statement of a busy service a second round trip. A statement on one that broke
/// meanwhile is an error as if it had broken while it was under way.
const TRUSTED_FOR: Duration = Duration::from_millis(100);

/// A pool of connections to one database. Cloning shares the pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    /// Nobody said which one: it is the default.
    unnamed: bool,
    pub(super) prepared: Known,
}

/// See [`Database::identity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The system identifier. A physical copy, a standby or a clone, has the same.
    pub cluster: String,
    /// When the server was started, to the microsecond: tells it from its copies.
    pub started: String,
    pub database: String,
}

impl Identity {
    /// It is one running server, whatever it is reached by.
    pub fn same_server(&self, other: &Self) -> bool {
        (&self.cluster, &self.started) == (&other.cluster, &other.started)
    }

    /// It is one database, or a copy of it.
    pub fn same_database(&self, other: &Self) -> bool {
        (&self.cluster, &self.database) == (&other.cluster, &other.database)
    }
}

impl Database {
    /// The database of `env` by the documented order: `--database-url`, `database_url` of the
    /// environment, `DATABASE_URL`, the `PG*` variables. Nothing is sent yet.
    ///
    /// `notice` is told once when the connection could be read by others on the way.
    pub fn resolve(
        settings: &Settings,
        env: Option<&Environment>,
        notice: &dyn Fn(&str),
    ) -> Result<Self> {
        let (options, unnamed) = options(settings, env)?;
        let require_tls = env.is_some_and(|e| e.require_tls);
        warn_of_others(&options, require_tls, "this environment", notice)?;
        Ok(Self {
            unnamed,
            ..Self::from_options(options, 4)
        })
    }

    /// The database that the settings name for the journal of rollouts, if they name one. No flag
    /// and no `DATABASE_URL` has a say: those are for what a rollout switches.
    pub fn of_journal(config: &JournalConfig, notice: &dyn Fn(&str)) -> Result<Option<Self>> {
        let Some(url) = &config.database_url else {
            return Ok(None);
        };
        let mut options = parse("database_url of [journal]", url, false)?;
        if let Some(file) = &config.password_file {
            let password = read_secret_line(file, "the password of the journal's database")?;
            options = options.password(password.expose_secret());
        }
        warn_of_others(&options, config.require_tls, "[journal]", notice)?;
        Ok(Some(Self::from_options(options, 4)))
    }

    /// The database of a URL that came by flag or file (`origin`): without a password in it.
    pub fn from_url(origin: &str, url: &str) -> Result<Self> {
        Ok(Self::from_options(parse(origin, url, false)?, 4))
    }

    /// A pool on a URL that may hold a password, such as one from a service's environment.
    /// Nothing is sent yet.
    pub fn from_secret_url(origin: &str, url: &SecretString, max_connections: u32) -> Result<Self> {
        let options = parse(origin, url.expose_secret(), true)?;
        Ok(Self::from_options(options, max_connections))
    }

    /// A pool of at most `max_connections`, opened as they are needed.
    pub fn from_options(options: PgConnectOptions, max_connections: u32) -> Self {
        Self::from_parts(
            options,
            PgPoolOptions::new()
                .max_connections(max_connections)
                .acquire_timeout(CONNECT_TIMEOUT)
                .test_before_acquire(false)
                .before_acquire(|connection, seen| {
                    Box::pin(async move {
                        if seen.idle_for > TRUSTED_FOR {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                }),
        )
    }

    /// The one connection to the embedded engine, which starts a backend for each: it is kept,
    /// and waiting for it is waiting for one's turn.
    #[cfg(feature = "embedded")]
    pub(super) fn one_kept_open(options: PgConnectOptions, patience: Duration) -> Self {
        Self::from_parts(
            options,
            PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(patience)
                .test_before_acquire(false),
        )
    }

    fn from_parts(options: PgConnectOptions, pool: PgPoolOptions) -> Self {
        let options = options
            .application_name("dbctl")
            // See `query`, which gives statements no name.
            .statement_cache_capacity(0)
            // A start-up parameter that PgBouncer refuses; the server's default is as exact.
            .extra_float_digits(None)
            .disable_statement_logging();
        let prepared = Known::default();
        let pool = prepared.taught_to(pool);
        // No task of the pool looks for connections that idle or are old: what counts them may
        // fall below zero for a moment, and a task that looks just then spins for ever, so that
        // the process never ends (sqlx 0.9.0, <https://github.com/transact-rs/sqlx/issues/3645>).
        // A connection that was closed by the server is noticed when it is taken.
        let pool = pool.idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_lazy_with(options.clone());
        Self {
            pool,
            options: options.into(),
            unnamed: false,
            prepared,
        }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction on a connection of the pool.
    ///
    /// It may be dropped at any point: sqlx's own `begin` (0.9.0) must not be, it would give a
    /// connection back to the pool with the transaction open and unknown to it, and what others
    /// write on that connection is lost (<https://github.com/transact-rs/sqlx/issues/4393>). So
    /// that part runs to its end in a task of its own.
    ///
    /// End it with `commit`, also where it only read: one that is dropped keeps its connection
    /// for another 40 ms (two small writes one after the other, and sqlx leaves Nagle's algorithm
    /// on).
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.begin_with("BEGIN").await
    }

    /// As [`begin`](Self::begin), with the words that begin it.
    pub async fn begin_with(
        &self,
        statement: &'static str,
    ) -> sqlx::Result<Transaction<'static, Postgres>> {
        // Waiting for a connection may be given up, or a database that was gone for a while would
        // have to serve everybody who has long left.
        let connection = self.pool.acquire().await?;
        let begin = Transaction::begin(connection, Some(statement.into_sql_str()));
        match tokio::spawn(begin).await {
            Ok(begun) => begun,
            // The runtime is going down.
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }

    /// A connection for oneself, until it is dropped: for migrations, which may be in no transaction,
    /// or set something for their session. Behind a transaction pooler it is none.
    pub async fn session(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        self.pool.acquire().await
    }

    /// Ends the connections that nobody uses, and waits for the others, but not for a statement
    /// that was given up and goes on.
    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), self.pool.close()).await;
    }

    /// The same over one connection, for whoever asks one thing after the other: what a process of
    /// the server learns of its catalog for the first of them serves the others.
    pub fn one_at_a_time(&self) -> Self {
        match self.pool.options().get_max_connections() {
            1 => self.clone(),
            _ => Self {
                unnamed: self.unnamed,
                ..Self::from_options(PgConnectOptions::clone(&self.options), 1)
            },
        }
    }

    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The database's name; the user's where none was given, as libpq does it.
    pub fn name(&self) -> &str {
        self.options
            .get_database()
            .unwrap_or(self.options.get_username())
    }

    /// What tells this server, and this database on it, from others.
    pub async fn identity(&self) -> Result<Identity> {
        let asked = async {
            let mut tx = self.begin().await?;
            let (cluster, started, database) = query_as(
                "SELECT s.system_identifier::text,
                        extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text, d.oid::text
                   FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
                  WHERE d.datname = pg_catalog.current_database()",
            )
            .fetch_one(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(Identity {
                cluster,
                started,
                database,
            })
        };
        asked
            .await
            .map_err(|e| problem(format!("asking {self} which database it is"), &e))
    }

    /// The server's version as it says it, such as `17.5`, without the packager's words.
    pub async fn server_version(&self) -> Result<String> {
        let asked = async {
            let mut tx = self.begin().await?;
            let version = query_scalar("SELECT pg_catalog.current_setting('server_version')")
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(version)
        };
        let version: String = asked
            .await
            .map_err(|e| problem(format!("asking {self} for its version"), &e))?;
        Ok(version
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Connects now, so that a database that is not there is told as such, and at once: a pool
    /// would try a refused connection again until its time-out.
    pub async fn check(&self) -> Result<()> {
        let doing = format!("connecting to {self}");
        let reached = async {
            match self.pool.size() {
                0 => self.options.connect().await?.close().await,
                _ => self.pool.execute("SELECT 1").await.map(|_| ()),
            }
        };
        let reached = match tokio::time::timeout(CONNECT_TIMEOUT, reached).await {
            Ok(done) => done,
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        };
        reached.map_err(|e| match self.unnamed {
            false => problem(doing, &e),
            true => problem(doing, &e).next(
                "no database is named, and this is the default; name one with --database-url, database_url \
                 of the environment, DATABASE_URL or the PG* variables",
            ),
        })
    }
}

impl std::fmt::Display for Database {
    /// `user@host:port/database`, never a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let o = &self.options;
        let database = self.name();
        match o.get_socket() {
            Some(socket) => write!(f, "{}@{}/{database}", o.get_username(), socket.display()),
            None => write!(
                f,
                "{}@{}:{}/{database}",
                o.get_username(),
                o.get_host(),
                o.get_port()
            ),
        }
    }
}

/// The options, and whether they are nothing but the defaults.
fn options(settings: &Settings, env: Option<&Environment>) -> Result<(PgConnectOptions, bool)> {
    let from_environment = std::env::var("DATABASE_URL").ok().filter(|u| !u.is_empty());
    let (origin, url, may_hold_password) = if let Some(url) = &settings.database_url {
        ("--database-url".to_owned(), Some(url.clone()), false)
    } else if let Some((env, url)) = env.and_then(|e| Some((e, e.database_url.clone()?))) {
        (
            format!("database_url of environment {}", env.name),
            Some(url),
            false,
        )
    } else {
        ("DATABASE_URL".to_owned(), from_environment, true)
    };
    const NAMES: [&str; 5] = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE"];
    let unnamed = url.is_none() && NAMES.iter().all(|name| std::env::var_os(name).is_none());
    let mut options = match url {
        Some(url) => parse(&origin, &url, may_hold_password)?,
        None => PgConnectOptions::new(),
    };
    let password_file = settings
        .password_file
        .as_deref()
        .or(env.and_then(|e| e.password_file.as_deref()));
    if let Some(file) = password_file {
        options =
            options.password(read_secret_line(file, "the database password")?.expose_secret());
    }
    Ok((options, unnamed))
}

fn parse(origin: &str, url: &str, may_hold_password: bool) -> Result<PgConnectOptions> {
    let doing = format!("reading {origin}");
    // The text itself is never shown: it may hold a password.
    let shape = || {
        Problem::new(Exit::Config, &doing, "it is not a Postgres URL")
            .next("postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full")
    };
    let parsed = reqwest::Url::parse(url).map_err(|_| shape())?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(shape());
    }
    let holds_password =
        parsed.password().is_some() || parsed.query_pairs().any(|(key, _)| key == "password");
    if holds_password && !may_hold_password {
        return Err(Problem::new(
            Exit::Config,
            &doing,
            "it holds a password, which others could read in the process list, the shell history or the file",
        )
        .next("leave the password out and use PGPASSFILE (~/.pgpass), --password-file FILE or PGPASSWORD"));
    }
    PgConnectOptions::from_str(url).map_err(|_| shape())
}

/// The first line of a file that only its owner can read.
pub(crate) fn read_secret_line(file: &Path, what: &str) -> Result<SecretString> {
    let text = read_secret_text(file, what)?;
    let line = text.expose_secret().lines().next().map(str::trim_end);
    match line.filter(|line| !line.is_empty()) {
        Some(line) => Ok(SecretString::from(line)),
        None => Err(Problem::new(
            Exit::Config,
            format!("reading {what} from {}", file.display()),
            "the file is empty",
        )),
    }
}

/// A whole file that only its owner can read.
pub(crate) fn read_secret_text(file: &Path, what: &str) -> Result<SecretString> {
    let doing = format!("reading {what} from {}", file.display());
    if crate::durable::others_can_read(file).doing(Exit::Config, &doing)? {
        return Err(
            Problem::new(Exit::Config, doing, "others can read the file")
                .next(format!("chmod 600 {}", file.display())),
        );
    }
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).doing(Exit::Config, &doing)?);
    Ok(SecretString::from(text.as_str()))
}

/// Says where others on the way could read or change what is sent; an error where that is refused.
fn warn_of_others(
    options: &PgConnectOptions,
    require_tls: bool,
    who: &str,
    notice: &dyn Fn(&str),
) -> Result<()> {
    if is_local(options) || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Ok(());
    }
    let weak = format!(
        "the connection to {} has sslmode={}: others on the way could read or change it",
        options.get_host(),
        sslmode(options.get_ssl_mode())
    );
    if require_tls {
        return Err(Problem::new(Exit::Config, "connecting to Postgres", weak).next(format!(
            "{who} has require_tls = true: use ?sslmode=verify-full, with sslrootcert where it is a CA of your own",
        )));
    }
    notice(&weak);
    Ok(())
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn sslmode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// Says what a driver's error means for the person in front of it.
pub fn problem(doing: impl std::fmt::Display, error: &sqlx::Error) -> Problem {
    let make =
        |cause: String, next: &str| Problem::new(Exit::Unavailable, &doing, cause).next(next);
    match error {
        sqlx::Error::Database(e) => {
            let text = match e.code() {
                Some(code) => format!("{} (SQLSTATE {code})", e.message()),
                None => e.message().to_owned(),
            };
            match e.code().as_deref() {
                Some("28P01" | "28000") => make(
                    text,
                    "check the user and the password (PGPASSFILE, --password-file, PGPASSWORD)",
                ),
                Some("3D000") => make(text, "check the database's name in the URL"),
                Some("42501") => make(
                    text,
                    "the role lacks a privilege; `dbctl preflight` names the missing ones",
                ),
                Some("42P01" | "42703" | "3F000") => make(
                    text,
                    "the schema is not there (yet): `dbctl migrate apply` makes it; `dbctl migrate list` shows what is applied",
                ),
                Some("25006") => make(text, "this server is read-only; connect to the primary"),
                Some("53300") => make(
                    text,
                    "all connections of the server are taken; try again or raise max_connections",
                ),
                Some(_) | None => Problem::new(Exit::Failed, &doing, text),
            }
        }
        sqlx::Error::Io(e) => make(
            Chain(e).to_string(),
            "is the server running and reachable from here? check host, port and firewall",
        ),
        sqlx::Error::Tls(e) => make(
            format!("TLS failed: {e}"),
            "check sslmode and sslrootcert in the URL",
        ),
        sqlx::Error::PoolTimedOut => make(
            format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
            "is the server running and reachable from here? check host, port and firewall",
        ),
        other => Problem::new(Exit::Failed, &doing, Chain(other)),
    }
}
