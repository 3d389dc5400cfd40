//! What the service's role may do, compared with what it needs: missing and excess, by name.
//!
//! Effective privileges count: own ones, those of roles that it is a member of, and PUBLIC's. Then
//! who owns what, who else was given something, and what future objects will give away.

mod others;

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use crate::error::Result;
use crate::pg::{self, Database, problem};

/// What a running service needs: privilege, object, columns (none: the whole object). The same
/// as `security.apply_privileges()` grants to `security_runtime`.
pub const NEEDED: &[(&str, &str, &[&str])] = &[
    ("USAGE", "schema security", &[]),
    ("USAGE", "schema authz", &[]),
    ("SELECT", "security.signing_keys", &[]),
    ("SELECT", "security.signing_material", &[]),
    (
        "SELECT",
        "security.signing_key_versions",
        &[
            "key_id",
            "version",
            "kid",
            "state",
            "is_current",
            "valid_from",
            "valid_until",
            "published_at",
            "algorithm",
            "public_key",
            "kek_id",
            "created_at",
        ],
    ),
    ("SELECT", "security.revoked_tokens", &[]),
    (
        "INSERT",
        "security.revoked_tokens",
        &[
            "token_id",
            "revoked_at",
            "expires_at",
            "reason",
            "revoked_by",
            "request_id",
        ],
    ),
    ("UPDATE", "security.revoked_tokens", &["expires_at"]),
    ("SELECT", "security.revoked_sessions", &[]),
    (
        "INSERT",
        "security.revoked_sessions",
        &[
            "session_id",
            "revoked_at",
            "expires_at",
            "reason",
            "revoked_by",
            "request_id",
        ],
    ),
    ("UPDATE", "security.revoked_sessions", &["expires_at"]),
    ("SELECT", "security.nonce_watermarks", &[]),
    ("INSERT", "security.nonce_watermarks", &[]),
    (
        "UPDATE",
        "security.nonce_watermarks",
        &["reserved_high", "window_size", "updated_at"],
    ),
    ("INSERT", "security.events", &[]),
    ("INSERT", "authz.policy_decisions", &[]),
    (
        "EXECUTE",
        "authz.ensure_policy_decision_partitions(integer)",
        &[],
    ),
];

/// What `security_janitor` may call; it may do nothing else. The same as
/// `security.apply_privileges()` grants to it.
pub const JANITOR: [&str; 7] = [
    "security.purge_revocations(text, timestamp with time zone, interval, integer)",
    "security.expired_revocations(interval)",
    "security.purge_events(interval, integer)",
    "authz.ensure_policy_decision_partitions(integer)",
    "authz.policy_decision_months()",
    "authz.drop_policy_decision_month(text, interval)",
    "authz.purge_decisions_without_month(interval, integer)",
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Privilege {
    object: String,
    privilege: String,
    /// None: the whole object.
    column: Option<String>,
}

/// Privileges as people write them, columns of one together:
/// `UPDATE (expires_at) on security.revoked_tokens`.
fn named<'p>(privileges: impl Iterator<Item = &'p Privilege>) -> Vec<String> {
    let mut together: BTreeMap<(&str, &str, bool), Vec<&str>> = BTreeMap::new();
    for p in privileges {
        let key = (&*p.object, &*p.privilege, p.column.is_some());
        together.entry(key).or_default().extend(p.column.as_deref());
    }
    together
        .into_iter()
        .map(
            |((object, privilege, _), columns)| match columns.as_slice() {
                [] => format!("{privilege} on {object}"),
                columns => format!("{privilege} ({}) on {object}", columns.join(", ")),
            },
        )
        .collect()
}

/// How a role's privileges differ from what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<String>,
    pub excess: Vec<String>,
    /// Statements that put single ones of them right.
    pub remedies: Vec<String>,
}

impl Difference {
    fn miss(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.missing.push(what.into());
        self.advise(remedy.into());
    }

    fn exceed(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.excess.push(what.into());
        self.advise(remedy.into());
    }

