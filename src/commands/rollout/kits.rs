//! What journals recorded of rollback kits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::{find_journal, mirrors};
use crate::commands::Context;
use crate::contract::KitSeal;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::recall;
use crate::rollout::journal::{Journal, Mirror, mirrored};

/// How long the journal may take.
const JOURNAL_WITHIN: Duration = Duration::from_secs(3);
/// So many of the newest runs are looked at.
const RUNS: usize = 5;

/// The newest seals by environment, those of each machine: from the journal, or from this machine's
/// mirrors of it where it does not answer. Nothing where no run was begun yet.
///
/// # Errors
/// Neither can be read.
pub async fn recorded_kits(context: &Context) -> Result<BTreeMap<String, Vec<KitSeal>>> {
    let asked = async {
        match find_journal(context).await? {
            None => Ok(BTreeMap::new()),
            Some(journal) => of_journal(&journal).await,
        }
    };
    let problem = match tokio::time::timeout(JOURNAL_WITHIN, asked).await {
        Ok(Ok(kits)) => return Ok(kits),
        Ok(Err(problem)) => problem,
        Err(_) => Problem::new(
            Exit::Unavailable,
            "asking the journal about the rollback kit",
            "it does not answer",
        ),
    };
    let dir = mirrors(context);
    let mut kits = BTreeMap::new();
    let mut read = false;
    for run in mirrored(&dir)?.into_iter().take(RUNS) {
        if let Ok(Some(mirror)) = Mirror::open(&dir, &run).await
            && let Ok(known) = recall(&mirror.as_journal(), &run).await
        {
            read = true;
            newer_stay(&mut kits, known.state.kits);
        }
    }
    if read { Ok(kits) } else { Err(problem) }
}

async fn of_journal(journal: &Journal) -> Result<BTreeMap<String, Vec<KitSeal>>> {
    let mut kits = BTreeMap::new();
    for row in journal.runs().await?.into_iter().take(RUNS) {
        newer_stay(&mut kits, recall(journal, &row.run).await?.state.kits);
    }
    Ok(kits)
}

/// Runs are read from the newest on. Of one machine's kit the higher serial was made later.
fn newer_stay(kits: &mut BTreeMap<String, Vec<KitSeal>>, older: BTreeMap<String, Vec<KitSeal>>) {
    for (env, seals) in older {
        let known = kits.entry(env).or_default();
        for seal in seals {
            if !known.iter().any(|k| k.place == seal.place) {
                known.push(seal);
            }
        }
    }
}
