//! P10: no secret lies in what is committed beside the code: golden files, documents, templates.
//! What the tests make dbctl and the service print and write is scanned where they run it
//! (`support::cli::seen`, and when an instance or a fleet ends).

use std::path::{Path, PathBuf};

use crate::support::cli::{dbctl, seen};
use crate::support::postgres::Server;
use crate::support::secrets::secrets;

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

#[test]
fn a_malformed_line_of_a_password_file_is_not_repeated_to_anybody() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("pgpass");
    std::fs::write(&file, "localhost 5432 auth dbctl:hunter2\n*:*:hunter2\n").expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, closed).expect("closed");
    }
    let url = Server::get().url("postgres");
    for verbose in ["--color=never", "-v", "-vv", "-vvv"] {
        let mut command = dbctl(
            dir.path(),
            &[verbose, "--database-url", &url, "migrate", "list"],
        );
        command.env("PGPASSFILE", &file).env("RUST_LOG", "trace");
        let seen = seen(command);
        assert!(!seen.stdout.contains("hunter2"), "{}", seen.stdout);
        assert!(!seen.stderr.contains("hunter2"), "{}", seen.stderr);
    }
}
