//! Measures that are a query of the runbook's own: what may stand in them.

use std::time::Duration;

use reqwest::Url;
use serde_json_path::JsonPath;

use super::fields::{Argv, Fields, Placed};
use super::mistakes::{Mistakes, suggestion};
use super::model::{Asked, Log, Wanted};
use super::sql;

/// The providers, by the key of `measure`.
pub const PROVIDERS: [&str; 5] = ["prometheus", "sql", "command", "http", "log"];

/// What may stand in `{{…}}`: the targets that are judged, and the window.
pub const PLACEHOLDERS: [&str; 2] = ["targets", "window"];

const TIMEOUT: Duration = Duration::from_secs(5);

/// Puts values into a text. `value` gives the text of a placeholder.
///
/// # Errors
/// A placeholder that is not known or not closed, in words.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after
            .split_once("}}")
            .ok_or_else(|| "a `}}` is missing".to_owned())?;
        let name = name.trim();
        let put = value(name).ok_or_else(|| {
            let hint = suggestion(name, &PLACEHOLDERS);
            format!("there is no placeholder `{name}`: {hint}")
        })?;
        filled += before;
        filled += &put;
        rest = behind;
    }
    Ok(filled + rest)
}

/// Whether a text says which targets it is about.
pub fn names_targets(text: &str) -> bool {
    let mut named = false;
    let seen = fill(text, |name| Some(name.to_owned()));
    if seen.is_ok() {
        let pieces = text.split("{{").skip(1);
        named = pieces
            .filter_map(|p| p.split_once("}}"))
            .any(|(name, _)| name.trim() == "targets");
    }
    named
}

impl Asked {
    /// Whether it is about the targets that are judged and not about everything.
    pub fn names_targets(&self) -> bool {
        match self {
            Asked::Prometheus(wanted) | Asked::Sql { wanted, .. } => {
                wanted.texts().iter().all(|text| names_targets(text))
            }
            // A program learns them from its environment.
            Asked::Command { .. } => true,
            Asked::Http { url, .. } => names_targets(url),
            Asked::Log(_) => false,
        }
    }

    /// Whether it gives counts, so that a difference has bounds.
    pub const fn counts(&self) -> bool {
        match self {
            Asked::Prometheus(wanted) | Asked::Sql { wanted, .. } => {
                matches!(wanted, Wanted::Share { .. })
            }
            Asked::Command { .. } | Asked::Http { .. } | Asked::Log(_) => false,
        }
    }
}

impl Wanted {
    /// The one query, or both.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Wanted::One { query } => vec![query],
            Wanted::Share { bad, total } => vec![bad, total],
        }
    }
}

/// Reads the table of one of [`PROVIDERS`].
pub fn read(provider: &str, inner: &mut Fields, mistakes: &mut Mistakes) -> Option<Asked> {
    match provider {
        "prometheus" => {
            let example = "'sum(rate(errors_total{instance=~\"{{targets}}\"}[1m]))'";
            wanted(inner, example, mistakes, |_| Ok(())).map(Asked::Prometheus)
        }
        "sql" => {
            let example = "\"SELECT count(*) FROM public.failures\"";
            let wanted = wanted(inner, example, mistakes, one_statement);
            let env = inner.get::<String>("env", mistakes);
            let timeout = timeout(inner, mistakes);
            Some(Asked::Sql {
                wanted: wanted?,
                env: env.map(|e| e.value),
                timeout,
            })
        }
        "command" => {
            let run = inner.need::<Argv>("run", "[\"./measure\"]", mistakes);
            let timeout = timeout(inner, mistakes);
            let run = run?;
            for word in &run.value.0 {
                placeholders(&run, word, mistakes)?;
            }
            Some(Asked::Command {
                run: run.value.0,
                timeout,
            })
        }
        "log" => log(inner, mistakes).map(Asked::Log),
        _ => {
            let url = inner.need::<String>("url", "\"http://stats.internal/auth\"", mistakes);
            let path = inner.need::<String>("path", "\"$.errors\"", mistakes);
            let timeout = timeout(inner, mistakes);
            let (url, path) = (url?, path?);
            address(&url, mistakes)?;
            if let Err(e) = JsonPath::parse(&path.value) {
                let cause = format!("`{}` is not a JSONPath: {e}", path.value);
                let hint = "such as $.errors or $.stats[0].errors (RFC 9535)";
                mistakes.add(path.span, cause, "not a path", hint);
                return None;
            }
            Some(Asked::Http {
                url: url.value,
                path: path.value,
                timeout,
            })
        }
    }
}

