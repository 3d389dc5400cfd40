//! Every forbidden thing, tried as each role.
//!
//! What there is to try is read from the catalog after the migrations have run, so that a new
//! table or function is tried without anybody's doing: each object × each act. What is on a role's
//! list works, and everything else is refused for lack of a privilege (SQLSTATE 42501), by nothing
//! weaker: a trigger that refuses may be switched off, a constraint dropped.

use std::collections::{BTreeMap, BTreeSet};

use dbctl::check::privileges::{JANITOR, NEEDED};

use crate::support::postgres::{Server, TestDb};

/// Somebody tries an act on an object: `UPDATE (expires_at)` on `security.revoked_tokens`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Act {
    what: String,
    on: String,
}

/// Makes what is to be tried, and a function that tries it as whoever calls it: the act is undone,
/// and the answer is the SQLSTATE that it ended with (ZZ000: it worked).
const PROBE: &str = r#"
CREATE SCHEMA probe;
GRANT ALL ON SCHEMA probe TO PUBLIC;
CREATE FUNCTION probe.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION probe.attempt(act text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE act;
        RAISE EXCEPTION USING ERRCODE = 'ZZ000';
    EXCEPTION WHEN OTHERS THEN
        RETURN SQLSTATE;
    END;
END
$$;
CREATE TABLE probe.acts (what text, kind text, object text, sql text);
GRANT SELECT ON probe.acts TO PUBLIC;

CREATE VIEW probe.relations AS
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind, c.relispartition
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f');
CREATE VIEW probe.columns AS
    SELECT r.*, a.attname, format('%I', a.attname) AS col, format_type(a.atttypid, a.atttypmod) AS type, a.attnum
      FROM probe.relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped;

INSERT INTO probe.acts
SELECT format('SELECT (%s)', col), relkind, name, format('SELECT %s FROM %s LIMIT 1', col, name) FROM probe.columns
UNION ALL SELECT format('INSERT (%s)', col), relkind, name, format('INSERT INTO %s (%s) VALUES (DEFAULT)', name, col) FROM probe.columns
UNION ALL SELECT format('UPDATE (%s)', col), relkind, name, format('UPDATE %s SET %s = DEFAULT', name, col) FROM probe.columns
UNION ALL SELECT act, relkind, name, format(sql, name) FROM probe.relations, (VALUES
    ('DELETE', 'DELETE FROM %s'),
    ('TRUNCATE', 'TRUNCATE %s'),
    ('TRIGGER', 'CREATE TRIGGER z BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION probe.noop()'),
    ('LOCK', 'LOCK TABLE %s IN ACCESS EXCLUSIVE MODE'),
    ('ADD COLUMN', 'ALTER TABLE %s ADD COLUMN z integer'),
    ('DISABLE TRIGGER', 'ALTER TABLE %s DISABLE TRIGGER USER'),
    ('ROW LEVEL SECURITY', 'ALTER TABLE %s DISABLE ROW LEVEL SECURITY'),
    ('CREATE RULE', 'CREATE RULE z AS ON INSERT TO %s DO INSTEAD NOTHING'),
    ('RENAME', 'ALTER TABLE %s RENAME TO z'),
    ('COMMENT', 'COMMENT ON TABLE %s IS NULL')) a(act, sql)
UNION ALL SELECT 'DROP', relkind, name, format('DROP %s %s', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, name) FROM probe.relations
UNION ALL SELECT 'INDEX', relkind, name, format('CREATE INDEX z ON %s ((1))', name) FROM probe.relations WHERE relkind IN ('r', 'p')
UNION ALL SELECT 'REFERENCES', r.relkind, r.name,
       format('CREATE TABLE probe.z (%s, FOREIGN KEY (%s) REFERENCES %s (%2$s))',
              string_agg(c.col || ' ' || c.type, ', ' ORDER BY c.attnum), string_agg(c.col, ', ' ORDER BY c.attnum), r.name)
  FROM probe.relations r JOIN pg_index i ON i.indrelid = r.oid AND i.indisprimary
  JOIN probe.columns c ON c.oid = r.oid AND c.attnum = ANY (i.indkey) GROUP BY r.name, r.relkind
UNION ALL SELECT 'EXECUTE', 'function', name, format('%s %s(%s)', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, bare,
              (SELECT string_agg('NULL::' || t::regtype, ', ' ORDER BY o) FROM unnest(proargtypes) WITH ORDINALITY AS a(t, o)))
  FROM (SELECT p.*, format('%I.%I', n.nspname, p.proname) AS bare,
               format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS name
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('security', 'authz')) f
UNION ALL SELECT act, 'function', p.oid::regprocedure::text, format(sql, p.oid::regprocedure)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, (VALUES
    ('ALTER FUNCTION', 'ALTER ROUTINE %s RESET ALL'), ('DROP FUNCTION', 'DROP ROUTINE %s CASCADE')) a(act, sql)
 WHERE n.nspname IN ('security', 'authz')
UNION ALL SELECT act, 'schema', s, format(sql, s) FROM unnest(ARRAY['security', 'authz']) s, (VALUES
    ('CREATE TABLE', 'CREATE TABLE %s.z (id integer)'),
    ('CREATE VIEW', 'CREATE VIEW %s.z AS SELECT 1'),
    ('CREATE FUNCTION', 'CREATE FUNCTION %s.z() RETURNS integer LANGUAGE sql AS ''SELECT 1'''),
    ('CREATE TYPE', 'CREATE TYPE %s.z AS ENUM (''a'')'),
    ('DROP SCHEMA', 'DROP SCHEMA %s CASCADE'),
    ('RENAME SCHEMA', 'ALTER SCHEMA %s RENAME TO z')) a(act, sql)
UNION ALL SELECT 'SESSION', 'server', sql, sql FROM unnest(ARRAY[
    'SET LOCAL session_replication_role = replica',
    'SET LOCAL ROLE security_owner',
    'CREATE ROLE z',
    'GRANT security_owner TO CURRENT_USER',
    'ALTER ROLE security_runtime SUPERUSER',
    'CREATE SCHEMA z',
    'ALTER DEFAULT PRIVILEGES FOR ROLE security_owner GRANT ALL ON TABLES TO PUBLIC',
    'SELECT pg_read_file(''/etc/passwd'')',
    'COPY pg_class TO PROGRAM ''true''',
    'SELECT lo_import(''/etc/passwd'')']) sql;
"#;

fn tried(db: &TestDb, role: &str) -> BTreeMap<Act, (String, String)> {
    let answer = db
        .try_psql_as(
            role,
            "SELECT what, object, kind, probe.attempt(sql) FROM probe.acts ORDER BY 2, 1",
        )
        .expect("the acts are tried");
    answer
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let [what, on, kind, state] = cells[..] else {
                panic!("{line}");
            };
            let act = Act {
                what: what.to_owned(),
                on: on.to_owned(),
            };
            (act, (kind.to_owned(), state.to_owned()))
        })
        .collect()
}

