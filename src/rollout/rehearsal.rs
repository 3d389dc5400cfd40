//! Rehearsing a runbook in one environment: the part of a plan that acts there, and the record of
//! having walked it forwards and back from every step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Entry, Journal, RunId};
use super::outline::outline;
use crate::check::Verdict;
use crate::error::{Doing, Exit, Result};
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Phase, Plan, Planned};

/// What of `plan` acts in `env`, as a plan of its own. None where no step does.
pub fn part(plan: &Plan, env: &str) -> Option<Plan> {
    let mut phases: Vec<Phase> = Vec::new();
    let mut forward: Vec<Planned> = Vec::new();
    // Where the forward steps of the whole are in the part.
    let mut moved = BTreeMap::new();
    for (index, planned) in plan.forward.iter().enumerate() {
        if planned.step.env != env || matches!(planned.step.kind, StepKind::Complete) {
            continue;
        }
        let phase = &plan.phases[planned.phase];
        if phases.last() != Some(phase) {
            phases.push(phase.clone());
        }
        moved.insert(index, forward.len());
        let mut planned = planned.clone();
        planned.phase = phases.len() - 1;
        // Whoever rehearses is alone.
        if let StepKind::Approve { approvals } = &mut planned.step.kind {
            *approvals = 1;
        }
        forward.push(planned);
    }
    let ours = |p: &&Planned| p.step.environment().is_none_or(|e| e == env);
    let rollback = plan.rollback.iter().filter(ours).filter_map(|planned| {
        let undoes = match planned.undoes {
            None => None,
            Some(forward) => Some(*moved.get(&forward)?),
        };
        let planned = planned.clone();
        Some(Planned { undoes, ..planned })
    });
    let part = Plan {
        title: format!("{} (rehearsed in {env})", plan.title),
        phases,
        rollback: rollback.collect(),
        afterwards: plan.afterwards.iter().filter(ours).cloned().collect(),
        environments: plan
            .environments
            .iter()
            .filter(|e| e.name == env)
            .cloned()
            .collect(),
        criteria: Vec::new(),
        forward,
        ..plan.clone()
    };
    (!part.forward.is_empty()).then_some(part)
}

/// SHA-256, in hexadecimal, of what the steps of a part do and to which targets. Not of how it is
/// told, and not of how long its bakes take: a rehearsal may shorten them, and says so.
pub fn part_hash(part: &Plan) -> String {
    let mut part = part.clone();
    for planned in &mut part.forward {
        if let StepKind::Bake {
            duration, extend, ..
        } = &mut planned.step.kind
        {
            *duration = Duration::ZERO;
            *extend = Duration::ZERO;
        }
    }
    let outline = outline(&part, "");
    let steps = |steps: &[super::machine::StepOutline]| -> Vec<(String, String)> {
        let of = |s: &super::machine::StepOutline| (s.id.clone(), s.digest.clone());
        steps.iter().map(of).collect()
    };
    let of = serde_json::json!([
        steps(&outline.forward),
        steps(&outline.rollback),
        steps(&outline.afterwards),
    ]);
    let bytes = Sha256::digest(of.to_string());
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A rehearsal, finished or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub schema: String,
    pub runbook: String,
    pub env: String,
    /// [`part_hash`] of what was rehearsed.
    pub part: String,
    /// SHA-256 of the plan that its runs followed.
    pub plan: String,
    /// Bakes were shortened to this.
    pub shortened_ms: Option<u64>,
    pub by: String,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    /// None while it is not finished.
    pub verdict: Option<Verdict>,
    pub cases: Vec<Case>,
}

/// One run of a rehearsal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// The step after which it went back.
    pub step: String,
    pub way: Way,
    pub run: RunId,
    pub forward_ms: u64,
    pub back_ms: Option<u64>,
    /// From the beginning of the way back until everything that is looked at was as before.
    pub recovered_ms: Option<u64>,
    /// What was due afterwards.
    pub afterwards_ms: Option<u64>,
    pub verdict: Verdict,
    pub why: Option<String>,
    /// The run's journal at its end.
    pub head: String,
}

