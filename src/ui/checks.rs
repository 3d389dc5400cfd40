//! Results of checks, whichever command made them: one form for `smoke`, `preflight` and `verify`.

use std::fmt::{self, Write as _};

use super::table::middle;
use super::{Screen, Tone, printable};
use crate::check::{CheckResult, Verdict};

/// Columns of a verdict with its mark: `? inconclusive`.
pub(super) const VERDICT: usize = 14;
/// The longest name that is shown whole.
const NAME: usize = 32;

/// Which checks are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// Those that did not pass; what passed is only named.
    Others,
    /// All of them; what they saw only where they did not pass.
    All,
}

impl Screen {
    /// Each check with its verdict, its name and how long it took; then what was found, what was
    /// seen and what to do. The same advice twice in a row is given once.
    pub fn checks(&mut self, checks: &[CheckResult], explain: Explain) -> fmt::Result {
        let longest = checks.iter().map(|c| c.name.chars().count()).max();
        let mut advised = None;
        for check in checks {
            self.check(check, longest.unwrap_or(0), explain, &mut advised)?;
        }
        Ok(())
    }

    fn check(
        &mut self,
        check: &CheckResult,
        longest: usize,
        explain: Explain,
        advised: &mut Option<String>,
    ) -> fmt::Result {
        let name = middle(&printable(&check.name), NAME);
        let names = longest.min(NAME + 1);
        let verdict = self.verdict_padded(check.verdict, VERDICT);
        let ms = check.duration.as_secs_f64() * 1e3;
        let took = self.tone(Tone::Quiet, format_args!("{ms:>7.0} ms"));
        writeln!(self, "  {verdict}  {name:<names$} {took}")?;
        let passed = check.verdict == Verdict::Pass;
        if passed && explain == Explain::Others {
            return Ok(());
        }
        self.wrapped(6, &printable(&check.summary))?;
        // One thing seen alone says no more than the summary.
        if !passed && check.evidence.len() > 1 {
            for seen in &check.evidence {
                let text = format!("{} → {}", seen.what, seen.seen);
                self.wrapped(8, &printable(&text))?;
            }
        }
        if !passed && check.next != *advised {
            if let Some(next) = &check.next {
                self.wrapped(6, &printable(&format!("next: {next}")))?;
            }
            advised.clone_from(&check.next);
        }
        Ok(())
    }
}
