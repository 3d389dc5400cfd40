//! The rules of squawk: run by its own crate, told in our words, and adapted to what dbctl does
//! itself when it applies a migration.

use std::ops::Range;
use std::str::FromStr as _;

use squawk_linter::{Linter, LinterSettings, Version, Violation};

use super::rules::{Rule, Setting, find};
use super::statement::{Cursor, Kind, Statement, Word, words};
use super::{Looked, Seen};
use crate::migrate::finding::{Edit, Fix};

const fn rule(name: &'static str, default: Setting) -> Rule {
    because(name, default, "")
}

const fn because(name: &'static str, default: Setting, because: &'static str) -> Rule {
    Rule {
        name,
        default,
        because,
    }
}

/// One that squawk too leaves to those who want it; told in squawk's words.
const fn opt_in(name: &'static str) -> Rule {
    because(name, Off, "off in squawk too")
}

use Setting::{Error, Off, Warning};

/// squawk's rules. An error is what stops a service, fails or loses something.
pub(super) const RULES: &[Rule] = &[
    rule("require-concurrent-index-creation", Error),
    rule("require-concurrent-index-deletion", Error),
    rule("require-concurrent-reindex", Error),
    rule("require-concurrent-partition-detach", Error),
    because(
        "ban-concurrent-index-creation-in-transaction",
        Error,
        "found by dbctl itself, which knows what runs in a transaction: a statement that is alone in its file fails there as well",
    ),
    because(
        "constraint-missing-not-valid",
        Error,
        "not said a second time of a unique constraint, a primary or a foreign key, which have rules of their own",
    ),
    rule("adding-foreign-key-constraint", Error),
    rule("disallowed-unique-constraint", Error),
    rule("adding-serial-primary-key-field", Error),
    rule("adding-not-nullable-field", Error),
    rule("adding-required-field", Error),
    because(
        "adding-field-with-default",
        Error,
        "not said of functions with arguments that give every row the same value, nor of a virtual column",
    ),
    rule("changing-column-type", Error),
    rule("renaming-column", Error),
    rule("renaming-table", Error),
    rule("ban-drop-column", Error),
    rule("ban-drop-table", Error),
    rule("ban-drop-database", Error),
    rule("ban-truncate-cascade", Error),
    rule("ban-drop-not-null", Warning),
    rule("ban-drop-default", Warning),
    because(
        "ban-drop-view",
        Warning,
        "not said of what the same migration makes again",
    ),
    because(
        "ban-drop-function",
        Warning,
        "not said of what the same migration makes again",
    ),
    because(
        "ban-drop-type",
        Warning,
        "not said of what the same migration makes again",
    ),
    rule("ban-drop-schema", Error),
    rule("ban-drop-sequence", Warning),
    rule("ban-drop-domain", Warning),
    rule("ban-drop-extension", Error),
    because(
        "ban-drop-constraint",
        Warning,
        "not said of one that the same migration adds again, nor beside SET NOT NULL, which takes its place",
    ),
    rule("ban-drop-generated-expression", Warning),
    because(
        "renaming-object",
        Error,
        "not said of constraints, indexes, triggers and policies, which programs do not name",
    ),
    rule("ban-set-schema", Error),
    rule("ban-alter-identity", Warning),
    rule("ban-duplicate-column-assignments", Error),
    because(
        "transaction-nesting",
        Warning,
        "only of files that run without a transaction; in the others the files layer finds every BEGIN and COMMIT",
    ),
    because(
        "ban-uncommitted-transaction",
        Error,
        "only of files that run without a transaction; in the others the files layer finds every BEGIN and COMMIT",
    ),
    because(
        "prefer-robust-stmts",
        Off,
        "dbctl records a migration in the transaction that makes it, so there is no half of one; and IF NOT EXISTS takes an INVALID index for one that is there",
    ),
    because("require-timeout-settings", Off, "stands for the two below"),
    because(
        "require-lock-timeout",
        Off,
        "dbctl sets lock_timeout for every migration; switch it on where another program applies them",
    ),
    because(
        "require-statement-timeout",
        Off,
        "dbctl has --statement-timeout; switch it on where another program applies them",
    ),
    because(
        "require-table-schema",
        Off,
        "off in squawk too: many projects have one schema",
    ),
    because(
        "require-enum-value-ordering",
        Off,
        "the end is where a new value belongs unless something sorts by it",
    ),
    rule("prefer-bigint-over-int", Warning),
    because(
        "prefer-bigint-over-smallint",
        Off,
        "whoever writes smallint has thought of its size",
    ),
    rule("prefer-identity", Warning),
    rule("prefer-text-field", Warning),
    rule("prefer-timestamp-tz", Warning),
    rule("ban-char-field", Warning),
    rule("ban-create-domain-with-constraint", Warning),
    rule("ban-alter-domain-with-add-constraint", Error),
    rule("identifier-too-long", Warning),
    because(
        "prefer-repack",
        Error,
        "from PostgreSQL 19 on; `rewrites-table` says it of the versions before",
    ),
    rule("unused-ignore", Warning),
    opt_in("ban-drop-trigger"),
    opt_in("ban-drop-index"),
    opt_in("ban-drop-policy"),
    opt_in("ban-create-policy"),
    opt_in("ban-alter-policy-condition"),
    opt_in("ban-alter-policy-roles"),
    opt_in("ban-alter-row-level-security"),
    opt_in("ban-alter-generated-expression"),
    opt_in("ban-alter-function-options"),
    opt_in("ban-alter-view-options"),
    opt_in("ban-alter-role-options"),
    opt_in("ban-alter-database-options"),
    opt_in("ban-alter-sequence-values"),
    opt_in("ban-alter-system-options"),
    opt_in("ban-alter-extension"),
    opt_in("ban-replace-view-function"),
    opt_in("ban-replica-identity"),
    opt_in("ban-detach-inheritance"),
    opt_in("ban-disable-trigger"),
    opt_in("ban-new-write-restriction"),
    opt_in("ban-set-default"),
    opt_in("ban-revoke"),
    opt_in("ban-add-column"),
    opt_in("ban-add-enum-value"),
    opt_in("ban-add-composite-attribute"),
];

