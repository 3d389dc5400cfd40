//! P10: no secret lies in what is committed beside the code: golden files, documents, templates.

use std::path::{Path, PathBuf};

/// What looks like a secret in `text`, by kind.
fn secrets(text: &str) -> Vec<String> {
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
            .is_some_and(|(_, p)| !p.is_empty())
        {
            found.push("a password in a URL".to_owned());
        }
    }
    found
}

/// Committed files that are read by people and are not code.
fn documents() -> Vec<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "tests",
        "docs",
        "runbooks",
        "migrations",
        "completions",
        "src",
        "benches",
    ];
    let mut left: Vec<PathBuf> = folders.iter().map(|f| package.join(f)).collect();
    let mut found = vec![package.join("README.md")];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_none_or(|e| e != "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn no_committed_document_or_golden_file_holds_a_secret() {
    let mut complaints = Vec::new();
    for path in documents() {
        let bytes = std::fs::read(&path).expect("a readable file");
        for secret in secrets(&String::from_utf8_lossy(&bytes)) {
            complaints.push(format!("{}: {secret}", path.display()));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_scan_finds_each_kind_of_secret() {
    let long = "aB3".repeat(14);
    for planted in [
        format!("-----BEGIN {}PRIVATE KEY-----", ""),
        format!("token eyJ{long}.eyJ{long}.{long} end"),
        format!("kek: {long}9=\n"),
        format!("{{\"kty\": \"OKP\", \"d\": \"{long}x\"}}"),
        "host=db password=hunter2".to_owned(),
        "PGPASSWORD='hunter2' dbctl".to_owned(),
        format!("Authorization: Bearer {long}"),
        "postgres://dbctl:hunter2@localhost/auth".to_owned(),
    ] {
        let found = secrets(&planted);
        assert!(!found.is_empty(), "not found: {planted}");
    }
    for harmless in [
        "password_file = \"secrets/staging.password\"",
        "postgres://dbctl@db.example.com:5432/auth?sslmode=verify-full",
        "a bearer token in a file",
        "password=",
    ] {
        assert_eq!(secrets(harmless), Vec::<String>::new(), "{harmless}");
    }
}
