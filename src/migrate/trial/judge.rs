//! From what was observed to what is the matter. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use super::observe::{Blocks, Effect, Seen};
use crate::migrate::finding::{Finding, Layer, Level};

/// A statement, where it stands.
#[derive(Debug, Clone)]
pub struct Statement {
    /// As it is shown to people.
    pub file: String,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// What one file did so far.
#[derive(Debug, Default)]
pub struct Judge {
    /// Tables that nobody can read until the file has committed.
    blocked: BTreeSet<String>,
    said_of_several: bool,
    said_of_time_out: bool,
}

impl Judge {
    /// What is the matter with what a statement did.
    pub fn statement(&mut self, at: &Statement, seen: &Seen) -> Vec<Finding> {
        let mut found = Vec::new();
        let tables = seen.effects.iter().filter(|e| e.is_table);
        for effect in tables.clone() {
            found.extend(alone(effect));
            found.extend(lost(effect));
            if effect.held == Blocks::ReadsAndWrites {
                self.blocked.insert(effect.relation.clone());
            }
        }
        let blocks = tables.clone().any(|e| e.blocks > Some(Blocks::Neither));
        if self.blocked.len() > 1 && blocks && !self.said_of_several {
            self.said_of_several = true;
            found.push(several(&self.blocked));
        }
        if blocks && seen.lock_timeout == "0" && !self.said_of_time_out {
            self.said_of_time_out = true;
            found.push(without_limit());
        }
        found
            .into_iter()
            .map(|f| f.at(&at.file, at.span.clone()))
            .collect()
    }
}

/// What a statement did to one table that was there before.
fn alone(effect: &Effect) -> Option<Finding> {
    let table = &effect.relation;
    let finding = |rule, level, message: String| {
        let why = format!(
            "it {} on `{table}` until the migration commits",
            effect.held
        );
        Finding::new(Layer::Execution, rule, level, message).why(why)
    };
    if effect.rewritten && effect.held > Blocks::Neither {
        let message = format!("writes all of `{table}` anew");
        return Some(finding("rewrites-table", Level::Error, message).next(
            "add a column as it should be, fill it in batches while the service runs, then swap the names; \
             or stop the service for it",
        ));
    }
    if !effect.scanned {
        return None;
    }
    if effect.indexed && effect.held > Blocks::Neither {
        let message = format!("builds an index on `{table}` while others wait");
        return Some(finding("builds-index-while-blocking", Level::Error, message).next(
            "CREATE INDEX CONCURRENTLY in a migration that runs without a transaction; a constraint can then \
             be made of it with ADD CONSTRAINT … USING INDEX",
        ));
    }
    if effect.held > Blocks::Neither {
        let message = format!("reads all of `{table}` while others wait");
        let next = match effect.written {
            true => "change its rows in a migration before this one, which does not block them",
            false => {
                "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later migration, which blocks \
                      neither reads nor writes; SET NOT NULL reads nothing where a valid CHECK (… IS NOT NULL) \
                      is there; a new column that is NOT NULL wants a default"
            }
        };
        return Some(finding("reads-table-while-blocking", Level::Error, message).next(next));
    }
    if effect.written {
        let message = format!("goes through all of `{table}` in one transaction");
        let why = "each row that it changes is locked until the migration commits, and the table grows by as many";
        return Some(
            Finding::new(Layer::Execution, "goes-through-table", Level::Warning, message)
                .why(why)
                .next("change rows in batches that commit, outside of migrations, where the table is large"),
        );
    }
    None
}

/// What a statement took away with the rows in it.
fn lost(effect: &Effect) -> Option<Finding> {
    let table = &effect.relation;
    let columns: Vec<String> = effect
        .dropped_columns
        .iter()
        .map(|c| format!("`{c}`"))
        .collect();
    let what = match (effect.dropped, columns.as_slice()) {
        (true, _) => format!("the table `{table}`"),
        (false, []) => return None,
        (false, [column]) => format!("the column {column} of `{table}`"),
        (false, columns) => format!("the columns {} of `{table}`", columns.join(" and ")),
    };
    let finding = Finding::new(
        Layer::Execution,
        "drops-data",
        Level::Warning,
        format!("drops {what}, with what is in it"),
    );
    Some(
        finding
            .why("no down part brings that back, and what still reads or writes it fails at once")
            .next(
                "first a release that does without it; drop it in a later one, when there is a copy of what was in it",
            ),
    )
}

fn several(blocked: &BTreeSet<String>) -> Finding {
    let tables: Vec<String> = blocked.iter().map(|t| format!("`{t}`")).collect();
    Finding::new(
        Layer::Execution,
        "blocks-several-tables",
        Level::Warning,
        format!("blocks reads and writes on {} at once", tables.join(" and ")),
    )
    .why("while it waits for one of them, nobody can use those that it has; two such waits can deadlock")
    .next("give each table a migration of its own")
}

fn without_limit() -> Finding {
    Finding::new(
        Layer::Execution,
        "waits-without-limit",
        Level::Error,
        "waits for its lock without a limit: the file sets lock_timeout to 0",
    )
    .why(
        "everybody who comes after it queues behind it, for as long as one old transaction goes on",
    )
    .next("leave lock_timeout alone: dbctl sets it, and tries again")
}