/// `file` or `run`, and `pattern`.
fn log(inner: &mut Fields, mistakes: &mut Mistakes) -> Option<Log> {
    let pattern = inner.need::<String>("pattern", "\"nonce reservation failed\"", mistakes);
    let from = match (inner.has("file"), inner.has("run")) {
        (true, true) => {
            let cause = "a `file` stands beside `run`";
            mistakes.add(
                inner.span(),
                cause,
                "both",
                "a log is a file or what a program writes",
            );
            return None;
        }
        (_, false) => Ok(inner.need::<String>("file", "\"/var/log/auth.log\"", mistakes)),
        (false, true) => Err(inner.get::<Argv>("run", mistakes)),
    };
    let pattern = pattern?;
    if let Err(e) = regex::Regex::new(&pattern.value) {
        let cause = format!("`pattern` is not a regular expression: {e}");
        mistakes.add(
            pattern.span,
            cause,
            "here",
            "write \\\\. for a dot, in '…' only \\.",
        );
        return None;
    }
    let pattern = pattern.value;
    Some(match from {
        Ok(file) => Log::File {
            file: file?.value,
            pattern,
        },
        Err(run) => Log::Program {
            run: run?.value.0,
            pattern,
        },
    })
}

/// `query`, or `bad` and `total`.
fn wanted(
    inner: &mut Fields,
    example: &str,
    mistakes: &mut Mistakes,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<Wanted> {
    let share = inner.has("bad") || inner.has("total");
    if share && inner.has("query") {
        mistakes.add(
            inner.span(),
            "a `query` stands beside `bad` and `total`",
            "both",
            "one number comes from `query`, a share from `bad` and `total`",
        );
        return None;
    }
    let mut text = |key: &'static str| {
        let text = inner.need::<String>(key, example, mistakes)?;
        placeholders(&text, &text.value, mistakes)?;
        if let Err(why) = check(&text.value) {
            mistakes.add(text.span, why, "here", "write one query that only reads");
            return None;
        }
        Some(text.value)
    };
    if share {
        let (bad, total) = (text("bad"), text("total"));
        return Some(Wanted::Share {
            bad: bad?,
            total: total?,
        });
    }
    text("query").map(|query| Wanted::One { query })
}

fn one_statement(text: &str) -> Result<(), String> {
    let filled = fill(text, |_| Some("'x'".to_owned()))?;
    sql::statement(&filled).map(drop).map_err(|flaw| flaw.cause)
}

fn placeholders<T>(place: &Placed<T>, text: &str, mistakes: &mut Mistakes) -> Option<()> {
    let known = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
    match fill(text, known) {
        Ok(_) => Some(()),
        Err(why) => {
            let hint = "{{targets}} are the targets that are judged, {{window}} is the window";
            mistakes.add(place.span.clone(), why, "here", hint);
            None
        }
    }
}

fn address(url: &Placed<String>, mistakes: &mut Mistakes) -> Option<()> {
    placeholders(url, &url.value, mistakes)?;
    let filled = fill(&url.value, |_| Some("x".to_owned())).ok()?;
    let parsed = Url::parse(&filled).ok().filter(|u| {
        matches!(u.scheme(), "http" | "https") && u.host().is_some() && u.username().is_empty()
    });
    if parsed.is_none_or(|u| u.password().is_some()) {
        mistakes.add(
            url.span.clone(),
            "`url` is not an http(s) URL without a name or a password",
            "here",
            "such as http://stats.internal/auth; a runbook holds no secret",
        );
        return None;
    }
    Some(())
}

fn timeout(inner: &mut Fields, mistakes: &mut Mistakes) -> Duration {
    let given = inner.get::<Duration>("timeout", mistakes);
    given.map_or(TIMEOUT, |t| t.value)
}