/// Rules that do not matter for a table that the same script made: nobody waits for it, no program
/// knows it, and it holds no row of old.
const OF_OLD_TABLES: &[&str] = &[
    "require-concurrent-index-creation",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
    "disallowed-unique-constraint",
    "adding-serial-primary-key-field",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-field-with-default",
    "changing-column-type",
    "renaming-column",
    "renaming-table",
    "ban-drop-column",
    "ban-drop-table",
    "ban-drop-not-null",
    "ban-drop-default",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
];

/// Rules that dbctl looks after itself: see the reasons above.
const OURS: &[&str] = &[
    "ban-concurrent-index-creation-in-transaction",
    "unused-ignore",
];

/// What programs do not name, as squawk calls it.
const HARMLESS: &[&str] = &["a constraint", "a trigger", "a policy", "an index"];

/// What squawk finds, adapted.
pub(super) fn look(script: &Looked<'_>) -> Vec<Seen> {
    let wanted = RULES
        .iter()
        .filter(|rule| script.rules.level(rule, script.path).is_some())
        .filter(|rule| !OURS.contains(&rule.name))
        .filter_map(|rule| squawk_linter::Rule::from_str(rule.name).ok());
    let mut linter = Linter::from(wanted);
    linter.settings = LinterSettings {
        pg_version: script
            .postgres
            .and_then(|major| Version::from_str(&major.to_string()).ok())
            .unwrap_or_default(),
        assume_in_transaction: script.transaction,
    };
    linter
        .lint(script.parse, script.sql)
        .into_iter()
        .filter_map(|violation| adapted(script, violation))
        .collect()
}

