//! Errors are part of the interface: what was being done, what went wrong, what to do next,
//! and where, when a file is at fault. Exit codes are documented in `docs/exit-codes.md`.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use miette::{LabeledSpan, NamedSource, SourceSpan};
use regex::Regex;

pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// Every exit status that dbctl ends with. The numbers are a promise to pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked, and it is so.
    Ok = 0,
    /// Something that dbctl did not expect; the world may have changed.
    Failed = 1,
    /// The command line is wrong (also clap's own status).
    Usage = 2,
    /// A file or an environment variable is wrong: `dbctl.toml`, a toggle, a runbook, a key file.
    Config = 3,
    /// Something that is needed did not answer or refused: a database, a service, a privilege.
    Unavailable = 4,
    /// A check ran and found something: a migration that fails, a smoke check, an expectation.
    Findings = 5,
    /// A check could not be judged: no data, too little of it. Never a pass.
    Inconclusive = 6,
    /// A run waits for an approval.
    AwaitingApproval = 10,
    /// A run was paused by a person.
    Paused = 11,
    /// A run was paused by a gate or a trigger.
    PausedByGate = 12,
    /// A run was rolled back, and the rollback was confirmed.
    RolledBack = 13,
    /// A run can neither go on nor unwind without a person.
    Stuck = 14,
    /// Somebody else drives this run.
    LeaseHeld = 15,
    /// A typed confirmation is needed and was not given; nothing was changed.
    Unconfirmed = 16,
    /// The journal does not hold together: the chain names the event.
    JournalBroken = 17,
    /// A run was aborted by a person before anything was switched.
    Aborted = 18,
    /// Interrupted (Ctrl-C); a run that is under way stays as it is.
    Interrupted = 130,
}

impl Exit {
    /// Every exit status with the sentence that `--help` and the documentation show.
    pub const ALL: [(Exit, &'static str); 17] = [
        (Exit::Ok, "done, and it is so"),
        (
            Exit::Failed,
            "something unexpected went wrong; the message says what is known",
        ),
        (Exit::Usage, "the command line is wrong"),
        (
            Exit::Config,
            "a file or a variable is wrong: settings, toggle, runbook, key",
        ),
        (
            Exit::Unavailable,
            "a database, a service or a privilege that is needed is not there",
        ),
        (Exit::Findings, "a check ran and did not pass"),
        (
            Exit::Inconclusive,
            "a check could not be judged; that is never a pass",
        ),
        (Exit::AwaitingApproval, "the run waits for an approval"),
        (Exit::Paused, "the run is paused by a person"),
        (
            Exit::PausedByGate,
            "the run is paused by a gate or a trigger",
        ),
        (
            Exit::RolledBack,
            "the run was rolled back, and that is confirmed",
        ),
        (Exit::Stuck, "the run is stuck: a person has to decide"),
        (Exit::LeaseHeld, "somebody else drives this run"),
        (
            Exit::Unconfirmed,
            "a typed confirmation is needed; nothing was changed",
        ),
        (
            Exit::JournalBroken,
            "the journal was edited or damaged; the message names the event",
        ),
        (
            Exit::Aborted,
            "the run was ended before anything was switched",
        ),
        (
            Exit::Interrupted,
            "interrupted (Ctrl-C); a run under way stays as it is",
        ),
    ];
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// What a person is told when something did not work.
///
/// Displayed as `doing: cause`; the hint is shown on a line of its own. Never put a secret, or
/// a whole line of a file that may hold one, into any of the parts (P10).
pub struct Problem(Box<Parts>);

struct Parts {
    exit: Exit,
    doing: String,
    cause: String,
    next: Option<String>,
    place: Option<Place>,
    related: Vec<Problem>,
}

struct Place {
    source: NamedSource<String>,
    span: SourceSpan,
    label: String,
}

impl Problem {
    /// `doing` completes "… went wrong while": "reading dbctl.toml". `cause` is what was seen.
    pub fn new(exit: Exit, doing: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Problem(Box::new(Parts {
            exit,
            doing: doing.to_string(),
            cause: cause.to_string(),
            next: None,
            place: None,
            related: Vec::new(),
        }))
    }

    /// What the reader can do now: a command, a line to change.
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.0.next = Some(next.to_string());
        self
    }

    /// Points at `span` (byte offset and length) in a file; line and column follow from it. The
    /// lines around it are shown, passwords in URLs as stars.
    pub fn at(
        mut self,
        file: impl fmt::Display,
        text: impl Into<String>,
        span: impl Into<SourceSpan>,
        label: impl fmt::Display,
    ) -> Self {
        self.0.place = Some(Place {
            source: NamedSource::new(file.to_string(), without_passwords(text.into())),
            span: span.into(),
            label: label.to_string(),
        });
        self
    }

    /// Further findings of the same kind, each shown in full (all mistakes of one file).
    pub fn related(mut self, others: impl IntoIterator<Item = Problem>) -> Self {
        self.0.related.extend(others);
        self
    }

    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.0.exit = exit;
        self
    }

    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    pub fn doing(&self) -> &str {
        &self.0.doing
    }

    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.next.as_deref()
    }

    pub fn all_related(&self) -> &[Problem] {
        &self.0.related
    }

    /// 1-based line and column of the place, where there is one.
    pub fn line_column(&self) -> Option<(String, usize, usize)> {
        let place = self.0.place.as_ref()?;
        let before = place.source.inner().get(..place.span.offset())?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some((place.source.name().to_owned(), line, column))
    }
}

/// The same text, as long as before so that places stay, with stars for the password of each URL:
/// a line is at fault because of it, or stands beside one that is, and errors end up in logs (P10).
pub fn without_passwords(text: impl Into<String>) -> String {
    let mut text = text.into();
    static PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#"://[^/\s"'`?@:]*:([^@/\s"'`]+)@"#;
        Regex::new(pattern).expect("a valid pattern")
    });
    let passwords: Vec<Range<usize>> = PASSWORD
        .captures_iter(&text)
        .filter_map(|found| Some(found.get(1)?.range()))
        .collect();
    for password in passwords {
        let stars = "*".repeat(password.len());
        text.replace_range(password, &stars);
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.doing.is_empty() {
            f.write_str(&self.0.cause)
        } else {
            write!(f, "{}: {}", self.0.doing, self.0.cause)
        }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({:?}, {self})", self.0.exit)
    }
}

impl std::error::Error for Problem {}

impl miette::Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0
            .place
            .as_ref()
            .map(|p| &p.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.0.place.as_ref()?;
        let label = LabeledSpan::new_with_span(Some(place.label.clone()), place.span);
        Some(Box::new(std::iter::once(label)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.0.related.is_empty() {
            return None;
        }
        Some(Box::new(
            self.0.related.iter().map(|p| p as &dyn miette::Diagnostic),
        ))
    }
}

/// Turns any error into a [`Problem`] by saying what was being done.
pub trait Doing<T> {
    /// `doing` names the act and the thing: "reading keys/kek.b64".
    fn doing(self, exit: Exit, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: std::error::Error> Doing<T> for std::result::Result<T, E> {
    fn doing(self, exit: Exit, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Problem::new(exit, doing, Chain(&e)))
    }
}

/// An error with its sources on one line: "a: b: c", a source that repeats its parent left out.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.to_string();
        f.write_str(&shown)?;
        let mut source = self.0.source();
        while let Some(e) = source {
            let text = e.to_string();
            if !shown.contains(&text) {
                write!(f, ": {text}")?;
            }
            shown = text;
            source = e.source();
        }
        Ok(())
    }
}

/// The known name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, k)| *distance * 3 <= k.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}
