//! A database to try things on: embedded, native or on a server that the user names.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row, raw_sql};

use super::embedded::{self, Embedded};
use super::native::Native;
use super::{Database, Identifier, problem, query};
use crate::error::Result;

/// `--scratch auto|embedded|native|URL`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// Embedded where this build has it, else native.
    #[default]
    Auto,
    Embedded,
    Native,
    /// A server on which a database is created, and dropped afterwards.
    Url(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Choice::Auto),
            "embedded" => Ok(Choice::Embedded),
            "native" => Ok(Choice::Native),
            url if url.contains("://") => Ok(Choice::Url(url.to_owned())),
            _ => Err(
                "use auto, embedded, native or a URL such as postgres://USER@HOST/DATABASE"
                    .to_owned(),
            ),
        }
    }
}

/// An empty database that goes away again. End it with [`Scratch::stop`].
pub enum Scratch {
    Embedded(Box<Embedded>),
    Native(Box<Native>),
    Url(Box<OnServer>),
}

impl Scratch {
    /// `pg_bin` is where a native PostgreSQL lies, if it is not to be searched for.
    pub async fn start(choice: &Choice, pg_bin: Option<&Path>) -> Result<Self> {
        match choice {
            Choice::Auto if cfg!(feature = "embedded") => {
                Ok(Scratch::Embedded(Box::new(Embedded::start().await?)))
            }
            Choice::Embedded => Ok(Scratch::Embedded(Box::new(Embedded::start().await?))),
            Choice::Auto | Choice::Native => {
                Ok(Scratch::Native(Box::new(Native::start(pg_bin).await?)))
            }
            Choice::Url(url) => Ok(Scratch::Url(Box::new(OnServer::create(url).await?))),
        }
    }

    pub fn database(&self) -> &Database {
        match self {
            Scratch::Embedded(s) => s.database(),
            Scratch::Native(s) => s.database(),
            Scratch::Url(s) => &s.database,
        }
    }

    /// For people: `embedded PostgreSQL 17.5`.
    pub fn description(&self) -> String {
        match self {
            Scratch::Embedded(_) => format!("embedded PostgreSQL {}", embedded::VERSION),
            Scratch::Native(s) => format!("native PostgreSQL {}", s.version()),
            Scratch::Url(s) => format!("PostgreSQL {} at {}", s.version, s.server),
        }
    }

    /// Ends it and leaves nothing behind, but for roles that were made on somebody's server.
    pub async fn stop(self) -> Result<()> {
        self.stop_without(&[]).await.map(drop)
    }

    /// As [`stop`](Self::stop), and drops these roles, which were made on it in this order: they are
    /// of a cluster and not of a database. Returns those that stay, each with the reason.
    pub async fn stop_without(self, roles: &[String]) -> Result<Vec<(String, String)>> {
        match self {
            Scratch::Embedded(s) => s.stop().await.map(|()| Vec::new()),
            Scratch::Native(s) => s.stop().await.map(|()| Vec::new()),
            Scratch::Url(s) => s.drop_database(roles).await,
        }
    }

    /// Ends it though a statement may still run there. The embedded one cannot end that: its files go
    /// when the next one starts.
    pub async fn give_up(self) -> Result<()> {
        match self {
            Scratch::Embedded(s) => {
                drop(s);
                Ok(())
            }
            Scratch::Native(s) => s.stop().await,
            Scratch::Url(s) => s.drop_database(&[]).await.map(drop),
        }
    }

    /// Whether the cluster is there for others too, and stays when it has ended.
    pub fn is_shared(&self) -> bool {
        match self {
            Scratch::Embedded(_) | Scratch::Native(_) => false,
            Scratch::Url(_) => true,
        }
    }
}

/// A scratch database on somebody's server.
pub struct OnServer {
    server: Database,
    database: Database,
    name: Identifier,
    version: String,
}

impl OnServer {
    /// Seconds since 1970 and a random number follow: the name tells its age and cannot collide.
    const PREFIX: &str = "dbctl_scratch_";
    /// A crashed run's database is dropped once it is that old and nobody is connected to it.
    const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(3600);

    async fn create(url: &str) -> Result<Self> {
        let server = Database::from_url("--scratch", url)?;
        server.check().await?;
        let doing = format!("creating a scratch database at {server}");
        let version = server.server_version().await?;
        Self::sweep(&server).await?;
        let now = jiff::Timestamp::now().as_second();
        let name = Identifier::new(format!(
            "{}{now}_{:016x}",
            Self::PREFIX,
            rand::random::<u64>()
        ))?;
        // From template0: what a site added to template1 is not part of the migrations.
        raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0")))
            .execute(server.pool())
            .await
            .map_err(|e| {
                problem(&doing, &e).next(
                    "the user needs CREATEDB (ALTER ROLE … CREATEDB), or use --scratch embedded or native",
                )
            })?;
        let options = server.options().clone().database(name.as_str());
        Ok(Self {
            database: Database::from_options(options, 4),
            server,
            name,
            version,
        })
    }

    async fn drop_database(self, roles: &[String]) -> Result<Vec<(String, String)>> {
        self.database.close().await;
        Self::drop_one(&self.server, &self.name).await?;
        let mut left = Vec::new();
        for role in roles.iter().rev() {
            let drop = format!("DROP ROLE IF EXISTS {}", Identifier::new(role.clone())?);
            let dropped = raw_sql(AssertSqlSafe(drop)).execute(self.server.pool());
            if let Err(e) = dropped.await {
                let why = problem(format!("dropping the role {role}"), &e);
                left.push((role.clone(), why.cause().to_owned()));
            }
        }
        self.server.close().await;
        Ok(left)
    }

    async fn drop_one(server: &Database, name: &Identifier) -> Result<()> {
        raw_sql(AssertSqlSafe(format!(
            "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        )))
        .execute(server.pool())
        .await
        .map(|_| ())
        .map_err(|e| {
            problem(
                format!("dropping the scratch database {name} at {server}"),
                &e,
            )
        })
    }

    /// Drops what crashed runs of this user left: by name, old, and with nobody connected.
    async fn sweep(server: &Database) -> Result<()> {
        let looking =
            |e: &sqlx::Error| problem(format!("looking for old scratch databases at {server}"), e);
        let mut tx = server.begin().await.map_err(|e| looking(&e))?;
        let left = query(
            "SELECT d.datname FROM pg_catalog.pg_database d \
             WHERE starts_with(d.datname, $1) AND pg_catalog.pg_has_role(d.datdba, 'MEMBER') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid)",
        )
        .bind(Self::PREFIX)
        .fetch_all(&mut *tx)
        .await
        .map_err(|e| looking(&e))?;
        tx.commit().await.map_err(|e| looking(&e))?;
        let too_old =
            jiff::Timestamp::now().as_second() - Self::LEFT_BEHIND_AFTER.as_secs().cast_signed();
        for row in left {
            let name: String = row.get(0);
            let made = name[Self::PREFIX.len()..].split('_').next();
            if made
                .and_then(|s| s.parse().ok())
                .is_some_and(|made: i64| made < too_old)
            {
                Self::drop_one(server, &Identifier::new(name)?).await?;
            }
        }
        Ok(())
    }
}
