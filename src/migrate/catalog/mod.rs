//! What a schema is, read from the catalog and not from a dump: two databases that say the same
//! here are the same, whatever made them so.

mod queries;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use crate::error::Result;
use crate::pg::{self, Database, problem};

/// A kind of thing, in the order in which a person reads a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Extension,
    Schema,
    Type,
    Relation,
    Column,
    Constraint,
    Index,
    Sequence,
    Function,
    Trigger,
    Rule,
    Policy,
    Statistics,
    EventTrigger,
    Publication,
    DefaultPrivileges,
    Comment,
}

const QUERIES: [(Kind, &str); 17] = [
    (Kind::Extension, queries::EXTENSIONS),
    (Kind::Schema, queries::SCHEMAS),
    (Kind::Type, queries::TYPES),
    (Kind::Relation, queries::RELATIONS),
    (Kind::Column, queries::COLUMNS),
    (Kind::Constraint, queries::CONSTRAINTS),
    (Kind::Index, queries::INDEXES),
    (Kind::Sequence, queries::SEQUENCES),
    (Kind::Function, queries::FUNCTIONS),
    (Kind::Trigger, queries::TRIGGERS),
    (Kind::Rule, queries::RULES),
    (Kind::Policy, queries::POLICIES),
    (Kind::Statistics, queries::STATISTICS),
    (Kind::EventTrigger, queries::EVENT_TRIGGERS),
    (Kind::Publication, queries::PUBLICATIONS),
    (Kind::DefaultPrivileges, queries::DEFAULT_PRIVILEGES),
    (Kind::Comment, queries::COMMENTS),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Extension => "extension",
            Kind::Schema => "schema",
            Kind::Type => "type",
            Kind::Relation => "relation",
            Kind::Column => "column",
            Kind::Constraint => "constraint",
            Kind::Index => "index",
            Kind::Sequence => "sequence",
            Kind::Function => "function",
            Kind::Trigger => "trigger",
            Kind::Rule => "rule",
            Kind::Policy => "policy",
            Kind::Statistics => "statistics",
            Kind::EventTrigger => "event trigger",
            Kind::Publication => "publication",
            Kind::DefaultPrivileges => "default privileges",
            Kind::Comment => "comment",
        })
    }
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The owner of all is whoever owns the history of migrations; without one, whoever reads.
const SETTINGS: &str = "\
SELECT set_config('search_path', 'pg_catalog', true),
       set_config('dbctl.owner', coalesce((
         SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c
          WHERE c.relkind = 'r' AND c.relname IN (
                'refinery_schema_history', '_sqlx_migrations', 'schema_migrations', 'goose_db_version',
                '__diesel_schema_migrations', 'flyway_schema_history')
          ORDER BY c.oid LIMIT 1), current_user::text), true)";

/// Everything in a schema, by kind and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    things: BTreeMap<(Kind, String), String>,
}

/// What one thing is here and there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    pub kind: Kind,
    pub name: String,
    /// None where it is not there.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Catalog {
    /// Reads all of it at one moment.
    ///
    /// # Errors
    /// Unreachable, or a privilege that reading the catalog needs.
    pub async fn read(database: &Database) -> Result<Self> {
        let read = async {
            let mut tx = database.begin_with(BEGIN).await?;
            let all = Self::within(&mut tx).await?;
            tx.commit().await?;
            Ok(all)
        };
        let doing = format!("reading the schema of {database}");
        read.await.map_err(|e: sqlx::Error| problem(doing, &e))
    }

    /// The same on a connection that is in no transaction.
    pub(super) async fn on(connection: &mut PgConnection) -> sqlx::Result<Self> {
        connection.execute(BEGIN).await?;
        let all = Self::within(connection).await?;
        connection.execute("COMMIT").await?;
        Ok(all)
    }

    async fn within(connection: &mut PgConnection) -> sqlx::Result<Self> {
        // Names come with their schema where it is not on the path.
        connection.execute(SETTINGS).await?;
        let mut things = BTreeMap::new();
        for (kind, sql) in QUERIES {
            let rows = pg::query(AssertSqlSafe(sql))
                .fetch_all(&mut *connection)
                .await?;
            for row in rows {
                let definition: Option<String> = row.try_get(1)?;
                let mut definition = definition.unwrap_or_default();
                // The text of a view stands on the lines after the first.
                if kind == Kind::Relation
                    && let Some((head, text)) = definition.split_once('\n')
                {
                    definition = format!("{head}\n{}", views::plain(text));
                }
                things.insert((kind, row.try_get(0)?), definition);
            }
        }
        Ok(Self { things })
    }

    /// Without what belongs to these relations: a tool's own history.
    pub fn without(mut self, relations: &[&str]) -> Self {
        let of = |name: &str| {
            relations
                .iter()
                .any(|r| name == *r || name.starts_with(&format!("{r}.")))
        };
        self.things.retain(|(kind, name), definition| match kind {
            Kind::Index => !relations
                .iter()
                .any(|r| definition.contains(&format!(" ON {r} "))),
            Kind::Sequence => !relations
                .iter()
                .any(|r| definition.contains(&format!(" owned by {r}."))),
            Kind::Extension
            | Kind::Schema
            | Kind::Type
            | Kind::Relation
            | Kind::Column
            | Kind::Constraint
            | Kind::Function
            | Kind::Trigger
            | Kind::Rule
            | Kind::Policy
            | Kind::Statistics
            | Kind::EventTrigger
            | Kind::Publication
            | Kind::DefaultPrivileges
            | Kind::Comment => !of(name),
        });
        self
    }

    /// What became of `self` in `after`, by kind and name.
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let names: BTreeSet<&(Kind, String)> =
            self.things.keys().chain(after.things.keys()).collect();
        let pairs = names
            .into_iter()
            .map(|name| (name, self.things.get(name), after.things.get(name)));
        pairs
            .filter(|(_, before, after)| before != after)
            .map(|((kind, name), before, after)| Difference {
                kind: *kind,
                name: name.clone(),
                before: before.cloned(),
                after: after.cloned(),
            })
            .collect()
    }
}

impl fmt::Display for Catalog {
    /// The canonical text: the same for the same schema, on every machine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, name), definition) in &self.things {
            writeln!(f, "{kind} {name}")?;
            for line in definition.lines().map(str::trim_end) {
                writeln!(f, "    {}", line.trim_start_matches(' '))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind, &self.name);
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, "{kind} {name} is new: {}", after.trim()),
            (Some(before), None) => write!(f, "{kind} {name} is gone: {}", before.trim()),
            (before, after) => write!(
                f,
                "{kind} {name} was {} and is {}",
                before.as_deref().unwrap_or_default().trim(),
                after.as_deref().unwrap_or_default().trim()
            ),
        }
    }
}
