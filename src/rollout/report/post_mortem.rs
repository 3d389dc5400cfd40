//! The start of a post-mortem: why the run turned back, and what was odd before it did.

use serde_json::Value;

use super::evidence;
use super::limits::{Keep, TEXT, short};
use super::{ErrorLine, FailedRequest, PostMortem, Sign};
use crate::check::logs::{LogExcerpt, LogLine, WHOLE_SECOND_MS};
use crate::check::{CheckResult, Verdict};
use crate::rollout::engine::Known;
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Part, StepRef};
use crate::runbook::model::StepKind;

/// How many odd things between the last switch and the rollback are kept.
const SIGNS: usize = 30;

#[derive(Debug)]
pub(super) struct Mortem {
    /// Since the last step that switches was begun; the first of each kind.
    signs: Vec<Sign>,
    odd: u64,
    earlier: u64,
    /// When the last step that switches was begun.
    switched_ms: u64,
    /// The first line of each log since then.
    logged: Vec<Sign>,
    errors: Keep<ErrorLine>,
    requests: Keep<FailedRequest>,
    rollback: Option<Rollback>,
}

#[derive(Debug)]
struct Rollback {
    began_ms: u64,
    reason: String,
    trigger: Option<String>,
    took_ms: Option<u64>,
    toggles_ms: Option<u64>,
    recovered_ms: Option<u64>,
}

/// What something that went wrong left behind.
pub(super) struct Left<'a> {
    pub why: Option<&'a str>,
    pub checks: &'a [CheckResult],
    pub evidence: &'a Value,
}

impl Mortem {
    pub fn new() -> Self {
        Self {
            signs: Vec::new(),
            odd: 0,
            earlier: 0,
            switched_ms: 0,
            logged: Vec::new(),
            errors: Keep::new(20, 80),
            requests: Keep::new(20, 80),
            rollback: None,
        }
    }

    /// A step that switches targets begins: what was odd before belongs to something else.
    pub fn switches(&mut self, at_ms: u64) {
        if self.rollback.is_none() {
            self.earlier += std::mem::take(&mut self.odd) + self.logged.len() as u64;
            self.signs.clear();
            self.logged.clear();
            self.switched_ms = at_ms;
        }
    }

    /// What logs said of trouble. The same lines may come again with the next stop.
    pub fn logged(&mut self, entry: &Entry, logs: &[LogExcerpt]) {
        let (seq, read_ms) = (entry.record.seq, entry.record.at_ms);
        for log in logs {
            let what = format!("log of {}", log.target);
            for line in &log.lines {
                let at_ms = line.at_ms.unwrap_or(read_ms);
                let text = short(&line.text, TEXT);
                let known = |e: &ErrorLine| {
                    e.what == what
                        && e.text == text
                        && (line.at_ms.is_none() || line.at_ms == Some(e.at_ms))
                };
                if !self.errors.iter().any(known) {
                    self.errors.push(ErrorLine {
                        seq,
                        at_ms,
                        what: what.clone(),
                        text,
                    });
                }
            }
            for id in &log.request_ids {
                if !self.requests.iter().any(|r| r.id == *id) {
                    self.requests.push(FailedRequest {
                        seq,
                        at_ms: read_ms,
                        id: short(id, 100),
                        what: format!("named in the {what}"),
                    });
                }
            }
            let since = |l: &&LogLine| {
                let at_ms = l.at_ms.map(|at| at + WHOLE_SECOND_MS);
                at_ms.is_some_and(|at| at > self.switched_ms)
            };
            let first = log.lines.iter().find(since);
            if let Some(line) = first.filter(|_| !self.logged.iter().any(|s| s.what == what)) {
                self.logged.push(Sign {
                    seq,
                    at_ms: line.at_ms.unwrap_or(read_ms),
                    what,
                    verdict: Verdict::Error,
                    why: short(&line.text, TEXT),
                });
            }
        }
    }

    pub fn odd(&mut self, entry: &Entry, what: String, verdict: Verdict, why: &str) {
        if self.rollback.is_some() {
            return;
        }
        self.odd += 1;
        let known = |s: &Sign| s.what == what && s.verdict == verdict;
        if self.signs.len() < SIGNS && !self.signs.iter().any(known) {
            self.signs.push(Sign {
                seq: entry.record.seq,
                at_ms: entry.record.at_ms,
                what,
                verdict,
                why: short(why, TEXT),
            });
        }
    }