/// How a case went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Nothing was switched: the run was ended.
    Abort,
    Rollback,
    /// Forwards through everything, and then back.
    Whole,
}

impl Record {
    pub const SCHEMA: &'static str = "dbctl.rehearsal/1";

    fn file(&self, folder: &Path) -> PathBuf {
        let began = self.began.strftime("%Y%m%dT%H%M%S%3fZ");
        folder.join(format!("rehearsal-{began}.json"))
    }

    /// Writes it, wholly or not at all; returns where.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let file = self.file(folder);
        let json = serde_json::to_string_pretty(self).expect("a record is plain data");
        crate::durable::write(&file, format!("{json}\n").as_bytes())
            .doing(Exit::Failed, format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// Every record in a folder that can be read, the newest first.
    pub fn all(folder: &Path) -> Vec<Self> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let texts = files.filter_map(|f| std::fs::read_to_string(f.path()).ok());
        let records = texts.filter_map(|text| serde_json::from_str::<Self>(&text).ok());
        let mut records: Vec<Self> = records.filter(|r| r.schema == Self::SCHEMA).collect();
        records.sort_by_key(|r| std::cmp::Reverse(r.began));
        records
    }

    /// Whether its last case went through everything and every case passed.
    fn is_whole(&self) -> bool {
        self.verdict == Some(Verdict::Pass)
            && self.cases.iter().all(|c| c.verdict == Verdict::Pass)
            && self.cases.last().is_some_and(|c| c.way == Way::Whole)
    }
}

/// Where the rehearsals of an environment are kept, beside the journal of its rollouts.
pub fn folder(journal: &Path, env: &str) -> PathBuf {
    let mut name = String::new();
    for byte in env.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            other => name += &format!("%{other:02x}"),
        }
    }
    crate::durable::parent(journal)
        .join("rehearsals")
        .join(name)
}

/// The journal of the runs of a rehearsal.
pub fn journal_in(folder: &Path) -> PathBuf {
    folder.join("journal.db")
}

/// The newest rehearsal in a folder that passed, was of this part, is not older than `within` and
/// is borne out by its journal; else why there is none.
pub async fn evidence(
    folder: &Path,
    part: &str,
    within: Duration,
    now: Timestamp,
) -> std::result::Result<Record, String> {
    let records = Record::all(folder);
    let Some(newest) = records.first() else {
        return Err("nothing was rehearsed".into());
    };
    let Some(whole) = records.iter().find(|r| r.is_whole() && r.part == part) else {
        return Err(match newest.part == part {
            true => format!("the rehearsal of {} did not pass", newest.began),
            false => "what was rehearsed was another version of these steps".into(),
        });
    };
    let ended = whole.ended.unwrap_or(whole.began);
    let age = Duration::try_from(now.duration_since(ended)).unwrap_or_default();
    if age > within {
        return Err(format!(
            "the rehearsal ended at {ended}, which is longer ago than {} s",
            within.as_secs()
        ));
    }
    borne_out(whole, folder).await?;
    Ok(whole.clone())
}

/// The journal holds every run with the head that the record names, its chain intact.
async fn borne_out(record: &Record, folder: &Path) -> std::result::Result<(), String> {
    let journal = Journal::open(&journal_in(folder)).await;
    let journal = journal.map_err(|p| p.to_string())?;
    let journal = journal.ok_or("the rehearsal's journal is gone")?;
    for case in &record.cases {
        let entries = journal
            .entries(&case.run)
            .await
            .map_err(|p| p.to_string())?;
        let head = entries.last().map(Entry::head).map(|h| h.to_string());
        if head.as_deref() != Some(case.head.as_str()) {
            return Err(format!(
                "run {} of the rehearsal is not as its record says",
                case.run
            ));
        }
    }
    Ok(())
}
