//! What grants on single objects do not show: who owns what, who else was given something, what
//! future objects will give away, and what the auditor may do.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{Difference, JANITOR};
use crate::pg;

/// Columns that hold or lead to key material: the auditor reads none of them.
const KEY_MATERIAL: [&str; 5] = [
    "sealed_private_key",
    "sealing_nonce",
    "public_key",
    "sealed_sentinel",
    "sentinel_nonce",
];

/// Adds all of it to `difference`. `role` is the service's.
pub(super) async fn add(
    tx: &mut PgConnection,
    role: &str,
    difference: &mut Difference,
) -> sqlx::Result<()> {
    login(tx, role, difference).await?;
    parameters(tx, role, difference).await?;
    owners(tx, difference).await?;
    granted(tx, role, difference).await?;
    defaults(tx, difference).await?;
    auditor(tx, difference).await?;
    janitor(tx, difference).await
}

/// A role that cannot log in is no service's, whatever it may do.
async fn login(tx: &mut PgConnection, role: &str, difference: &mut Difference) -> sqlx::Result<()> {
    let (login, expired, admin): (bool, bool, bool) = pg::query_as(
        "SELECT r.rolcanlogin, coalesce(r.rolvaliduntil < now(), false), \
                EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
                         WHERE m.member = r.oid AND m.roleid = pg_catalog.to_regrole('security_runtime') AND m.admin_option) \
           FROM pg_catalog.pg_roles r WHERE r.rolname = $1",
    )
    .bind(role)
    .fetch_one(tx)
    .await?;
    if !login {
        difference.miss("LOGIN", format!("ALTER ROLE {} LOGIN", quoted(role)));
    }
    if admin {
        difference.exceed(
            "ADMIN OPTION on security_runtime: it may make others a service",
            format!(
                "REVOKE ADMIN OPTION FOR security_runtime FROM {}",
                quoted(role)
            ),
        );
    }
    if expired {
        difference.miss(
            "a password that is still valid (VALID UNTIL has passed)",
            format!("ALTER ROLE {} VALID UNTIL 'infinity'", quoted(role)),
        );
    }
    Ok(())
}

/// `session_replication_role` switches every trigger off, and with them what the schema refuses.
async fn parameters(
    tx: &mut PgConnection,
    role: &str,
    difference: &mut Difference,
) -> sqlx::Result<()> {
    let version: i32 = pg::query_scalar("SELECT current_setting('server_version_num')::integer")
        .fetch_one(&mut *tx)
        .await?;
    // Older servers give parameters to nobody.
    if version < 150_000 {
        return Ok(());
    }
    let parameter = "session_replication_role";
    let may: bool = pg::query_scalar("SELECT pg_catalog.has_parameter_privilege($1, $2, 'SET')")
        .bind(role)
        .bind(parameter)
        .fetch_one(&mut *tx)
        .await?;
    if may {
        difference.exceed(
            format!("SET on parameter {parameter} (it switches triggers off)"),
            format!("REVOKE SET ON PARAMETER {parameter} FROM {}", quoted(role)),
        );
    }
    Ok(())
}

/// An owner may do everything with what it owns, and gives and takes as it likes. The names of
/// what `role` owns.
pub(super) async fn owned(
    tx: &mut PgConnection,
    role: &str,
    difference: &mut Difference,
) -> sqlx::Result<Vec<String>> {
    let rows: Vec<(String, String)> = pg::query_as(
        "SELECT what, name FROM ( \
           SELECT 'database' AS what, quote_ident(d.datname) AS name, d.datdba AS owner \
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database() \
           UNION ALL \
           SELECT 'schema', quote_ident(n.nspname), n.nspowner FROM pg_catalog.pg_namespace n \
            WHERE n.nspname IN ('security', 'authz') \
           UNION ALL \
           SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, \
                  quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relowner \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
              AND (n.nspname IN ('security', 'authz') OR c.relname = 'refinery_schema_history') \
           UNION ALL \
           SELECT 'function', quote_ident(n.nspname) || '.' || quote_ident(p.proname) \
                  || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', p.proowner \
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname IN ('security', 'authz')) o \
          WHERE owner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1) ORDER BY 1, 2",
    )
    .bind(role)
    .fetch_all(tx)
    .await?;
    let mut owned = Vec::new();
    for (what, name) in rows {
        difference.exceed(
            format!("ownership of {what} {name}"),
            format!(
                "ALTER {} {name} OWNER TO security_owner",
                what.to_uppercase()
            ),
        );
        owned.push(match what.as_str() {
            "schema" => format!("schema {name}"),
            _ => name,
        });
    }
    Ok(owned)
}