    pub fn begins(&mut self, entry: &Entry, why: &str, trigger: Option<&str>) {
        self.rollback.get_or_insert_with(|| Rollback {
            began_ms: entry.record.at_ms,
            reason: short(why, TEXT),
            trigger: trigger.map(str::to_owned),
            took_ms: None,
            toggles_ms: None,
            recovered_ms: None,
        });
    }

    /// A step of the rollback was done.
    pub fn done(&mut self, known: &Known, entry: &Entry, at: StepRef) {
        let Some(rollback) = self.rollback.as_mut().filter(|_| at.part == Part::Rollback) else {
            return;
        };
        let took = Some(entry.record.at_ms.saturating_sub(rollback.began_ms));
        match known.plan.rollback.get(at.index).map(|p| &p.step.kind) {
            Some(StepKind::Toggles { .. }) => rollback.toggles_ms = took,
            Some(StepKind::Recover { .. }) => rollback.recovered_ms = took,
            Some(
                StepKind::Confirm { .. }
                | StepKind::Approve { .. }
                | StepKind::Command { .. }
                | StepKind::Preflight
                | StepKind::Migrate
                | StepKind::Keys
                | StepKind::Carry { .. }
                | StepKind::Restart { .. }
                | StepKind::Smoke { .. }
                | StepKind::Verify { .. }
                | StepKind::Integrity
                | StepKind::Bake { .. }
                | StepKind::Rehearse { .. }
                | StepKind::Complete,
            )
            | None => {}
        }
    }

    pub fn rolled_back(&mut self, entry: &Entry) {
        if let Some(rollback) = &mut self.rollback {
            rollback.took_ms = Some(entry.record.at_ms.saturating_sub(rollback.began_ms));
        }
    }

    /// What an attempt that did not succeed, or a trigger, left of errors, logs and requests.
    pub fn evidence(&mut self, entry: &Entry, what: &str, left: &Left) {
        let error = |text: String| ErrorLine {
            seq: entry.record.seq,
            at_ms: entry.record.at_ms,
            what: what.to_owned(),
            text,
        };
        let bad = left.checks.iter().filter(|c| c.verdict != Verdict::Pass);
        let mut told = false;
        for check in bad {
            told = true;
            let on = match check.subject.as_str() {
                "" => check.name.clone(),
                subject => format!("{} on {subject}", check.name),
            };
            self.errors.push(error(format!("{on}: {}", check.summary)));
        }
        // What is wrong with a step of checks is what is wrong with its checks.
        if let Some(why) = left.why.filter(|_| !told) {
            self.errors.push(error(short(why, TEXT)));
        }
        for line in evidence::log_lines(left.evidence) {
            self.errors.push(error(line));
        }
        for (id, of) in evidence::failed_requests(left.checks, left.evidence) {
            self.requests.push(FailedRequest {
                seq: entry.record.seq,
                at_ms: entry.record.at_ms,
                id,
                what: if of.is_empty() { what.to_owned() } else { of },
            });
        }
    }

    pub fn finish(self) -> Option<PostMortem> {
        let Rollback {
            began_ms,
            reason,
            trigger,
            took_ms,
            toggles_ms,
            recovered_ms,
        } = self.rollback?;
        let mut signs = self.signs;
        signs.extend(self.logged.into_iter().filter(|s| s.at_ms <= began_ms));
        signs.sort_by_key(|s| (s.at_ms, s.seq));
        let mut signs = signs.into_iter();
        let mut errors = self.errors.excerpt();
        if errors.left_out == 0 {
            // What a log says is read after it was said.
            errors.items.sort_by_key(|e| e.at_ms);
        }
        Some(PostMortem {
            began_ms,
            reason,
            trigger,
            took_ms,
            toggles_ms,
            recovered_ms,
            first_sign: signs.next(),
            signs: signs.collect(),
            earlier_signs: self.earlier,
            errors,
            failed_requests: self.requests.excerpt(),
        })
    }
}
