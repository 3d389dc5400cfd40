//! What is observed on a scratch database, beside what the lint guesses of the same: a comment that
//! silences the one silences the other, and the settings weigh both.

use std::collections::BTreeMap;

use super::ignore::Ignores;
use super::rules::{Rule, Rules, Setting};
use crate::migrate::conventions::{Migration, Reading};
use crate::migrate::finding::{Finding, Layer};

/// A rule that is observed, and those of the lint that guess the same.
#[derive(Debug)]
pub struct Observed {
    pub rule: Rule,
    pub guesses: &'static [&'static str],
}

const fn observed(
    name: &'static str,
    default: Setting,
    guesses: &'static [&'static str],
) -> Observed {
    Observed {
        rule: Rule {
            name,
            default,
            because: "",
        },
        guesses,
    }
}

/// Those that settings can weigh and comments can silence.
pub const OBSERVED: &[Observed] = &[
    observed(
        "rewrites-table",
        Setting::Error,
        &[
            "changing-column-type",
            "adding-field-with-default",
            "adding-serial-column",
            "adding-serial-primary-key-field",
            "rewrites-table",
        ],
    ),
    observed(
        "reads-table-while-blocking",
        Setting::Error,
        &[
            "constraint-missing-not-valid",
            "adding-foreign-key-constraint",
            "adding-not-nullable-field",
        ],
    ),
    observed(
        "builds-index-while-blocking",
        Setting::Error,
        &[
            "require-concurrent-index-creation",
            "disallowed-unique-constraint",
        ],
    ),
    observed("goes-through-table", Setting::Warning, &[]),
    observed("blocks-several-tables", Setting::Warning, &[]),
    observed("waits-without-limit", Setting::Error, &[]),
    observed(
        "drops-data",
        Setting::Warning,
        &["ban-drop-column", "ban-drop-table"],
    ),
    observed(
        "leaks-session-state",
        Setting::Error,
        &["leaks-session-state"],
    ),
    observed("leaves-invalid-index", Setting::Error, &[]),
    observed("stays-empty", Setting::Warning, &[]),
    observed("down-leaves-something", Setting::Error, &[]),
    observed("up-again-differs", Setting::Error, &[]),
    observed("not-the-same-twice", Setting::Error, &[]),
];

/// What nobody can want, with what the lint guesses of it.
const ALWAYS: &[(&str, &[&str])] = &[
    (
        "fails",
        &[
            "adding-required-field",
            "cannot-run-in-transaction",
            "ban-concurrent-index-creation-in-transaction",
            "enum-value-used-in-transaction",
            "syntax-error",
        ],
    ),
    ("ends-its-transaction", &["commits-in-transaction"]),
];

/// The name under which the same is observed as the lint guesses by `rule`.
pub fn observed_as(rule: &str) -> Option<&'static str> {
    let switchable = OBSERVED.iter().map(|o| (o.rule.name, o.guesses));
    let mut all = switchable.chain(ALWAYS.iter().copied());
    all.find(|(_, guesses)| guesses.contains(&rule))
        .map(|(name, _)| name)
}

/// The findings that the settings and the comments of the files leave, weighed as the settings say.
pub fn weighed(findings: Vec<Finding>, reading: &Reading, rules: &Rules) -> Vec<Finding> {
    let scripts = reading.migrations.iter().flat_map(|migration| {
        let parts = [
            Some(&migration.up),
            migration.down.as_ref(),
            migration.verify.as_ref(),
        ];
        let parts = parts.into_iter().flatten();
        parts.map(move |script| (script.path.as_str(), (migration, script)))
    });
    let scripts: BTreeMap<&str, _> = scripts.collect();
    let mut comments: BTreeMap<String, Ignores> = BTreeMap::new();
    let left = findings.into_iter().filter_map(|mut finding| {
        let Some(known) = OBSERVED.iter().find(|o| o.rule.name == finding.rule) else {
            return Some(finding);
        };
        if matches!(finding.layer, Layer::Files | Layer::Lint) {
            return Some(finding);
        }
        let path = finding.file.clone().unwrap_or_default();
        finding.level = rules.level(&known.rule, &path)?;
        let Some((migration, script)) = scripts.get(path.as_str()) else {
            return Some(finding);
        };
        let Migration { version, .. } = migration;
        if rules.passes_over(version.as_ref()) {
            return None;
        }
        let comments = comments
            .entry(path)
            .or_insert_with(|| Ignores::of(&script.text));
        let at = finding
            .span
            .as_ref()
            .map_or(script.range.start, |s| s.start);
        let mut names = known.guesses.iter().chain([&known.rule.name]);
        (!names.any(|name| comments.cover(name, at, at))).then_some(finding)
    });
    left.collect()
}