/// Refused whoever asks: what a view or a partitioned table cannot do.
fn impossible(kind: &str, state: &str) -> bool {
    kind != "r" && matches!(state, "42809" | "55000" | "0A000" | "428C9")
}

/// The acts that a role's list allows work; no other does, for no weaker reason than a privilege.
fn may_only(db: &TestDb, role: &str, allowed: &dyn Fn(&Act) -> bool) {
    let tried = tried(db, role);
    assert!(tried.len() > 300, "only {} acts", tried.len());
    let mut wrong = Vec::new();
    for (act, (kind, state)) in &tried {
        let refused = state == "42501";
        // A file that is there for everybody would be another matter: these are not.
        match allowed(act) {
            true if refused => wrong.push(format!("cannot {act:?}")),
            true if state.starts_with("42") => {
                wrong.push(format!("{act:?} is badly tried: {state}"))
            }
            false if !refused && !impossible(kind, state) => {
                wrong.push(format!("may {act:?}: {state}"));
            }
            true | false => {}
        }
    }
    assert!(wrong.is_empty(), "{role}:\n{}", wrong.join("\n"));
}

fn stage() -> TestDb {
    let db = Server::own().fresh_database();
    db.migrate_by_hand();
    db.psql(
        "CREATE ROLE service LOGIN IN ROLE security_runtime; CREATE ROLE auditor LOGIN IN ROLE security_auditor; \
         CREATE ROLE cron LOGIN IN ROLE security_janitor; CREATE ROLE stranger LOGIN; CREATE ROLE migrator LOGIN IN ROLE security_owner",
    );
    db.psql(PROBE);
    db
}

