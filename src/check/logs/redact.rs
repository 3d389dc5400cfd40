//! Masking what looks like a secret. Rather too much than too little: a name that is masked is a
//! nuisance, a token that is not stays in a journal for ever.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use secrecy::{ExposeSecret, SecretString};

const MASK: &str = "[redacted]";
/// A known secret that is shorter would mask words of every line.
const SHORTEST: usize = 6;
/// A run of letters and digits from this length on, without a break in it, is no word.
const UNBROKEN: usize = 16;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern that is right")
}

/// A value: quoted, or up to the next blank or separator.
macro_rules! value {
    () => {
        r#"("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&)}\]"]+)"#
    };
}

static JWT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}"));
static USER: LazyLock<Regex> = LazyLock::new(|| pattern(r"://[^/\s@]+@"));
static SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(bearer|basic|digest|negotiate)(\s+)([A-Za-z0-9._~+/=-]{6,})")
});
/// Headers that are a credential as a whole.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(authori[sz]ation|(?:set-)?cookie)(["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|.+$)"#,
    )
});
/// Names whose values are secrets, however they are written.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)([\w.-]*(?:passw|passphrase|pwd|secret|credential|api[_-]?key|private[_-]?key|\bkek)[\w.-]*)(["')]*\s*[:=]\s*\(?)"#,
        value!()
    ))
});
/// Names that are words of ordinary sentences too, before a colon: `invalid token: expired`.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)([\w.-]*(?:token|session|jwt|signature|\bpass|\bsid)[\w.-]*)(["']\s*:\s*|["')]*\s*=\s*\(?)"#,
        value!()
    ))
});
static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/_-]{16,}={0,2}"));
static ID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)\b(?:request|req|trace|correlation)[_.-]?id["']?\s*[=:]\s*["']?([A-Za-z0-9_-]{8,64})"#,
        r"|(?i)\brequest[ :]+([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
    ))
});

/// The ids of requests that a line names as such.
pub(super) fn request_ids(line: &str) -> impl Iterator<Item = &str> {
    let found = ID.captures_iter(line);
    found.filter_map(|c| c.get(1).or_else(|| c.get(2)).map(|id| id.as_str()))
}

/// What nothing but a secret looks like: for text whose ids and hashes must stay. A token, the
/// password of an address, a private key in PEM.
static CERTAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,3}",
        r#"|://[^/\s@:"']*:[^/\s@"']+@"#,
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----",
    ))
});

/// Masks secrets that are known, and what looks like one.
pub struct Redactor<'a> {
    known: Vec<&'a str>,
}

impl<'a> Redactor<'a> {
    /// Beside what looks like one, `secrets` are masked wherever they stand.
    pub fn new(secrets: &'a [SecretString]) -> Self {
        let known = secrets.iter().map(ExposeSecret::expose_secret);
        Self {
            known: known.filter(|s| s.len() >= SHORTEST).collect(),
        }
    }

    /// As [`Redactor::mask`], but only what is known or certain, in a text of any length; says how
    /// often. Lines of a private key are masked whole.
    pub fn mask_certain(&self, text: &str) -> (String, usize) {
        let mut count = 0;
        let mut text = text.to_owned();
        for secret in &self.known {
            count += text.matches(secret).count();
            text = text.replace(secret, MASK);
        }
        let masked = CERTAIN.replace_all(&text, |c: &Captures| {
            count += 1;
            match c[0].starts_with("://") {
                true => format!("://{MASK}@"),
                false => MASK.to_owned(),
            }
        });
        (masked.into_owned(), count)
    }

    /// Masks what is known and what looks like a secret, in one line.
    pub fn mask(&self, line: &str) -> String {
        if line.contains("PRIVATE KEY") {
            return "[redacted: a line of a private key]".into();
        }
        let mut text = line.to_owned();
        for secret in &self.known {
            text = text.replace(secret, MASK);
        }
        let ids: Vec<String> = request_ids(&text).map(str::to_owned).collect();
        text = JWT.replace_all(&text, MASK).into_owned();
        text = USER.replace_all(&text, "://[redacted]@").into_owned();
        text = SCHEME.replace_all(&text, scheme).into_owned();
        text = HEADER.replace_all(&text, whole).into_owned();
        text = NAMED.replace_all(&text, whole).into_owned();
        text = ASSIGNED.replace_all(&text, assigned).into_owned();
        let run = |c: &Captures| {
            let run = &c[0];
            let is_id = ids.iter().any(|id| id == run);
            match !is_id && looks_secret(run) {
                true => MASK.to_owned(),
                false => run.to_owned(),
            }
        };
        RUN.replace_all(&text, run).into_owned()
    }
}

/// `Bearer authentication failed` is a sentence.
fn scheme(c: &Captures) -> String {
    let value = &c[3];
    let is_word = value.len() < 20 && value.chars().all(|c| c.is_ascii_alphabetic());
    match is_word {
        true => c[0].to_owned(),
        false => format!("{}{}{MASK}", &c[1], &c[2]),
    }
}

fn whole(c: &Captures) -> String {
    format!("{}{}{MASK}", &c[1], &c[2])
}

/// How many tokens there are is no secret.
fn assigned(c: &Captures) -> String {
    let value = &c[3];
    let is_count = value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit());
    match is_count {
        true => c[0].to_owned(),
        false => whole(c),
    }
}

/// Letters and digits in a row for longer than any name has them; or all three kinds of them, in
/// something long that is no path.
fn looks_secret(run: &str) -> bool {
    let digit = |s: &str| s.bytes().any(|b| b.is_ascii_digit());
    let lower = |s: &str| s.bytes().any(|b| b.is_ascii_lowercase());
    let upper = |s: &str| s.bytes().any(|b| b.is_ascii_uppercase());
    let mut parts = run.split(['-', '_', '/', '+', '=']);
    let unbroken = |s: &str| s.len() >= UNBROKEN && digit(s) && (lower(s) || upper(s));
    if parts.any(unbroken) {
        return true;
    }
    let all = |s: &str| digit(s) && lower(s) && upper(s);
    let is_path = run.contains('/') && !run.split('/').any(all);
    run.len() >= 20 && !is_path && all(run)
}
