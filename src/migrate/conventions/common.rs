//! What any file can have wrong with it, whatever the convention.

use std::ops::Range;
use std::sync::Arc;

use super::names::lines;
use super::{Convention, Entry, Script};
use crate::migrate::finding::{Edit, Finding, Fix, Layer, Level};
use crate::migrate::statements::{self, Oddity, Scan};

pub(super) fn error(rule: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(Layer::Files, rule, Level::Error, message)
}

pub(super) fn warning(rule: &'static str, message: impl Into<String>) -> Finding {
    Finding::new(Layer::Files, rule, Level::Warning, message)
}

/// How the tool of a convention runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// In a transaction that it begins and ends itself.
    InTransaction,
    /// Without one, as the file asks for.
    ByItself,
    /// All in one message, which Postgres makes a transaction of when there are several statements.
    OneMessage,
    /// By psql, one statement after the other.
    Psql,
    /// By psql, and rolled back by the script itself.
    Verification,
    /// In a transaction, unless there are only statements that may not run in one (Flyway).
    Detected,
}

/// The text of a file, unless something is wrong with it that makes no sense of reading on.
pub(super) fn text(entry: &Entry, findings: &mut Vec<Finding>) -> Option<Arc<str>> {
    let file = &entry.shown;
    let bytes = match &entry.bytes {
        Ok(bytes) => bytes,
        Err(why) => {
            let found = error("unreadable-file", format!("cannot be read: {why}"));
            findings.push(found.of(file));
            return None;
        }
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            findings.push(not_utf8(bytes, e.valid_up_to()).of(file));
            return None;
        }
    };
    if text.starts_with('\u{feff}') {
        let fix = Fix {
            title: "remove the byte-order mark".to_owned(),
            edits: vec![Edit {
                span: 0..3,
                text: String::new(),
            }],
        };
        findings.push(
            error("byte-order-mark", "the file begins with a byte-order mark")
                .at(file, 0..3)
                .why("Postgres takes it for the first character of a statement")
                .next("save it as UTF-8 without BOM")
                .fix(fix),
        );
    }
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .is_empty()
    {
        findings.push(
            error("empty-file", "the file is empty")
                .of(file)
                .next("write the SQL, or remove the file; a comment is enough if it must stay"),
        );
    }
    if let Some(at) = text.find('\0') {
        findings.push(
            error(
                "nul-byte",
                "the file holds a byte that is zero, which Postgres takes nowhere",
            )
            .at(file, at..at + 1)
            .next("remove it; a file of such bytes was saved as UTF-16"),
        );
        return None;
    }
    if let Some(marker) = conflict(text) {
        findings.push(
            error("merge-conflict", "the file holds a merge conflict")
                .at(file, marker)
                .next("choose one side and remove the marker lines"),
        );
        return None;
    }
    Some(text.into())
}

fn not_utf8(bytes: &[u8], good: usize) -> Finding {
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let line = bytes[..good].iter().filter(|b| **b == b'\n').count() + 1;
    let (what, from) = match utf16 {
        true => ("the file is UTF-16 and not UTF-8".to_owned(), "UTF-16"),
        false => (format!("line {line} is not UTF-8"), "LATIN1"),
    };
    error("not-utf8", what).next(format!("convert it, for example: iconv -f {from} -t UTF-8"))
}

