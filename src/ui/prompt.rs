//! Asking. A dangerous call wants a typed name and takes the token that only that can mint; no
//! prompt takes a bare `y`, and without a terminal a prompt is an error that names the flag.

use std::io::{BufRead as _, Read as _};

use zeroize::Zeroizing;

use super::{Ui, interrupts};
use crate::error::{Doing as _, Exit, Problem, Result};

/// Proof that a person typed the name of what is about to be changed, or passed it as
/// `--confirm NAME`. Destructive calls take one by value.
#[derive(Debug, Clone)]
pub struct Confirmed {
    name: String,
}

impl Confirmed {
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What came of asking.
#[derive(Debug)]
pub enum Answer {
    Confirmed(Confirmed),
    /// Something else was typed, or nothing: everything stays as it is.
    Declined,
}

impl Ui {
    /// What comes on standard input, of which `limit` bytes are read at most: a file that was
    /// named `-`. Wiped when it is dropped.
    pub fn input(&self, limit: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
        // With room for all of it: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
        let stdin = std::io::stdin().lock();
        stdin.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Refuses a `--confirm` that names something else than `name`, whether or not there turns out
    /// to be anything to do: whoever typed it takes this for another one.
    pub fn refuse_other(&self, name: &str, flag: Option<&str>) -> Result<()> {
        let Some(given) = flag.filter(|given| *given != name) else {
            return Ok(());
        };
        let cause = format!(
            "--confirm says `{}`, this is about `{name}`",
            given.escape_debug()
        );
        Err(unconfirmed(cause, name))
    }

    /// Has `name` typed after showing `facts` on stderr. `flag` is the value of `--confirm`: it
    /// must match to the letter.
    ///
    /// # Errors
    /// Another name in the flag; nobody there to ask; Ctrl-C at the question.
    pub async fn confirm(&self, name: &str, facts: &str, flag: Option<&str>) -> Result<Answer> {
        let confirmed = || {
            Answer::Confirmed(Confirmed {
                name: name.to_owned(),
            })
        };
        self.refuse_other(name, flag)?;
        if flag.is_some() {
            return Ok(confirmed());
        }
        if !self.can_ask() {
            let cause = format!("this changes `{name}` and there is nobody to ask");
            return Err(unconfirmed(cause, name));
        }
        self.status(facts.trim_end());
        let question = format!("Type {name} to go on; anything else leaves everything as it is: ");
        let typed = self.ask(&question).await?;
        Ok(if typed.trim() == name {
            confirmed()
        } else {
            Answer::Declined
        })
    }

    /// One line from the terminal. End of input is an empty answer.
    async fn ask(&self, question: &str) -> Result<String> {
        let doing = "reading the answer";
        // One line and no more: what is started later may ask for a password on this terminal.
        let read = || {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        };
        let answered = async {
            self.question(question);
            tokio::task::spawn_blocking(read).await
        };
        tokio::select! {
            // Listened for before anything is asked.
            biased;
            () = interrupts::at_a_question() => {
                // The cursor stands behind the question.
                self.status("");
                Err(Problem::new(Exit::Interrupted, "", "interrupted; nothing was changed"))
            }
            line = answered => {
                let line = line.map_err(|e| Problem::new(Exit::Failed, doing, e))?;
                line.doing(Exit::Failed, doing)
            }
        }
    }
}

fn unconfirmed(cause: String, name: &str) -> Problem {
    Problem::new(Exit::Unconfirmed, "confirming", cause).next(format!(
        "nothing was changed; pass --confirm {name} if it is meant"
    ))
}
