//! Bringing what was done without the journal into it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::reach::{Reached, reach_anyhow, tell_here};
use super::session::{AsArgs, RunArgs, find_run, mirrors, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::replay;
use crate::rollout::journal::{
    AppendError, Entry, Head, Journal, Mirror, RequestKind, RunId, Standing, export,
};
use crate::rollout::lease::{self, Taken};
use crate::rollout::machine::Input;
use crate::rollout::spool::{Settled, Spool, What, unmerged};
use crate::ui::{clock_time, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Where the journal stands as it did when the glass was broken, the events of the spool become its
next events, as they are; the database records who brought them. Where it went on meanwhile,
nothing is overwritten: the spool is kept as an exported file, and a note in the journal names it.

Example:
  dbctl rollout merge")]
pub struct MergeArgs {
    #[command(flatten)]
    who: AsArgs,
}

pub async fn run(args: MergeArgs, context: &Context) -> Result<Exit> {
    let dir = mirrors(context);
    let spools = unmerged(&dir)?;
    if spools.is_empty() {
        context
            .ui
            .status("nothing was done without the journal here, or all of it was merged");
        return Ok(Exit::Ok);
    }
    let journal = open_journal(context).await?.claiming(args.who.claim);
    for spool in spools {
        match spool.spooled.what.clone() {
            What::Run { run, .. } => merge_run(&journal, &dir, &run, &spool, context).await?,
            What::Environment { .. } => note_environment(&journal, &spool, context).await?,
        }
    }
    Ok(Exit::Ok)
}

/// Refuses to drive a run on while something that was done without the journal is not in it: the
/// journal would go another way, and nobody would know what is true.
pub async fn nothing_is_unmerged(
    journal: &Journal,
    run: Option<&RunId>,
    context: &Context,
) -> Result<()> {
    let dir = mirrors(context);
    let doing = "driving a run";
    if let Some(spool) = unmerged(&dir)?.first() {
        let cause = format!(
            "at {} something was done here without the journal, and the journal does not know it: {}",
            clock_time(spool.spooled.at_ms),
            spool.path.display()
        );
        return Err(Problem::new(Exit::Unconfirmed, doing, cause)
            .next("dbctl rollout merge      brings it into the journal; then try again"));
    }
    let (Some(dir), Some(run)) = (journal.mirrors(), run) else {
        return Ok(());
    };
    // A mirror that is damaged or cannot be read holds nobody up: the journal is the truth.
    let Ok(Some(mirror)) = Mirror::open(dir, run).await else {
        return Ok(());
    };
    let (common, theirs) = match mirror.standing(journal).await? {
        Standing::Within => return Ok(()),
        Standing::Ahead { journal, mirror } => (journal.seq, mirror),
        Standing::Parted { common, mirror } => (common.saturating_sub(1), mirror),
    };
    let file = dir.join(format!("{run}.db"));
    Err(Problem::new(
        Exit::JournalBroken,
        doing,
        format!(
            "the journal has acknowledged events of run {run} up to {} to this machine, and holds \
             only the first {common} of them: its end was lost (a failover without the last \
             commits, a restored backup)",
            theirs.seq
        ),
    )
    .next(format!(
        "dbctl rollout rollback      goes back to memory/file in any case\n\
         look at what is missing before you go on: {}; moved away, it holds nobody up",
        file.display()
    )))
}

async fn merge_run(
    journal: &Journal,
    dir: &Path,
    run: &RunId,
    spool: &Spool,
    context: &Context,
) -> Result<()> {
    let ui = &context.ui;
    let doing = || format!("merging the spool of run {run}");
    let mirror = Mirror::open(dir, run).await?.ok_or_else(|| {
        let cause = format!("its events are not in {} any more", dir.display());
        Problem::new(Exit::Config, doing(), cause).next("look for the file that was moved away")
    })?;
    let entries = mirror.as_journal().entries(run).await?;
    let known = replay(&entries)?;
    let standing = mirror.standing(journal).await?;
    let merged = match standing {
        // All of it is there: an earlier merge was not acknowledged, or ended before it said so.
        Standing::Within => true,
        Standing::Ahead { journal: head, .. } => {
            append(journal, run, &entries, head, known.state.is_closed()).await?
        }
        Standing::Parted { .. } => false,
    };
    let by = &spool.spooled.by;
    let head = known.head;
    if merged {
        let path = spool.settle(Settled::Merged)?;
        ui.status(format_args!(
            "merged run {run}: what was done without the journal by {by} is in it, up to event {}\n  \
             journal head {head}\n  kept   {}",
            head.seq,
            path.display()
        ));
        return Ok(());
    }
    let file = absolute(&dir.join(format!("{run}-{}.jsonl", head.seq)));
    if !file.exists() {
        export(&file, run, &entries)?;
    }
    let text = format!(
        "rolled back without the journal by {by} at {}, while the journal went another way: the \
         events up to {head} are in the file {} on the machine of {by}",
        clock_time(spool.spooled.at_ms),
        file.display()
    );
    note(journal, run, &text, context).await?;
    // The export has all of it; as a mirror it would only hold up whoever drives here next.
    mirror.discard().await?;
    let path = spool.settle(Settled::Kept)?;
    ui.warn(format_args!(
        "the journal of run {run} went on meanwhile, so nothing in it was changed.\n  \
         What was done without it is in {}, and a note in the journal says so.\n  \
         Compare both, and look at the targets, before you drive on.\n  kept   {}",
        file.display(),
        path.display()
    ));
    Ok(())
}

/// Appends what follows `head`; false where the journal refuses that or went on meanwhile.
async fn append(
    journal: &Journal,
    run: &RunId,
    entries: &[Entry],
    head: Head,
    closed: bool,
) -> Result<bool> {
    let rest: Vec<Entry> = entries
        .iter()
        .filter(|e| e.record.seq > head.seq)
        .cloned()
        .collect();
    let doing = || format!("merging the spool of run {run}");
    let holder = journal.person().holder();
    let highest = rest.iter().map(|e| e.record.token).max().unwrap_or(0);
    let lease = loop {
        match journal.take(run, &holder, lease::TTL, false).await? {
            // Tokens never fall along a chain, and every take of the spool's lease raised its own.
            Taken::Ours(lease) if lease.token() < highest => journal.release(&lease).await?,
            Taken::Ours(lease) => break lease,
            Taken::Held(held) => {
                let cause = format!("{} drives it", held.holder);
                return Err(Problem::new(Exit::LeaseHeld, doing(), cause).next(format!(
                    "tell them what was done here; if that process is gone, try again in {} s",
                    held.left.as_secs() + 1
                )));
            }
        }
    };
    let merged = journal.merge(&lease, &rest, closed).await;
    // An expired lease is free as well.
    let _ = journal.release(&lease).await;
    match merged {
        Ok(()) => Ok(true),
        Err(AppendError::Conflict) => Ok(false),
        // What the database does not believe is kept as a file.
        Err(AppendError::Failed(problem)) if problem.exit() == Exit::Failed => Ok(false),
        Err(AppendError::Failed(problem)) => Err(problem),
        Err(AppendError::Fenced { holder, .. }) => {
            let cause = format!("{holder} took the run over");
            Err(Problem::new(Exit::LeaseHeld, doing(), cause).next("try again"))
        }
        Err(AppendError::Withdrawn) => Err(Problem::new(
            Exit::Failed,
            doing(),
            "it answers no request, and is told that one was taken back",
        )),
    }
}

/// An environment that was set back without a run: a note in the run that is open, or the newest.
async fn note_environment(journal: &Journal, spool: &Spool, context: &Context) -> Result<()> {
    let spooled = &spool.spooled;
    let What::Environment { env, ended } = &spooled.what else {
        return Ok(());
    };
    let outcome = match ended {
        Some(ended) if ended.confirmed => "every target says so itself".to_owned(),
        Some(ended) => format!("not confirmed: {}", ended.wrong.join("; ")),
        None => "how that ended was not recorded".to_owned(),
    };
    let kept = absolute(&spool.settled_path(Settled::Merged));
    let text = format!(
        "{env} was set back to memory/file without the journal by {} at {} ({}): {outcome}. \
         The record is {} on their machine, SHA-256 {}",
        spooled.by,
        clock_time(spooled.at_ms),
        spooled.reason,
        kept.display(),
        spool.hash()?
    );
    let row = find_run(journal, &RunArgs::default()).await?;
    note(journal, &row.run, &text, context).await?;
    spool.settle(Settled::Merged)?;
    context.ui.status(format_args!(
        "noted in run {}: {}",
        row.run,
        printable(&text)
    ));
    Ok(())
}

/// As it is found from anywhere on this machine.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

async fn note(journal: &Journal, run: &RunId, text: &str, context: &Context) -> Result<()> {
    let kind = RequestKind::Note;
    match reach_anyhow(context, journal.clone(), run, kind, text, false).await? {
        Reached::ByDriver { .. } => Ok(()),
        Reached::Here(mut engine) => {
            let input = Input::Note {
                by: engine.by(),
                text: text.to_owned(),
            };
            tell_here(&mut engine, kind, input).await?;
            engine.leave().await;
            Ok(())
        }
    }
}
