//! What a validation finds, one thing at a time: for people, and for whatever a pipeline shows.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

/// How bad it is. What a rule is set to in `dbctl.toml` goes before what it says itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a look; the change works.
    Warning,
    /// The change fails, loses something or stops a service.
    Error,
}

/// Which of the layers found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Names, order, encodings, what git knows of the files.
    Files,
    /// What the text alone says.
    Lint,
    /// What happened on the scratch database.
    Execution,
    /// Up, down and up again.
    Down,
    /// Twice the same; the same as a live database.
    Again,
}

impl Layer {
    pub const ALL: [Layer; 5] = [
        Layer::Files,
        Layer::Lint,
        Layer::Execution,
        Layer::Down,
        Layer::Again,
    ];
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub layer: Layer,
    /// In kebab case and never renamed: settings, ignore comments and pipelines name it.
    pub rule: Cow<'static, str>,
    pub level: Level,
    /// The file as it is shown to people; none where the folder as a whole is meant.
    pub file: Option<String>,
    /// Bytes of that file. Without them the file as a whole is meant.
    pub span: Option<Range<usize>>,
    /// What is the matter, in one sentence without a full stop.
    pub message: String,
    /// Which lock, who waits, what is lost: why anybody should care.
    pub why: Option<String>,
    /// The way around.
    pub next: Option<String>,
    pub fix: Option<Fix>,
}

/// A change to the file that does away with a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub title: String,
    pub edits: Vec<Edit>,
}

/// Bytes of the file, and what takes their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub span: Range<usize>,
    pub text: String,
}

/// What could not be judged, and that is never a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    pub layer: Layer,
    /// The file as it is shown to people; none where all of them are meant.
    pub file: Option<String>,
    /// Why not, in one sentence without a full stop.
    pub message: String,
    /// What to do so that it can be judged.
    pub next: Option<String>,
}

impl Finding {
    pub fn new(
        layer: Layer,
        rule: impl Into<Cow<'static, str>>,
        level: Level,
        message: impl Into<String>,
    ) -> Self {
        Self {
            layer,
            rule: rule.into(),
            level,
            file: None,
            span: None,
            message: message.into(),
            why: None,
            next: None,
            fix: None,
        }
    }

    pub fn of(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// At these bytes of a file.
    pub fn at(self, file: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            span: Some(span),
            ..self.of(file)
        }
    }

    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}
