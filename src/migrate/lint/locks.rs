//! What is told of each rule: what is the matter, which lock it takes and who waits, and the way
//! around. Which lock a statement takes was measured on PostgreSQL 15, 16 and 18.
//!
//! `{T}` is the table in back quotes, or "the table"; `{t}` its bare name within SQL; `{x}` whatever
//! else the rule names.

/// What is told of a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub rule: &'static str,
    pub message: &'static str,
    pub why: &'static str,
    pub next: &'static str,
}

impl Told {
    /// One of its texts with the names filled in.
    pub fn fill(text: &str, table: Option<&str>, name: &str) -> String {
        let quoted = table.map_or("the table".to_owned(), |t| format!("`{t}`"));
        text.replace("{T}", &quoted)
            .replace("{t}", table.unwrap_or("t"))
            .replace("{x}", name)
    }
}

/// What is told of `rule`. Where a rule of squawk's has several sides, the others stand behind a `/`.
pub(super) fn told(rule: &str) -> Option<&'static Told> {
    TOLD.iter().find(|told| told.rule == rule)
}

macro_rules! told {
    ($($rule:literal: $message:literal, $why:literal, $next:literal;)*) => {
        &[$(Told { rule: $rule, message: $message, why: $why, next: $next }),*]
    };
}