    fn advise(&mut self, remedy: String) {
        if !self.remedies.contains(&remedy) {
            self.remedies.push(remedy);
        }
    }

    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.excess.is_empty()
    }
}

/// Compares what `role` may do in this database with what a service needs. None when there is no
/// such role.
pub async fn compare(database: &Database, role: &str) -> Result<Option<Difference>> {
    let doing = format!("reading the privileges of {role} at {database}");
    let mut tx = database.begin().await.map_err(|e| problem(&doing, &e))?;
    let attributes = pg::query(
        "SELECT r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication, \
                pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT') AS connect, \
                pg_catalog.has_database_privilege(r.oid, d.oid, 'CREATE') AS create \
         FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
         WHERE r.rolname = $1 AND d.datname = pg_catalog.current_database()",
    )
    .bind(role)
    .fetch_optional(&mut *tx)
    .await
    .map_err(|e| problem(&doing, &e))?;
    let Some(attributes) = attributes else {
        return Ok(None);
    };
    let is = |column: &str| attributes.try_get::<bool, _>(column).unwrap_or(false);
    let mut difference = Difference::default();
    if is("rolsuper") {
        // Every other question is pointless: the answer is always yes.
        let remedy = format!("ALTER ROLE {} NOSUPERUSER", others::quoted(role));
        difference.exceed("superuser: it may do everything", remedy);
        return Ok(Some(difference));
    }
    for (attribute, means) in [
        ("rolcreaterole", "CREATEROLE"),
        ("rolcreatedb", "CREATEDB"),
        ("rolbypassrls", "BYPASSRLS"),
        ("rolreplication", "REPLICATION"),
        ("create", "CREATE on the database"),
    ] {
        if is(attribute) {
            let role = others::quoted(role);
            let remedy = match attribute {
                "create" => format!(
                    "REVOKE CREATE ON DATABASE {} FROM {role}, PUBLIC",
                    database.name()
                ),
                _ => format!("ALTER ROLE {role} NO{means}"),
            };
            difference.exceed(means, remedy);
        }
    }
    if !is("connect") {
        difference
            .missing
            .push("CONNECT on the database".to_owned());
    }
    let powerful = powerful_roles(&mut tx, role).await;
    for powerful in powerful.map_err(|e| problem(&doing, &e))? {
        let remedy = format!(
            "REVOKE {} FROM {}",
            others::quoted(&powerful),
            others::quoted(role)
        );
        difference.exceed(format!("membership of {powerful}"), remedy);
    }
    let actual = effective(&mut tx, role)
        .await
        .map_err(|e| problem(&doing, &e))?;
    let needed = needed();
    let missing = needed
        .iter()
        .filter(|p| !actual.contains(p) && !actual.contains(&whole(p)));
    difference.missing.extend(named(missing));
    if !difference.missing.is_empty() {
        difference.advise("SELECT security.apply_privileges()".to_owned());
        difference.advise(format!("GRANT security_runtime TO {role}"));
    }
    let owned = others::owned(&mut tx, role, &mut difference).await;
    let owned = owned.map_err(|e| problem(&doing, &e))?;
    for excess in named(actual.iter().filter(|p| !needed.contains(p))) {
        // What its owner may do goes with the ownership.
        if owned
            .iter()
            .any(|name| excess.ends_with(&format!(" on {name}")))
        {
            difference.excess.push(excess);
            continue;
        }
        // Its own, or one that PUBLIC has: whoever does not have it loses nothing.
        let revoke = excess.replacen(" on ", " ON ", 1);
        let revoke = match excess.contains('(') && excess.starts_with("EXECUTE") {
            true => revoke.replacen(" ON ", " ON FUNCTION ", 1),
            false => revoke,
        };
        difference.exceed(excess, format!("REVOKE {revoke} FROM {role}, PUBLIC"));
    }
    others::add(&mut tx, role, &mut difference)
        .await
        .map_err(|e| problem(&doing, &e))?;
    tx.commit().await.map_err(|e| problem(&doing, &e))?;
    Ok(Some(difference))
}

