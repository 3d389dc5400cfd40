//! What looks like a secret, looked for in everything that the tests make dbctl and the service
//! print, log, record or write (P10).

use std::path::Path;

/// What looks like a secret in `text`, by kind.
pub fn secrets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.contains("PRIVATE KEY-----") {
        found.push("a private key in PEM".to_owned());
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "_-+/=.".contains(c);
    for word in text.split(|c: char| !word(c)) {
        let parts: Vec<_> = word.split('.').collect();
        if word.starts_with("eyJ") && parts.len() == 3 && parts.iter().all(|p| p.len() >= 16) {
            found.push(format!("a token: {}…", &word[..12]));
        }
        // 32 bytes as base64, such as a key-encryption key.
        if word.len() == 44 && word.ends_with('=') && !word.contains(['-', '.', '_']) {
            found.push(format!("32 bytes as base64: {}…", &word[..6]));
        }
    }
    let squeezed: String = text.chars().filter(|c| !" \"'".contains(*c)).collect();
    for (at, _) in squeezed
        .match_indices("\nd:")
        .chain(squeezed.match_indices(",d:"))
    {
        let value: String = squeezed[at + 3..]
            .chars()
            .take_while(|c| word(*c))
            .collect();
        if value.len() >= 43 {
            found.push("the private member of a JWK".to_owned());
        }
    }
    let lower = squeezed.to_lowercase();
    for name in ["password=", "pgpassword=", "passwd="] {
        for (at, _) in lower.match_indices(name) {
            if lower[at + name.len()..].starts_with(word) {
                found.push(format!("a value after `{name}`"));
            }
        }
    }
    let mut words = text.split_whitespace();
    while let Some(scheme) = words.next() {
        let credential = words.clone().next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") && credential.len() >= 20 {
            found.push("a bearer token".to_owned());
        }
    }
    for (at, _) in text.match_indices("://") {
        let authority = text[at + 3..].split(['/', ' ', '\n', '"', '`', '?']).next();
        let user = authority
            .and_then(|a| a.split_once('@'))
            .map(|(user, _)| user);
        if user
            .and_then(|u| u.split_once(':'))
            .is_some_and(|(_, p)| p.contains(|c| c != '*'))
        {
            found.push("a password in a URL".to_owned());
        }
    }
    found
}

/// Fails where what a process said holds a secret.
pub fn none_in(what: &str, text: &str) {
    let found = secrets(text);
    // A test that fails already has something else to say.
    if !found.is_empty() && !std::thread::panicking() {
        panic!("P10: {what}: {found:?}");
    }
}

/// Fails where a log, a journal, a kit, a report or a state file below `folder` holds a secret.
/// Files that exist to hold one are passed over: keys, tokens, environment files.
pub fn none_below(folder: &Path) {
    const WRITTEN: [&str; 8] = ["json", "jsonl", "db", "db-wal", "html", "log", "txt", "md"];
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            none_below(&path);
            continue;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if !WRITTEN.contains(&&*extension) && !extension.is_empty() {
            continue;
        }
        if let Ok(bytes) = std::fs::read(&path) {
            none_in(
                &path.display().to_string(),
                &String::from_utf8_lossy(&bytes),
            );
        }
    }
}
