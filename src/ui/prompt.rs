//! Asking. A dangerous call wants a typed name and takes the token that only that can mint; no
//! prompt takes a bare `y`, and without a terminal a prompt is an error that names the flag.

use std::io::{BufRead as _, Read as _};

use zeroize::Zeroizing;

use super::Ui;
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

    /// Has `name` typed after showing `facts` on stderr. `flag` is the value of `--confirm`: it
    /// must match to the letter.
    pub fn confirm(&self, name: &str, facts: &str, flag: Option<&str>) -> Result<Answer> {
        let confirmed = || {
            Answer::Confirmed(Confirmed {
                name: name.to_owned(),
            })
        };
        match flag {
            Some(given) if given == name => return Ok(confirmed()),
            Some(given) => {
                return Err(Problem::new(
                    Exit::Unconfirmed,
                    "confirming",
                    format!(
                        "--confirm says `{}`, this is about `{name}`",
                        given.escape_debug()
                    ),
                )
                .next(format!(
                    "nothing was changed; pass --confirm {name} if it is meant"
                )));
            }
            None => {}
        }
        if !self.can_ask() {
            return Err(Problem::new(
                Exit::Unconfirmed,
                "confirming",
                format!("this changes `{name}` and there is nobody to ask"),
            )
            .next(format!(
                "nothing was changed; pass --confirm {name} if it is meant"
            )));
        }
        self.status(facts.trim_end());
        let question = format!("Type {name} to go on; anything else leaves everything as it is: ");
        let typed = self.ask(&question)?;
        Ok(if typed.trim() == name {
            confirmed()
        } else {
            Answer::Declined
        })
    }

    /// One line from the terminal. End of input is an empty answer.
    pub fn ask(&self, question: &str) -> Result<String> {
        let doing = "reading the answer";
        self.question(question);
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .doing(Exit::Failed, doing)?;
        Ok(line)
    }
}