/// The privilege on all columns that covers one on a single one.
fn whole(privilege: &Privilege) -> Privilege {
    Privilege {
        column: None,
        ..privilege.clone()
    }
}

fn needed() -> BTreeSet<Privilege> {
    let on = |privilege: &str, object: &str, column: Option<&str>| Privilege {
        object: object.to_owned(),
        privilege: privilege.to_owned(),
        column: column.map(str::to_owned),
    };
    NEEDED
        .iter()
        .flat_map(|(privilege, object, columns)| -> Vec<Privilege> {
            match columns {
                [] => vec![on(privilege, object, None)],
                columns => columns
                    .iter()
                    .map(|c| on(privilege, object, Some(c)))
                    .collect(),
            }
        })
        .collect()
}

/// Roles whose members can do more than any grant on our tables says.
async fn powerful_roles(tx: &mut PgConnection, role: &str) -> Result<Vec<String>, sqlx::Error> {
    pg::query_scalar(
        "SELECT p.rolname::text FROM pg_catalog.pg_roles p, pg_catalog.pg_roles r \
         WHERE r.rolname = $1 AND p.oid <> r.oid AND pg_catalog.pg_has_role(r.oid, p.oid, 'MEMBER') \
           AND (p.rolsuper OR p.rolcreaterole OR p.rolbypassrls \
                OR p.rolname IN ('security_owner', 'security_auditor', 'security_janitor', 'pg_read_all_data', 'pg_write_all_data', \
                                 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', \
                                 'pg_maintain', 'pg_signal_backend')) \
         ORDER BY 1",
    )
    .bind(role)
    .fetch_all(tx)
    .await
}

/// Everything that `role` may do in the schemas `security` and `authz` and with the history of
/// migrations (which it need only never write). Privileges on single columns are named only
/// where the whole table is not covered.
async fn effective(tx: &mut PgConnection, role: &str) -> Result<BTreeSet<Privilege>, sqlx::Error> {
    let rows = pg::query(
        "WITH role AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1), \
         relations AS ( \
           SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relname = 'refinery_schema_history' AS history \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND (n.nspname IN ('security', 'authz') OR c.relname = 'refinery_schema_history')), \
         kinds AS (SELECT unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] \
           || CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 THEN ARRAY['MAINTAIN'] ELSE '{}' END) AS kind), \
         tables AS ( \
           SELECT r.oid, r.name, r.history, k.kind, \
                  pg_catalog.has_table_privilege(role.oid, r.oid, k.kind) AS whole \
           FROM relations r, kinds k, role) \
         SELECT name AS object, kind AS privilege, NULL::text AS column_name FROM tables \
          WHERE whole AND NOT (history AND kind = 'SELECT') \
         UNION ALL \
         SELECT t.name, t.kind, a.attname::text FROM tables t \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped, role \
          WHERE NOT t.whole AND NOT t.history AND t.kind IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') \
            AND pg_catalog.has_column_privilege(role.oid, t.oid, a.attnum, t.kind) \
         UNION ALL \
         SELECT 'schema ' || n.nspname, k.kind, NULL FROM pg_catalog.pg_namespace n, role, \
                unnest(ARRAY['USAGE', 'CREATE']) AS k(kind) \
          WHERE n.nspname IN ('security', 'authz') AND pg_catalog.has_schema_privilege(role.oid, n.oid, k.kind) \
         UNION ALL \
         SELECT n.nspname || '.' || p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', 'EXECUTE', NULL \
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace, role \
          WHERE n.nspname IN ('security', 'authz') AND pg_catalog.has_function_privilege(role.oid, p.oid, 'EXECUTE')",
    )
    .bind(role)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Privilege {
                object: row.try_get("object")?,
                privilege: row.try_get("privilege")?,
                column: row.try_get("column_name")?,
            })
        })
        .collect()
}