/// One owner for all of it, or the next migration, run as that owner, is refused half-way.
async fn owners(tx: &mut PgConnection, difference: &mut Difference) -> sqlx::Result<()> {
    let rows: Vec<(String, String, String, String)> = pg::query_as(
        "WITH wanted AS ( \
           SELECT nspowner AS oid FROM pg_catalog.pg_namespace WHERE nspname = 'security'), \
         objects AS ( \
           SELECT 'schema' AS what, quote_ident(n.nspname) AS name, n.nspowner AS owner \
             FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('security', 'authz') \
           UNION ALL \
           SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, \
                  quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relowner \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
           UNION ALL \
           SELECT 'function', quote_ident(n.nspname) || '.' || quote_ident(p.proname) \
                  || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', p.proowner \
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname IN ('security', 'authz')) \
         SELECT what, name, owner::regrole::text, wanted.oid::regrole::text \
           FROM objects, wanted WHERE owner <> wanted.oid ORDER BY 1, 2",
    )
    .fetch_all(tx)
    .await?;
    for (what, name, owner, wanted) in rows {
        difference.exceed(
            format!("{what} {name} is owned by {owner}, the rest by {wanted}"),
            format!("ALTER {} {name} OWNER TO {wanted}", what.to_uppercase()),
        );
    }
    Ok(())
}

/// What is granted to somebody who is neither the owner nor one of the three roles nor the
/// service, and what anybody may pass on.
async fn granted(
    tx: &mut PgConnection,
    role: &str,
    difference: &mut Difference,
) -> sqlx::Result<()> {
    let rows: Vec<(String, String, String, bool, bool)> = pg::query_as(
        "WITH acls AS ( \
           SELECT 'schema ' || quote_ident(n.nspname) AS object, 'SCHEMA ' || quote_ident(n.nspname) AS sql, \
                  '' AS columns, n.nspacl AS acl, n.nspowner AS owner \
             FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('security', 'authz') \
           UNION ALL \
           SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
                  quote_ident(n.nspname) || '.' || quote_ident(c.relname), '', c.relacl, c.relowner \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
           UNION ALL \
           SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
                  quote_ident(n.nspname) || '.' || quote_ident(c.relname), ' (' || quote_ident(a.attname) || ')', a.attacl, c.relowner \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname IN ('security', 'authz') AND a.attacl IS NOT NULL AND NOT a.attisdropped \
           UNION ALL \
           SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', \
                  'FUNCTION ' || quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', \
                  '', p.proacl, p.proowner \
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname IN ('security', 'authz')) \
         SELECT x.privilege_type || columns || ' on ' || object, \
                x.privilege_type || columns || ' ON ' || sql, \
                g.rolname::text, x.is_grantable, \
                g.rolname IN ('security_runtime', 'security_auditor', 'security_janitor', $1) \
           FROM acls, pg_catalog.aclexplode(acl) x JOIN pg_catalog.pg_roles g ON g.oid = x.grantee \
          WHERE x.grantee <> owner AND NOT g.rolsuper \
            AND NOT pg_catalog.pg_has_role(g.oid, owner, 'MEMBER') \
            AND (x.is_grantable OR g.rolname NOT IN ('security_runtime', 'security_auditor', 'security_janitor', $1)) \
          ORDER BY 1, 3",
    )
    .bind(role)
    .fetch_all(tx)
    .await?;
    for (what, sql, grantee, grantable, ours) in rows {
        let grantee_sql = quoted(&grantee);
        if ours {
            difference.exceed(
                format!("{what} WITH GRANT OPTION, to {grantee}"),
                format!("REVOKE GRANT OPTION FOR {sql} FROM {grantee_sql} CASCADE"),
            );
        } else {
            let with = if grantable { " WITH GRANT OPTION" } else { "" };
            difference.exceed(
                format!("{what}{with}, to {grantee}, who is no service and no auditor"),
                format!(
                    "REVOKE {sql} FROM {grantee_sql}; reading is what GRANT security_auditor is for"
                ),
            );
        }
    }
    Ok(())
}

/// What objects that are yet to be made will give away by themselves.
async fn defaults(tx: &mut PgConnection, difference: &mut Difference) -> sqlx::Result<()> {
    let rows: Vec<(String, String, String, String, String)> = pg::query_as(
        "SELECT x.privilege_type::text, \
                CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' \
                                     WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END, \
                coalesce(n.nspname, '')::text, d.defaclrole::regrole::text, \
                CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END \
           FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace, \
                pg_catalog.aclexplode(d.defaclacl) x \
          WHERE x.grantee <> d.defaclrole \
            AND (n.nspname IN ('security', 'authz') \
                 OR d.defaclnamespace = 0 AND d.defaclobjtype IN ('r', 'S', 'n') AND d.defaclrole IN \
                    (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname IN ('security', 'authz'))) \
          ORDER BY 3, 2, 1, 5",
    )
    .fetch_all(tx)
    .await?;
    for (privilege, objects, schema, owner, grantee) in rows {
        let place = match schema.as_str() {
            "" => String::new(),
            schema => format!(" IN SCHEMA {schema}"),
        };
        difference.exceed(
            format!("default privileges: {privilege} on future {objects}{place} made by {owner}, to {grantee}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner}{place} REVOKE {privilege} ON {objects} FROM {grantee}"),
        );
    }
    Ok(())
}

