//! Files on their way into the archive.

use serde::Serialize;

use super::archive::Missing;
use crate::check::logs::Redactor;
use crate::error::Problem;

/// A file of the archive.
#[derive(Debug)]
pub(super) struct Part {
    pub path: String,
    /// What it is, for people.
    pub what: String,
    pub bytes: Vec<u8>,
    /// How often something was masked in it.
    pub masked: usize,
}

/// What was collected so far, and what could not be.
#[derive(Default)]
pub struct Gathered {
    pub(super) parts: Vec<Part>,
    pub(super) missing: Vec<Missing>,
}

impl Gathered {
    /// A text file. What is certainly a secret is masked; says how often.
    pub fn text(
        &mut self,
        path: impl Into<String>,
        what: impl Into<String>,
        text: &str,
        redactor: &Redactor<'_>,
    ) -> usize {
        let (text, masked) = redactor.mask_certain(text);
        self.parts.push(Part {
            path: path.into(),
            what: what.into(),
            bytes: text.into_bytes(),
            masked,
        });
        masked
    }

    /// A value as JSON, indented.
    pub fn json(
        &mut self,
        path: impl Into<String>,
        what: impl Into<String>,
        value: &impl Serialize,
        redactor: &Redactor<'_>,
    ) -> usize {
        let text = serde_json::to_string_pretty(value).expect("plain data") + "\n";
        self.text(path, what, &text, redactor)
    }

    /// Something that should be there and is not.
    pub fn missing(&mut self, what: impl Into<String>, why: impl std::fmt::Display) {
        self.missing.push(Missing {
            what: what.into(),
            why: why.to_string(),
            next: None,
        });
    }

    /// As [`Gathered::missing`], with what to do about it.
    pub fn failed(&mut self, what: impl Into<String>, problem: &Problem) {
        self.missing.push(Missing {
            what: what.into(),
            why: problem.to_string(),
            next: problem.hint().map(str::to_owned),
        });
    }
}