fn adapted(script: &Looked<'_>, violation: Violation) -> Option<Seen> {
    let rule = find(&violation.code.to_string())?.name;
    let span: Range<usize> = violation.text_range.into();
    // What squawk says of comments is ours to say.
    if OURS.contains(&rule) {
        return None;
    }
    let statement = script.statements.at(span.start);
    let target = statement.and_then(|(_, s)| s.target.as_ref());
    if let (Some((index, _)), Some(name)) = (statement, target)
        && OF_OLD_TABLES.contains(&rule)
        && script.statements.made_before(name, index)
    {
        return None;
    }
    let inside = words(&script.sql[span.clone()], span.start);
    if is_false_alarm(rule, &inside, script, statement) {
        return None;
    }
    // What it is that gets another name, only the message says.
    if rule == "renaming-object" && HARMLESS.iter().any(|what| violation.message.contains(what)) {
        return None;
    }
    let fix = violation
        .fix
        .filter(|_| can_be_fixed(rule, script, statement));
    Some(Seen {
        rule,
        told: side(rule, &inside),
        span,
        table: target.map(|name| name.written.clone()),
        name: String::new(),
        said: Some((violation.message, violation.help)),
        fix: fix.map(|fix| Fix {
            title: fix.title,
            edits: fix
                .edits
                .into_iter()
                .map(|edit| Edit {
                    span: edit.text_range.into(),
                    text: edit.text.unwrap_or_default(),
                })
                .collect(),
        }),
    })
}

/// Which of the texts in `locks` fits.
fn side(rule: &'static str, inside: &[Word<'_>]) -> &'static str {
    let has = |word: &str| inside.iter().any(|w| w.is(word));
    match rule {
        "constraint-missing-not-valid" if has("VALIDATE") => {
            "constraint-missing-not-valid/validate"
        }
        "constraint-missing-not-valid" if has("EXCLUDE") => "constraint-missing-not-valid/exclude",
        "adding-foreign-key-constraint" if !has("FOREIGN") => {
            "adding-foreign-key-constraint/column"
        }
        "renaming-object" if has("VALUE") => "renaming-object/value",
        _ => rule,
    }
}

fn is_false_alarm(
    rule: &str,
    inside: &[Word<'_>],
    script: &Looked<'_>,
    statement: Option<(usize, &Statement<'_>)>,
) -> bool {
    let outer = inside.first().map_or(0, |w| w.depth);
    let has = |word: &str| inside.iter().any(|w| w.depth == outer && w.is(word));
    match rule {
        "constraint-missing-not-valid" => {
            !has("VALIDATE") && (has("UNIQUE") || has("PRIMARY") || has("FOREIGN"))
        }
        "adding-field-with-default" => {
            if has("GENERATED") {
                has("VIRTUAL")
            } else {
                is_steady(inside)
            }
        }
        // A serial column has a default.
        "adding-required-field" => inside.iter().any(is_serial),
        "transaction-nesting" | "ban-uncommitted-transaction" => script.transaction,
        "ban-drop-view" | "ban-drop-function" | "ban-drop-type" | "ban-drop-trigger" => statement
            .is_some_and(|(index, dropped)| {
                let later = script.statements.all.iter().skip(index + 1);
                let name = created_or_dropped(dropped);
                name.is_some() && later.map(created_or_dropped).any(|n| n == name)
            }),
        "ban-drop-constraint" => statement.is_some_and(|(_, s)| replaced(s, inside, script)),
        _ => false,
    }
}

/// Whether the script adds the constraint that an action drops anew, or has SET NOT NULL instead.
fn replaced(dropping: &Statement<'_>, action: &[Word<'_>], script: &Looked<'_>) -> bool {
    let mut dropped = Cursor::new(action);
    dropped.eat("DROP CONSTRAINT");
    dropped.eat("IF EXISTS");
    let Some(dropped) = dropped.name() else {
        return false;
    };
    let of_table = |s: &&Statement<'_>| match (&s.target, &dropping.target) {
        (Some(a), Some(b)) => a.may_be(b),
        (Some(_), None) | (None, _) => false,
    };
    let statements = script.statements.all.iter();
    let mut actions = statements.filter(of_table).flat_map(Statement::actions);
    actions.any(|action| {
        let mut cursor = Cursor::new(action);
        let again = cursor.eat("ADD CONSTRAINT");
        let same = cursor.name().is_some_and(|name| name.may_be(&dropped));
        let ends: Vec<&str> = action.iter().rev().take(3).map(|w| w.text).collect();
        let not_null = ["NULL", "NOT", "SET"];
        let not_null = ends.len() == 3
            && ends
                .iter()
                .zip(not_null)
                .all(|(a, b)| a.eq_ignore_ascii_case(b));
        again && same || not_null
    })
}