const TOLD: &[Told] = told! {
    // Indexes
    "require-concurrent-index-creation":
        "building an index without CONCURRENTLY stops every write to {T}",
        "SHARE lock: blocks writes of {T} until the transaction ends; reads go on",
        "CREATE INDEX CONCURRENTLY name ON {t} (…), in a migration of its own that runs without a transaction";
    "require-concurrent-index-deletion":
        "dropping an index without CONCURRENTLY stops its table",
        "ACCESS EXCLUSIVE lock on the index and its table: blocks reads and writes until the transaction ends",
        "DROP INDEX CONCURRENTLY name, in a migration of its own that runs without a transaction";
    "require-concurrent-reindex":
        "rebuilding an index without CONCURRENTLY stops its table",
        "SHARE lock on the table, ACCESS EXCLUSIVE lock on the index: blocks writes, and reads that use the index",
        "REINDEX INDEX CONCURRENTLY name, in a migration of its own that runs without a transaction";
    "ban-concurrent-index-creation-in-transaction":
        "CREATE INDEX CONCURRENTLY cannot run inside of a transaction",
        "Postgres refuses it, and the whole migration with it",
        "put it into a migration of its own, and mark that as one that runs without a transaction";
    "concurrently-if-not-exists":
        "IF NOT EXISTS takes an index that is INVALID for one that is there",
        "a CREATE INDEX CONCURRENTLY that failed or was ended leaves an INVALID index: it costs writes, no query uses it, and the next attempt does nothing and is recorded as done",
        "DROP INDEX CONCURRENTLY IF EXISTS {x}; then CREATE INDEX CONCURRENTLY without IF NOT EXISTS";
    "concurrently-with-others":
        "CONCURRENTLY stands in one file with other statements",
        "dbctl sends them one by one, and what came before a failure stays; tools that send a file as one make it one implicit transaction, and Postgres refuses it",
        "keep it alone in its migration";

    // Constraints
    "constraint-missing-not-valid":
        "adding this constraint reads all of {T} under its lock",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} while every row is checked",
        "ALTER TABLE {t} ADD CONSTRAINT name … NOT VALID; and in a later migration ALTER TABLE {t} VALIDATE CONSTRAINT name, which blocks neither reads nor writes";
    "constraint-missing-not-valid/validate":
        "NOT VALID and VALIDATE CONSTRAINT stand in one transaction",
        "the lock of ADD CONSTRAINT is held until the transaction ends, and so while all of {T} is read: NOT VALID gained nothing",
        "move VALIDATE CONSTRAINT to a later migration";
    "constraint-missing-not-valid/exclude":
        "an exclusion constraint builds its index under a lock that stops {T}",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until the index is built; there is neither NOT VALID nor CONCURRENTLY for it",
        "add it to a new table and move the rows over, or choose an hour in which {T} may stand still";
    "adding-foreign-key-constraint":
        "adding a foreign key checks all of {T} under a lock on both tables",
        "SHARE ROW EXCLUSIVE lock: blocks writes of {T} and of the table that it refers to while every row is checked",
        "ALTER TABLE {t} ADD CONSTRAINT name FOREIGN KEY … NOT VALID; and in a later migration ALTER TABLE {t} VALIDATE CONSTRAINT name";
    "adding-foreign-key-constraint/column":
        "adding a column that refers to another table locks both tables",
        "ACCESS EXCLUSIVE lock on {T}: blocks its reads and writes; SHARE ROW EXCLUSIVE lock on the table that it refers to: blocks its writes; both until the transaction ends",
        "ALTER TABLE {t} ADD COLUMN without REFERENCES; then ADD CONSTRAINT name FOREIGN KEY … NOT VALID; and in a later migration VALIDATE CONSTRAINT name";
    "disallowed-unique-constraint":
        "a unique constraint builds its index under a lock that stops {T}",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until the index is built",
        "CREATE UNIQUE INDEX CONCURRENTLY name ON {t} (…) in a migration without a transaction; then ALTER TABLE {t} ADD CONSTRAINT name UNIQUE USING INDEX name";
    "adding-serial-primary-key-field":
        "a primary key builds its index under a lock that stops {T}",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until the index is built",
        "CREATE UNIQUE INDEX CONCURRENTLY name ON {t} (…) in a migration without a transaction; then ALTER TABLE {t} ADD CONSTRAINT name PRIMARY KEY USING INDEX name";
    "adding-not-nullable-field":
        "SET NOT NULL reads all of {T} under its lock",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} while every row is checked",
        "ADD CONSTRAINT name CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT name in a later migration; then SET NOT NULL, which reads nothing any more; then DROP CONSTRAINT name";
    "adding-required-field":
        "a column that is NOT NULL and has no default cannot be added to a table with rows",
        "it fails as soon as {T} has one row; on an empty table, programs that do not know the column cannot insert any more",
        "give it a default that does not change from row to row, or add it without NOT NULL, fill it, and SET NOT NULL later";
    "ban-drop-not-null":
        "without NOT NULL programs meet values that they never met",
        "what reads {T} and relies on the column may fail on the first NULL",
        "see that every program bears a NULL; then silence this with a comment that says so";

    // Columns and rewrites
    "adding-field-with-default":
        "adding this column writes all of {T} anew",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} while it and all its indexes are rewritten, as its value may differ from row to row",
        "ALTER TABLE {t} ADD COLUMN without a default; then ALTER COLUMN … SET DEFAULT, which holds for new rows; then fill the old ones in batches";
    "adding-serial-column":
        "adding a serial column writes all of {T} anew",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} while every row gets its number",
        "add a plain bigint column, a sequence and a default of nextval(…) for new rows; then fill the old ones in batches";
    "changing-column-type":
        "changing the type of a column may write all of {T} anew",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} while it and its indexes are rewritten; only some changes, such as to text or to a longer varchar, need no rewrite",
        "add a new column, keep both filled with a trigger, fill old rows in batches, and move the programs over";
    "rewrites-table":
        "{x} writes all of {T} anew",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until every row is written",
        "choose an hour in which {T} may stand still, or use an extension that rewrites beside the traffic, such as pg_repack";
    "prefer-repack":
        "this writes all of {T} anew under a lock that stops it",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until every row is written",
        "REPACK (CONCURRENTLY) {t}";
    "renaming-column":
        "renaming a column breaks every program that runs",
        "programs that know the old name fail from this moment until they are replaced, and so does a rollback of them",
        "add a column of the new name, keep both filled, move the programs over, and drop the old one in a later migration";
    "renaming-table":
        "renaming a table breaks every program that runs",
        "programs that know the old name fail from this moment until they are replaced, and so does a rollback of them",
        "rename it, and in the same transaction CREATE VIEW of the old name; drop the view when nobody uses it any more";
    "renaming-object":
        "renaming it breaks every program that runs",
        "programs that know the old name fail from this moment until they are replaced, and so does a rollback of them",
        "make one of the new name beside it, move the programs over, and drop the old one in a later migration";
    "renaming-object/value":
        "renaming a value of an enum breaks every program that runs",
        "programs that write or compare the old value fail from this moment",
        "add the new value, move the programs over, update the rows in batches";
    "ban-set-schema":
        "moving something to another schema breaks every program that names it",
        "they fail from this moment, and so do those that find it by their search_path",
        "leave a view of the old name behind, and drop it when nobody uses it any more";
    "ban-alter-identity":
        "programs that give the column a value themselves may fail",
        "an identity that is ALWAYS refuses what they insert; without one, inserts that leave the column out store NULL or fail",
        "GENERATED BY DEFAULT, which takes both";

    // What is lost
    "ban-drop-column":
        "dropping a column loses what it holds and breaks programs that use it",
        "ACCESS EXCLUSIVE lock on {T}, briefly; programs that name the column fail from this moment, and a rollback brings nothing back",
        "see that no program that runs names it and that its data is kept or not wanted; then silence this with a comment that says so";
    "ban-drop-table":
        "dropping a table loses what it holds and breaks programs that use it",
        "ACCESS EXCLUSIVE lock on {T} and on every table that it refers to; a rollback brings nothing back",
        "rename it first, and drop it when nobody has missed it; then silence this with a comment that says so";
    "ban-drop-database":
        "dropping a database loses everything in it",
        "no rollback brings it back",
        "leave it to a person, outside of migrations";
    "ban-truncate-cascade":
        "TRUNCATE … CASCADE also empties every table that refers to this one",
        "ACCESS EXCLUSIVE lock on all of them: blocks reads and writes; which ones depends on foreign keys that may be added later",
        "name the tables that are meant, without CASCADE";
    "truncate-table":
        "TRUNCATE loses every row of {T}",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until the transaction ends; a rollback of the release brings nothing back",
        "see that nobody needs the rows; then silence this with a comment that says so";
    "drop-cascade":
        "CASCADE also drops what depends on it",
        "views, foreign keys, functions and columns that nobody sees here may vanish with it",
        "name what is to go, without CASCADE: Postgres then lists what else depends on it";
    "delete-without-where":
        "DELETE without WHERE removes every row of {T}",
        "ROW EXCLUSIVE lock and a lock on every row: blocks writes of these rows until the transaction ends",
        "say which rows with WHERE, in batches of some thousands; if all of them are meant, silence this with a comment that says so";
    "update-without-where":
        "UPDATE without WHERE writes every row of {T} in one transaction",
        "a lock on every row: blocks writes of {T} until the transaction ends, doubles the table, and holds back vacuum and replicas",
        "fill in batches of some thousands, each in a transaction of its own: UPDATE {t} SET … WHERE id > … AND id <= …";
    "disables-row-security":
        "without row level security every role that may read {T} sees all of its rows",
        "the policies of {T} are passed over from this moment",
        "change the policies instead; if it is meant, silence this with a comment that says so";
    "disables-triggers":
        "triggers of {T} are switched off and not on again",
        "what they keep right, foreign keys included for ALL, is not kept; rows that were written meanwhile are never checked",
        "ALTER TABLE {t} ENABLE TRIGGER {x} in the same migration";

    // Locks by hand
    "explicit-table-lock":
        "LOCK stops {T} until the transaction ends",
        "{x} lock: others wait for as long as everything else in this migration takes",
        "leave the locking to the statements themselves, or lock as the last thing before what needs it";
    "lock-timeout-off":
        "lock_timeout is switched off",
        "a statement that waits for its lock makes everybody behind it wait as well, reads included, without an end; dbctl sets a limit for every migration, and this takes it away",
        "remove it; a migration that may wait for longer says so: SET LOCAL lock_timeout = '30s'";
    "require-concurrent-refresh":
        "REFRESH without CONCURRENTLY stops every read of {T}",
        "ACCESS EXCLUSIVE lock: blocks reads of {T} until its query is done",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY {t}, which needs a unique index on it";
    "require-concurrent-partition-detach":
        "detaching a partition without CONCURRENTLY stops {T}",
        "ACCESS EXCLUSIVE lock on {T} and the partition: blocks reads and writes until the transaction ends",
        "ALTER TABLE {t} DETACH PARTITION name CONCURRENTLY, in a migration of its own that runs without a transaction";
    "create-partition-of":
        "CREATE TABLE … PARTITION OF stops {T} for a moment",
        "ACCESS EXCLUSIVE lock: blocks reads and writes of {T} until the transaction ends",
        "CREATE TABLE {x} (LIKE {t} INCLUDING ALL); then ALTER TABLE {t} ATTACH PARTITION {x} …, which blocks neither";

    // Transactions and the session
    "cannot-run-in-transaction":
        "{x} cannot run inside of a transaction",
        "Postgres refuses it, and the whole migration with it",
        "put it into a migration of its own, and mark that as one that runs without a transaction";
    "commits-in-transaction":
        "{x} commits, which it may not do inside of a transaction",
        "Postgres ends it with \"invalid transaction termination\", and the whole migration with it",
        "put it into a migration of its own, and mark that as one that runs without a transaction";
    "enum-value-used-in-transaction":
        "the value {x} is used in the transaction that adds it",
        "Postgres refuses it (\"unsafe use of new value\"): others could see the value before it is committed",
        "move what uses it to a later migration";
    "leaks-session-state":
        "{x} stays set when the migration is over",
        "what comes after it on the same connection runs with it, the next migration and other tools' history tables included; dbctl itself resets it after each file",
        "SET LOCAL, which ends with the transaction; without a transaction, RESET at the end of the file";
    "transaction-nesting":
        "BEGIN, COMMIT or ROLLBACK does not fit the transaction that there is",
        "Postgres only warns, and what follows runs inside or outside of a transaction other than it seems",
        "balance them, or leave transactions to dbctl";
    "ban-uncommitted-transaction":
        "the transaction that begins here is never committed",
        "all of it is rolled back when the connection closes",
        "COMMIT at its end";
    "require-lock-timeout":
        "no lock_timeout is set before a statement that takes a lock",
        "whoever waits for a lock makes everybody behind it wait as well",
        "SET LOCAL lock_timeout = '3s' at the beginning";
    "require-statement-timeout":
        "no statement_timeout is set before a statement that may take long",
        "a lock is held for as long as the statement runs",
        "SET LOCAL statement_timeout = '30s' at the beginning";

    // Types and names
    "prefer-bigint-over-int":
        "a 32-bit integer ends at 2,147,483,647",
        "a key that reaches it stops every insert, and widening it then writes the table anew",
        "bigint";
    "prefer-bigint-over-smallint":
        "a 16-bit integer ends at 32,767",
        "widening it later writes the table anew",
        "bigint";
    "prefer-identity":
        "a serial column hangs on a sequence of its own",
        "privileges, dumps and copies of the table have to see to the sequence as well",
        "bigint GENERATED BY DEFAULT AS IDENTITY";
    "prefer-text-field":
        "a varchar with a length is hard to change",
        "a shorter one writes the table anew, under a lock that blocks reads and writes",
        "text, with CHECK (length(…) <= …) where a limit is wanted";
    "prefer-timestamp-tz":
        "timestamp without a time zone does not say which moment it is",
        "the offset is dropped when it is stored; clients in two zones read two moments",
        "timestamptz";
    "prefer-jsonb":
        "json has no equality: DISTINCT, GROUP BY and UNION fail on it",
        "queries that name every column fail as soon as it is there",
        "jsonb";
    "ban-char-field":
        "char(n) pads with blanks",
        "comparisons pass over trailing blanks, and it saves no space",
        "text";
    "ban-create-domain-with-constraint":
        "a domain with a constraint is hard to change",
        "changing it reads every table that uses it, under a lock on each",
        "a CHECK constraint on the table";
    "ban-alter-domain-with-add-constraint":
        "a constraint on a domain reads every table that uses it",
        "SHARE lock on each of these tables: blocks their writes while every row is checked",
        "a CHECK constraint on the tables, NOT VALID first";
    "require-enum-value-ordering":
        "the new value comes after all others",
        "ORDER BY and comparisons follow the order of the values",
        "ADD VALUE … BEFORE or AFTER, if the order matters";
    "identifier-too-long":
        "Postgres cuts names off after 63 bytes",
        "two long names may become one, and programs that ask for the whole name do not find it",
        "a shorter name";
    "require-table-schema":
        "the name has no schema",
        "which table it is depends on the search_path of the session",
        "schema.table";
    "ban-duplicate-column-assignments":
        "a column is named twice",
        "Postgres refuses the statement",
        "name it once";
    "ban-drop-view":
        "dropping a view breaks programs that use it",
        "they fail from this moment",
        "CREATE OR REPLACE VIEW, or see that nobody uses it and silence this with a comment that says so";
    "ban-drop-function":
        "dropping a function breaks programs that call it",
        "they fail from this moment, and so do defaults and policies that use it",
        "CREATE OR REPLACE FUNCTION, or see that nobody calls it and silence this with a comment that says so";
    "ban-drop-type":
        "dropping a type breaks programs that use it",
        "they fail from this moment",
        "see that nobody uses it; then silence this with a comment that says so";
    "ban-drop-default":
        "without its default, inserts that leave the column out store NULL, or fail",
        "programs that rely on it fail from this moment where the column is NOT NULL",
        "see that every program names the column; then silence this with a comment that says so";
    "ban-drop-schema":
        "dropping a schema breaks programs that use what was in it",
        "they fail from this moment, and a rollback brings nothing back",
        "see that nobody uses it; then silence this with a comment that says so";
    "ban-drop-sequence":
        "dropping a sequence breaks programs that ask it for numbers",
        "they fail from this moment; one of the same name begins anew, and gives numbers out twice",
        "see that nobody uses it; then silence this with a comment that says so";
    "ban-drop-domain":
        "dropping a domain breaks programs that use it",
        "they fail from this moment",
        "see that nobody uses it; then silence this with a comment that says so";
    "ban-drop-extension":
        "dropping an extension takes its functions and types away",
        "programs and indexes that use them fail from this moment",
        "see that nobody uses it; then silence this with a comment that says so";
    "ban-drop-constraint":
        "without the constraint programs meet rows that they never met",
        "what relies on it may fail on the first one; rows that break it keep it from being added again",
        "see that every program bears such rows; then silence this with a comment that says so";
    "ban-drop-generated-expression":
        "the column is no longer computed",
        "programs that leave it out store NULL from this moment",
        "see that every program that writes fills it; then silence this with a comment that says so";
    "prefer-robust-stmts":
        "it cannot be run again after it failed half-way",
        "what ran before the failure is there already",
        "IF EXISTS or IF NOT EXISTS, or a transaction";

    // The lint itself
    "syntax-error":
        "this is not understood as SQL: {x}",
        "the rules may miss what the statement does; whether Postgres takes it is seen on a scratch database",
        "correct it; if Postgres takes it, silence this with a comment that says so";
    "unused-ignore":
        "no rule is called `{x}`",
        "the comment silences nothing",
        "docs/lint.md lists the rules";
    "not-linted":
        "this could not be looked at: {x}",
        "no rule says anything of the file, for good or ill",
        "look at it by eye; then silence this with a comment that says so";
};
