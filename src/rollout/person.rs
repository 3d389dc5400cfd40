//! Who acts. A person is what the journal's store can vouch for: the operating system's user for
//! a file, the authenticated role for Postgres. What somebody says of themselves (`--as`) is kept
//! beside it as a claim and decides nothing.

use std::fmt;

use crate::error::{Exit, Problem, Result};
use crate::settings::host;

/// What a name of somebody who acts without the journal ends with.
const WITHOUT_JOURNAL: &str = " (break-glass)";

/// The longest claim, in characters.
const LONGEST_CLAIM: usize = 100;

/// Somebody who drives, approves, asks or notes. Displayed as the name: the same for the same
/// person in every process and on every terminal, so that two of them may be compared as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    name: String,
    /// The name with the machine in it.
    at: String,
    claim: Option<String>,
}

impl Person {
    /// The operating system's user: `user@host`. Not what the variable `USER` says.
    pub fn of_system() -> Self {
        let name = format!("{}@{}", user(), host());
        Self {
            at: name.clone(),
            name,
            claim: None,
        }
    }

    /// A database role, as the server authenticated it.
    ///
    /// # Errors
    /// A role whose name could be taken for something else.
    pub fn of_role(role: &str) -> Result<Self> {
        let odd = |c: char| c.is_control() || matches!(c, '\\' | '\u{fffd}');
        if role.is_empty() || role.contains(odd) || role.ends_with(WITHOUT_JOURNAL) {
            let cause = format!(
                "the role `{}` has something in its name that the journal uses otherwise",
                role.escape_debug()
            );
            return Err(Problem::new(Exit::Config, "finding out who acts", cause)
                .next("use a role without control characters and backslashes"));
        }
        Ok(Self {
            at: format!("{role}@{}", host()),
            name: role.to_owned(),
            claim: None,
        })
    }

    /// The operating system's user, acting while the journal does not answer.
    pub fn without_journal() -> Self {
        let person = Self::of_system();
        Self {
            name: person.name + WITHOUT_JOURNAL,
            ..person
        }
    }

    /// The same, who says that they are somebody.
    pub fn claiming(self, claim: Option<String>) -> Self {
        Self { claim, ..self }
    }

    /// What they say they are (`--as`).
    pub fn claim(&self) -> Option<&str> {
        self.claim.as_deref()
    }

    /// Names this process of theirs to others: `user@host:pid`.
    pub fn holder(&self) -> String {
        format!("{}:{}", self.at, std::process::id())
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// What is shown behind a person's name.
pub fn claims(claim: &str) -> String {
    format!(" (claims to be {claim})")
}

/// Whether it names somebody who acted while the journal did not answer.
pub fn is_without_journal(name: &str) -> bool {
    name.ends_with(WITHOUT_JOURNAL)
}

/// Reads `--as NAME`.
pub fn parse_claim(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a name in one line is wanted".into());
    }
    if text.chars().count() > LONGEST_CLAIM {
        return Err(format!("it is longer than {LONGEST_CLAIM} characters"));
    }
    Ok(text.to_owned())
}

fn user() -> String {
    whoami::username()
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(user_id)
}

#[cfg(unix)]
fn user_id() -> String {
    format!("uid{}", rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn user_id() -> String {
    "unknown".into()
}