/// What [`NEEDED`] allows, by column where it is one of `SELECT`, `INSERT` and `UPDATE`.
fn needed(db: &TestDb) -> impl Fn(&Act) -> bool {
    let columns = db.psql("SELECT name, col FROM probe.columns");
    let columns: Vec<(&str, &str)> = columns.lines().filter_map(|l| l.split_once('|')).collect();
    let mut allowed = BTreeSet::new();
    for (privilege, on, of) in NEEDED {
        let whole = of.is_empty();
        let by_column = matches!(*privilege, "SELECT" | "INSERT" | "UPDATE");
        let of: Vec<&str> = match whole {
            true => columns
                .iter()
                .filter(|(t, _)| t == on)
                .map(|(_, c)| *c)
                .collect(),
            false => of.to_vec(),
        };
        let on = (*on).to_owned();
        if by_column {
            allowed.extend(of.iter().map(|c| Act {
                what: format!("{privilege} ({c})"),
                on: on.clone(),
            }));
        } else {
            let what = (*privilege).to_owned();
            allowed.insert(Act { what, on });
        }
    }
    move |act| allowed.contains(act)
}

#[test]
fn the_service_may_do_what_it_needs_and_nothing_else() {
    let db = stage();
    may_only(&db, "service", &needed(&db));
}

#[test]
fn the_auditor_reads_all_but_key_material_and_does_nothing_else() {
    let db = stage();
    let readable = db.psql("SELECT name FROM probe.relations WHERE NOT relispartition");
    let readable: BTreeSet<&str> = readable.lines().collect();
    let material = [
        "sealed_private_key",
        "sealing_nonce",
        "public_key",
        "sealed_sentinel",
        "sentinel_nonce",
    ];
    let allowed = |act: &Act| {
        let column = act
            .what
            .strip_prefix("SELECT (")
            .and_then(|c| c.strip_suffix(')'));
        let reads = |c: &str| !material.contains(&c);
        readable.contains(&*act.on)
            && act.on != "security.signing_material"
            && column.is_some_and(reads)
    };
    may_only(&db, "auditor", &allowed);
}

#[test]
fn the_janitor_calls_what_purges_and_touches_no_table() {
    let db = stage();
    let allowed = |act: &Act| act.what == "EXECUTE" && JANITOR.contains(&&*act.on);
    may_only(&db, "cron", &allowed);
    // Each of them is there: the list and the migrations agree.
    let functions = db.psql("SELECT object FROM probe.acts WHERE what = 'EXECUTE'");
    for name in JANITOR {
        assert!(
            functions.lines().any(|f| f == name),
            "{name} of {functions}"
        );
    }
}

#[test]
fn a_stranger_may_do_nothing_at_all() {
    let db = stage();
    may_only(&db, "stranger", &|_| false);
}

#[test]
fn whoever_migrates_may_do_everything_with_the_schemas_and_nothing_with_the_server() {
    let db = stage();
    let mut wrong = Vec::new();
    for (act, (kind, state)) in tried(&db, "migrator") {
        let refused = state == "42501";
        let may = match act.what.as_str() {
            "SESSION" => {
                act.on.starts_with("SET LOCAL ROLE") || act.on.starts_with("ALTER DEFAULT")
            }
            // It takes CREATE on the database.
            "RENAME SCHEMA" => false,
            _ => true,
        };
        if may == refused {
            wrong.push(format!("{act:?} {kind}: {state}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_hides_rows_and_nothing_is_granted_to_everybody() {
    let db = stage();
    // Row-level rules would make `nothing found` mean `not yours`: a revocation must never hide.
    let hidden = "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname IN ('security', 'authz') AND (c.relrowsecurity OR c.relforcerowsecurity) \
                  UNION ALL SELECT polrelid::regclass FROM pg_policy";
    assert_eq!(db.psql(hidden), "");
    let public = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x \
                  WHERE n.nspname IN ('security', 'authz') AND x.grantee = 0 \
                  UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, \
                  aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x \
                  WHERE n.nspname IN ('security', 'authz') AND x.grantee = 0";
    assert_eq!(db.psql(public), "");
    // One owner, also of the partitions.
    let owners = "SELECT DISTINCT c.relowner::regrole FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname IN ('security', 'authz')";
    assert_eq!(db.psql(owners), "security_owner");
}
