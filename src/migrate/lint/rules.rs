//! Which rules hold, and how much they weigh: `[migrations.lint]` of `dbctl.toml`.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::observed::OBSERVED;
use super::{own, squawk};
use crate::error::nearest;
use crate::migrate::conventions::Version;
use crate::migrate::finding::Level;

/// A rule as it is without settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    pub default: Setting,
    /// Why it is off, or other than whoever knows it elsewhere expects; else empty.
    pub because: &'static str,
}

/// What a rule is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    Error,
    Warning,
    Off,
}

impl Setting {
    fn level(self) -> Option<Level> {
        match self {
            Setting::Error => Some(Level::Error),
            Setting::Warning => Some(Level::Warning),
            Setting::Off => None,
        }
    }
}

/// Every rule of the lint, squawk's first.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    squawk::RULES.iter().chain(own::RULES)
}

/// The rule of that name. squawk knows one under a second name.
pub(super) fn find(name: &str) -> Option<&'static Rule> {
    let name = match name {
        "prefer-timestamptz" => "prefer-timestamp-tz",
        other => other,
    };
    all().chain(observed()).find(|rule| rule.name == name)
}

fn observed() -> impl Iterator<Item = &'static Rule> {
    OBSERVED.iter().map(|observed| &observed.rule)
}

/// Names that stand for several rules.
pub(super) fn expanded(name: &str) -> &'static [&'static str] {
    match name {
        "require-timeout-settings" => &["require-lock-timeout", "require-statement-timeout"],
        _ => &[],
    }
}

/// The rule that was probably meant.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    nearest(name, all().chain(observed()).map(|rule| rule.name))
}

/// `[migrations.lint]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// By rule.
    pub levels: BTreeMap<RuleName, Setting>,
    /// By rule for some files; what stands further down goes before what stands above it.
    pub path: Vec<PathRules>,
    /// The first version that the lint looks at.
    pub from: Option<FirstVersion>,
}

/// `[[migrations.lint.path]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRules {
    /// Compared with the end of a file's path, from any of its folders on.
    pub glob: Pattern,
    pub levels: BTreeMap<RuleName, Setting>,
}

impl Rules {
    /// As they are without settings, for the versions from `first` on.
    ///
    /// # Errors
    /// When that is no version.
    pub fn from(first: &str) -> Result<Self, String> {
        Ok(Self {
            from: Some(FirstVersion::try_from(first.to_owned())?),
            ..Self::default()
        })
    }

    /// How much a rule weighs for the file `path`; none where it is off.
    pub fn level(&self, rule: &Rule, path: &str) -> Option<Level> {
        let set = |levels: &BTreeMap<RuleName, Setting>| levels.get(rule.name).copied();
        self.path
            .iter()
            .rev()
            .filter(|p| p.levels.contains_key(rule.name) && p.glob.matches(path))
            .find_map(|p| set(&p.levels))
            .or_else(|| set(&self.levels))
            .unwrap_or(rule.default)
            .level()
    }

    /// Whether a migration is older than the first one that is looked at. What has no version runs
    /// whenever it has changed, and so is always looked at.
    pub fn passes_over(&self, version: Option<&Version>) -> bool {
        match (&self.from, version) {
            (Some(from), Some(version)) => *version < from.0,
            (Some(_), None) | (None, _) => false,
        }
    }
}

/// The name of a rule that there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct RuleName(String);

impl TryFrom<String> for RuleName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match find(&name) {
            Some(rule) => Ok(Self(rule.name.to_owned())),
            None => Err(match meant(&name) {
                Some(meant) => format!("there is no rule `{name}`; did you mean `{meant}`?"),
                None => format!("there is no rule `{name}`; docs/lint.md lists them"),
            }),
        }
    }
}

impl std::borrow::Borrow<str> for RuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// `*` and `?` stay within a folder, `**` does not.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// Windows writes `\`.
    fn matches(&self, path: &str) -> bool {
        self.0.is_match(path.replace('\\', "/"))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(glob: String) -> Result<Self, String> {
        let anywhere = format!("**/{}", glob.trim_start_matches("./"));
        GlobBuilder::new(&anywhere)
            .literal_separator(true)
            .build()
            .map(|built| Self(built.compile_matcher()))
            .map_err(|e| format!("`{glob}` is not a pattern for paths: {}", e.kind()))
    }
}

/// A version as the names of files have it: `0042`, `V7`, `20240131000000`, `1.4`, `2024-01-31-000000`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FirstVersion(Version);

impl TryFrom<String> for FirstVersion {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let bare = written
            .strip_prefix(['V', 'v'])
            .unwrap_or(&written)
            .replace('-', "");
        let parts: Option<Vec<u64>> = bare.split(['.', '_']).map(|p| p.parse().ok()).collect();
        match parts {
            Some(parts) => Ok(Self(Version { written, parts })),
            None => Err(format!(
                "`{written}` is not the version of a migration, such as \"0042\" or \"20240131000000\""
            )),
        }
    }
}