/// The first line that a merge left there.
fn conflict(text: &str) -> Option<Range<usize>> {
    let marks = |line: &str| {
        ["<<<<<<<", ">>>>>>>", "|||||||"]
            .into_iter()
            .filter_map(|mark| line.strip_prefix(mark))
            .any(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let (at, line) = lines(text).find(|(_, line)| marks(line))?;
    Some(at..at + line.trim_end().len())
}

/// A part of a file as it is run, and what is wrong with it.
pub(super) fn script(
    convention: Convention,
    (shown, text): (&str, &Arc<str>),
    mut range: Range<usize>,
    run: Run,
    findings: &mut Vec<Finding>,
) -> Script {
    if range.start == 0 && text.starts_with('\u{feff}') {
        range.start = 3;
    }
    let sql = &text[range.clone()];
    let scan = statements::scan(sql);
    oddities(convention, (shown, sql), range.start, &scan, findings);
    let ran = ran(convention, sql, &scan, run);
    let shift = |of: Range<usize>| of.start + range.start..of.end + range.start;
    if let Some((found, at)) = ran.found {
        findings.push(found.at(shown, shift(at)));
    }
    Script {
        path: shown.to_owned(),
        text: Arc::clone(text),
        range: shift(ran.inside),
        transaction: ran.transaction,
    }
}

/// How a script is to be run so that it is as its tool would.
struct Ran {
    inside: Range<usize>,
    transaction: bool,
    found: Option<(Finding, Range<usize>)>,
}

fn ran(convention: Convention, sql: &str, scan: &Scan, run: Run) -> Ran {
    let of = |statement: &Range<usize>| &sql[statement.clone()];
    let mut all = scan.statements.iter();
    let control = all.find(|s| statements::ends_transaction(of(s)));
    let wrapped = statements::wrapped(sql, &scan.statements)
        .filter(|wrapped| wrapped.commits || run == Run::Verification);
    let alone = scan.statements.iter();
    let alone = alone.filter(|s| statements::stands_alone(of(s))).count();
    let whole = |transaction| Ran {
        inside: 0..sql.len(),
        transaction,
        found: None,
    };
    match (run, control, wrapped) {
        (Run::InTransaction | Run::Detected, Some(control), _) => Ran {
            found: Some((ends_itself(convention), control.clone())),
            ..whole(true)
        },
        (Run::InTransaction, None, _) => whole(true),
        (Run::Detected, None, _) => Ran {
            found: scan
                .statements
                .iter()
                .find(|s| statements::stands_alone(of(s)))
                .filter(|_| alone < scan.statements.len())
                .map(|s| (mixed(), s.clone())),
            ..whole(alone == 0 || alone < scan.statements.len())
        },
        (Run::ByItself | Run::OneMessage | Run::Psql | Run::Verification, _, Some(wrapped)) => {
            Ran {
                inside: wrapped.inside,
                ..whole(true)
            }
        }
        (Run::OneMessage, Some(control), None) => Ran {
            found: Some((several(), control.clone())),
            ..whole(false)
        },
        // Sent alone, a statement is in no transaction but its own.
        (Run::OneMessage, None, None) => whole(!(alone == 1 && scan.statements.len() == 1)),
        (Run::ByItself | Run::Psql | Run::Verification, _, None) => whole(false),
    }
}

fn ends_itself(convention: Convention) -> Finding {
    let message = "the file begins or ends a transaction itself";
    error("transaction-control", message)
        .why("what it ends is the transaction that its row of the history belongs to")
        .next(match convention {
            // Without a transaction of its tool's a file may well have its own.
            Convention::Sqlx
            | Convention::Goose
            | Convention::Dbmate
            | Convention::Diesel
            | Convention::Flyway => {
                let how = convention.without_transaction().unwrap_or_default();
                format!("leave it out; {how} turns the tool's own transaction off")
            }
            Convention::Refinery
            | Convention::GolangMigrate
            | Convention::Numbered
            | Convention::Folders
            | Convention::Sqitch => {
                "leave it out: the file already runs in one transaction, together with its history row".to_owned()
            }
        })
}

fn several() -> Finding {
    warning("several-transactions", "the file is several transactions")
        .why("when a later one fails, the earlier ones stay, and the file can neither be run again nor is it done")
        .next("put BEGIN first and COMMIT last, or make several files of it")
}

/// Flyway: "Detected both transactional and non-transactional statements", unless `mixed` is set.
fn mixed() -> Finding {
    let message = "this statement may not run in a transaction, and others of the file run in one";
    error("mixed-transaction", message)
        .why("Flyway refuses such a file, unless its setting `mixed` allows it; then it runs without a transaction")
        .next("put it into a file of its own")
}

/// One finding for each kind: a dump may have hundreds.
fn oddities(
    convention: Convention,
    (shown, sql): (&str, &str),
    offset: usize,
    scan: &Scan,
    findings: &mut Vec<Finding>,
) {
    let mut found = scan.oddities.clone();
    found.sort_by_key(|(kind, range)| (*kind, range.start));
    for same in found.chunk_by(|a, b| a.0 == b.0) {
        let [(kind, range), others @ ..] = same else {
            continue;
        };
        let mut finding = odd(convention, *kind, &sql[range.clone()]);
        match others.len() {
            0 => {}
            more => finding.message += &format!(" ({more} more in this file)"),
        }
        findings.push(finding.at(shown, range.start + offset..range.end + offset));
    }
}

fn odd(convention: Convention, kind: Oddity, text: &str) -> Finding {
    let by_psql = convention == Convention::Sqitch;
    let unjudged =
        "sqitch runs this file with psql; dbctl sends it to the server, and cannot judge it";
    match kind {
        Oddity::PsqlCommand => {
            let command = text.split_whitespace().next().unwrap_or(text);
            let message = format!("`{command}` is a command of psql and no SQL");
            error("psql-command", message)
                .why(match by_psql {
                    true => unjudged,
                    false => "the server takes it for a mistake",
                })
                .next("write in SQL what it is for, or leave it out")
        }
        Oddity::PsqlVariable => {
            let message = format!("psql puts a value in the place of `{text}`");
            error("psql-variable", message)
                .why(match by_psql {
                    true => unjudged,
                    false => "the server takes it for a mistake",
                })
                .next("write the value itself")
        }
        Oddity::Template => {
            let message = format!("`{text}` is filled in by another program, and is no SQL");
            error("template", message).next("let that program run first, and validate what comes out")
        }
        Oddity::CopyData => error("copy-from-stdin", "the data of this COPY stand in the file")
            .why("only a few programs send them as the server asks for them; to the others they are SQL with mistakes in it")
            .next("write them as INSERT … VALUES, or load them outside of the migrations"),
    }
}