/// The types that bring their own default.
pub(super) fn is_serial(word: &Word<'_>) -> bool {
    [
        "SERIAL",
        "BIGSERIAL",
        "SMALLSERIAL",
        "SERIAL2",
        "SERIAL4",
        "SERIAL8",
    ]
    .iter()
    .any(|serial| word.is(serial))
}

/// The name behind `DROP VIEW` or `CREATE OR REPLACE FUNCTION`, as it is written.
fn created_or_dropped(statement: &Statement<'_>) -> Option<String> {
    let mut cursor: Cursor<'_, '_> = statement.cursor();
    if !cursor.eat_any(&["CREATE OR REPLACE", "CREATE", "DROP"]) {
        return None;
    }
    if !cursor.eat_any(&["VIEW", "FUNCTION", "TYPE", "TRIGGER"]) {
        return None;
    }
    cursor.eat("IF EXISTS");
    cursor.name().map(|name| name.written.to_lowercase())
}

/// A fix that would make the migration fail is none.
fn can_be_fixed(
    rule: &str,
    script: &Looked<'_>,
    statement: Option<(usize, &Statement<'_>)>,
) -> bool {
    match rule {
        "require-concurrent-index-creation"
        | "require-concurrent-index-deletion"
        | "require-concurrent-reindex"
        | "require-concurrent-partition-detach" => {
            !statement.is_some_and(|(index, _)| script.in_transaction(index))
        }
        // squawk's has a place-holder in it.
        "require-enum-value-ordering" => false,
        _ => true,
    }
}

/// What gives every row the same value, or takes parentheses without being a function.
const STEADY: &[&str] = &[
    "NOW",
    "TRANSACTION_TIMESTAMP",
    "STATEMENT_TIMESTAMP",
    "TIMEZONE",
    "PG_CURRENT_XACT_ID",
    "TXID_CURRENT",
    "CURRENT_SETTING",
    "CURRENT_TIMESTAMP",
    "CURRENT_TIME",
    "LOCALTIMESTAMP",
    "LOCALTIME",
    "CURRENT_DATABASE",
    "CURRENT_SCHEMA",
    "LOWER",
    "UPPER",
    "LENGTH",
    "CONCAT",
    "MD5",
    "SHA256",
    "ENCODE",
    "DECODE",
    "REPLACE",
    "LEFT",
    "RIGHT",
    "LPAD",
    "RPAD",
    "TRIM",
    "SUBSTRING",
    "FORMAT",
    "DATE_TRUNC",
    "DATE_PART",
    "EXTRACT",
    "MAKE_INTERVAL",
    "MAKE_DATE",
    "MAKE_TIMESTAMP",
    "MAKE_TIMESTAMPTZ",
    "TO_CHAR",
    "TO_DATE",
    "TO_TIMESTAMP",
    "TO_JSON",
    "TO_JSONB",
    "JSON_BUILD_OBJECT",
    "JSONB_BUILD_OBJECT",
    "JSON_BUILD_ARRAY",
    "JSONB_BUILD_ARRAY",
    "ARRAY_FILL",
    "ABS",
    "ROUND",
    "FLOOR",
    "CEIL",
    "INT4RANGE",
    "INT8RANGE",
    "NUMRANGE",
    "TSRANGE",
    "TSTZRANGE",
    "DATERANGE",
    "COALESCE",
    "NULLIF",
    "GREATEST",
    "LEAST",
    "CAST",
    "ROW",
    "ARRAY",
    "NUMERIC",
    "DECIMAL",
    "VARCHAR",
    "CHAR",
    "CHARACTER",
    "VARYING",
    "BIT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "INTERVAL",
    "FLOAT",
];

/// Whether a default calls nothing that may give another value for each row.
fn is_steady(default: &[Word<'_>]) -> bool {
    default.windows(2).all(|pair| {
        let [name, parenthesis] = pair else {
            return true;
        };
        let calls = parenthesis.is("(") && matches!(name.kind, Kind::Bare | Kind::Quoted);
        !calls || STEADY.iter().any(|steady| name.is(steady))
    })
}