/// The auditor reads everything but key material, and changes nothing. Judged by that rule and
/// not by a list, so that a new table falls under it.
async fn auditor(tx: &mut PgConnection, difference: &mut Difference) -> sqlx::Result<()> {
    let exists: bool = pg::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_auditor')",
    )
    .fetch_one(&mut *tx)
    .await?;
    if !exists {
        return Ok(());
    }
    let rows: Vec<(String, bool, Vec<String>, bool)> = pg::query_as(
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
                pg_catalog.has_any_column_privilege('security_auditor', c.oid, 'SELECT'), \
                ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a \
                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($1) \
                         AND pg_catalog.has_column_privilege('security_auditor', c.oid, a.attnum, 'SELECT')), \
                EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'sealed_private_key') \
                AND c.relkind = 'v' \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
          WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition \
          ORDER BY 1",
    )
    .bind(KEY_MATERIAL.map(str::to_owned).to_vec())
    .fetch_all(&mut *tx)
    .await?;
    let again = "SELECT security.apply_privileges()";
    for (name, reads, material, of_signers) in rows {
        if !material.is_empty() {
            difference.exceed(
                format!(
                    "SELECT ({}) on {name}, to security_auditor: key material",
                    material.join(", ")
                ),
                again,
            );
        } else if !reads && !of_signers {
            difference.miss(format!("SELECT on {name}, to security_auditor"), again);
        }
    }
    let rows: Vec<(String, String)> = pg::query_as(
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.kind \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
                unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) k(kind) \
          WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
            AND (pg_catalog.has_table_privilege('security_auditor', c.oid, k.kind) \
                 OR k.kind IN ('INSERT', 'UPDATE', 'REFERENCES') \
                    AND pg_catalog.has_any_column_privilege('security_auditor', c.oid, k.kind)) \
         UNION ALL \
         SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname), 'EXECUTE' \
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
          WHERE n.nspname IN ('security', 'authz') AND pg_catalog.has_function_privilege('security_auditor', p.oid, 'EXECUTE') \
         ORDER BY 1, 2",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut by_object: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (object, kind) in rows {
        by_object.entry(object).or_default().push(kind);
    }
    for (object, kinds) in by_object {
        let kinds = kinds.join(", ");
        difference.exceed(format!("{kinds} on {object}, to security_auditor"), again);
    }
    Ok(())
}

/// The janitor calls the functions of [`JANITOR`], which delete what is due and nothing else; with
/// a table in its hands it could delete what is not.
async fn janitor(tx: &mut PgConnection, difference: &mut Difference) -> sqlx::Result<()> {
    let exists: bool = pg::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'security_janitor')",
    )
    .fetch_one(&mut *tx)
    .await?;
    if !exists {
        return Ok(());
    }
    let rows: Vec<(String, String)> = pg::query_as(
        "SELECT 'EXECUTE', n.nspname || '.' || p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' \
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
          WHERE n.nspname IN ('security', 'authz') AND pg_catalog.has_function_privilege('security_janitor', p.oid, 'EXECUTE') \
         UNION ALL \
         SELECT k.kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
                unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) k(kind) \
          WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
            AND (pg_catalog.has_table_privilege('security_janitor', c.oid, k.kind) \
                 OR k.kind IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') \
                    AND pg_catalog.has_any_column_privilege('security_janitor', c.oid, k.kind)) \
         ORDER BY 2, 1",
    )
    .fetch_all(&mut *tx)
    .await?;
    let again = "SELECT security.apply_privileges()";
    let calls = |name: &str| rows.iter().any(|(k, on)| k == "EXECUTE" && on == name);
    for name in JANITOR.into_iter().filter(|name| !calls(name)) {
        difference.miss(format!("EXECUTE on {name}, to security_janitor"), again);
    }
    for (kind, on) in &rows {
        if kind != "EXECUTE" || !JANITOR.contains(&on.as_str()) {
            difference.exceed(format!("{kind} on {on}, to security_janitor"), again);
        }
    }
    Ok(())
}

pub(super) fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}
