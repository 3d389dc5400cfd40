//! Running everything on a scratch database, exactly as apply would.

use std::time::{Duration, Instant};

use super::apply::{self, Event, Options};
use super::failure::Ground;
use super::files::{File, transaction_control};
use crate::error::{Exit, Problem, Result};
use crate::pg::scratch::Scratch;

/// What came of a validation.
#[derive(Debug)]
pub struct Validation {
    /// What it ran on, for people: `embedded PostgreSQL 17.5`.
    pub server: String,
    pub total: usize,
    /// How many ran without an error. The ones after a failing one are not judged.
    pub ran: usize,
    pub findings: Vec<Problem>,
    pub elapsed: Duration,
}

/// Applies `files` to an empty scratch database. What a file does wrong is a finding; what keeps
/// the check from being made (the database went away) is an error.
pub async fn validate(files: &[File], scratch: &Scratch) -> Result<Validation> {
    let began = Instant::now();
    let mut ran = 0;
    let mut findings: Vec<Problem> = files.iter().filter_map(transaction_control).collect();
    if findings.is_empty() {
        let ground = Ground::of(scratch);
        let options = Options {
            ground,
            ..Options::default()
        };
        let mut count = |event: Event| {
            if matches!(event, Event::Applied { .. }) {
                ran += 1;
            }
        };
        match apply::apply(scratch.database(), files, &options, &mut count).await {
            Ok(_) => {}
            Err(problem) if problem.exit() == Exit::Findings => findings.push(problem),
            Err(problem) => return Err(problem),
        }
    }
    Ok(Validation {
        server: scratch.description(),
        total: files.len(),
        ran,
        findings,
        elapsed: began.elapsed(),
    })
}
