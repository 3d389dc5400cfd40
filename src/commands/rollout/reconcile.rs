//! Before a run is driven on: does the world still look as the journal says?

use std::fmt::Write as _;

use super::operator::Terminal;
use super::world::{Disagreement, Live, expected};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::Engine;
use crate::rollout::machine::Input;
use crate::ui::{Ui, table};

/// Compares, shows a table where something differs, and goes on only by a person's word, which is
/// noted in the journal. `accept` is the value of `--accept-world`.
///
/// # Errors
/// [`Exit::Unconfirmed`] where nobody accepts it; the lease is given back then.
pub async fn reconcile(
    engine: &mut Engine<Live, Terminal>,
    accept: Option<&str>,
    context: &Context,
) -> Result<()> {
    let expected = expected(engine.plan(), engine.state());
    if expected.is_empty() {
        return Ok(());
    }
    let found = engine.world().compare(&expected).await;
    if found.is_empty() {
        return Ok(());
    }
    let ui = &context.ui;
    ui.status(show(&found, ui).trim_end());
    let run = engine.run().to_string();
    let accepted = match accept {
        Some(given) => given == run,
        None if ui.can_ask() => {
            let question = format!(
                "Type {run} to go on with the world as it is; anything else changes nothing: "
            );
            let typed = ui.ask_line(&question).await;
            typed.is_some_and(|line| line.trim() == run)
        }
        None => false,
    };
    if !accepted {
        engine.leave().await;
        let next = format!(
            "put the world right (dbctl toggles set, migrate apply, keys seed), then run this again\n\
             --accept-world {run}      goes on with the world as it is; this is noted\n\
             dbctl rollout rollback      compares nothing and goes back to memory/file"
        );
        let doing = format!("driving run {run} on");
        let cause = "the journal and the world disagree, and nobody said which is right";
        return Err(Problem::new(Exit::Unconfirmed, doing, cause).next(next));
    }
    let rows = found
        .iter()
        .map(|d| format!("{}: journal {}, world {}", d.what, d.journal, d.world));
    let text = format!(
        "went on although the journal and the world disagree: {}",
        rows.collect::<Vec<_>>().join("; ")
    );
    let by = engine.by();
    engine.tell(Input::Note { by, text }).await
}

fn show(found: &[Disagreement], ui: &Ui) -> String {
    let mut screen = ui.status_screen();
    let rows = found
        .iter()
        .map(|d| [&d.what, &d.journal, &d.world].map(String::as_str));
    let text = table(&screen, &["", "journal says", "world says"], rows);
    write!(screen, "the journal and the world disagree:\n{text}")
        .expect("writing to a string cannot fail");
    screen.into_string()
}
