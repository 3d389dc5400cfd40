//! What people see on a terminal, at the widths that terminals have.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use expectrl::{Expect as _, Session};

use crate::support::cli::{dbctl, run};

/// A folder with a runbook whose bake watches what is soon not measured any more.
fn unwatchable() -> tempfile::TempDir {
    let id = "a-gate-with-a-name-that-is-far-too-long-for-it";
    watching(
        id,
        "max = 0",
        "[ $(wc -l < asked) -gt 4 ] && exit 3\necho 0",
    )
}

/// A folder with a runbook whose bake watches what a program says.
///
/// The target itself answers: a run is not begun where nothing could be watched.
fn watching(id: &str, thresholds: &str, says: &str) -> tempfile::TempDir {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n# empty\n",
            );
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    let runbook = format!(
        "# Watches\n\n## Steps\n\nWatches.\n\n\
        ```toml step\nid = \"watch\"\nkind = \"bake\"\nphase = \"staging\"\nenv = \"staging\"\n\
        for = \"1m\"\ngates = [\"{id}\"]\n```\n\n\
        ```toml gate\nid = \"{id}\"\n\
        measure = {{ command = {{ run = [\"./measure\"] }} }}\n\
        {thresholds}\ninterval = \"1s\"\nwindow = \"10s\"\nerror_limit = 2\n```\n"
    );
    std::fs::write(dir.path().join("watch.md"), runbook).expect("written");
    let program = dir.path().join("measure");
    let script = format!("#!/bin/sh\necho >> asked\n{says}\n");
    std::fs::write(&program, script).expect("written");
    let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, runs).expect("changed");
    let settings = format!(
        "[runbook]\npath = \"watch.md\"\n\n[environments.staging]\n\
        [[environments.staging.targets]]\nname = \"a\"\nurl = \"http://127.0.0.1:{port}\"\n\
        env_file = \"a.env\"\nstate_dir = \"a\"\nrestart = [\"true\"]\n"
    );
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("written");
    dir
}

/// What a bake draws on a terminal of so many columns, with more in its environment.
fn drawn(dir: &Path, columns: u16, env: &[(&str, &str)]) -> String {
    let like = dbctl(dir, &[]);
    let start = "exec \"$DBCTL\" --no-input rollout start --confirm staging";
    let script = format!("stty cols {columns} rows 40; {start}");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(dir)
        .env_clear()
        .envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env_remove("COLUMNS")
        .env("DBCTL", like.get_program())
        .env("TERM", "xterm-256color")
        .envs(env.iter().copied());
    let mut session = Session::spawn(command).expect("a terminal");
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    let seen = session.expect("PAUSED run").expect("it pauses by itself");
    String::from_utf8_lossy(seen.before()).into_owned()
}

/// A screen's text without what moves the cursor or colours it, line by line. A line that is drawn
/// over fills its row with blanks up to the next one.
fn lines(screen: &str, columns: usize) -> Vec<String> {
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a pattern");
    let text = escapes.replace_all(screen, "");
    let mut lines = Vec::new();
    for line in text.split(['\r', '\n']) {
        let cells: Vec<char> = line.chars().collect();
        // Where a row is full without an end of line, the terminal begins the next one by itself.
        let rows = cells.chunks(columns);
        lines.extend(rows.map(|row| row.iter().collect::<String>().trim_end().to_owned()));
    }
    lines
}

#[test]
fn a_bake_on_a_terminal_shows_its_gates_within_sixty_columns() {
    let dir = unwatchable();
    let screen = drawn(dir.path(), 60, &[]);
    let shown = lines(&screen, 60);
    // Every line of the view stands at the beginning of a row: none was too long for the one before.
    for begins in [
        "bake ",
        "  · warming up",
        "  ! error",
        "      ",
        "  traffic",
    ] {
        let there = |l: &&String| l.starts_with(begins);
        assert!(shown.iter().any(|l| there(&l)), "{begins}: {shown:#?}");
    }
    let has = |text: &str| shown.iter().any(|l| l.contains(text));
    for text in [
        "bake ",
        "observed of 1m",
        "left",
        "! error",
        "no trigger is armed",
    ] {
        assert!(has(text), "{text}: {shown:#?}");
    }
}

#[test]
fn a_bake_shows_the_limit_that_comes_next_and_then_the_one_behind_it() {
    let levels = "pause_above = 5\nrollback_above = 9\nfailure_limit = 50";
    let says = "n=$(wc -l < asked)\n[ $n -gt 9 ] && exit 3\n[ $n -gt 5 ] && echo 7 || echo 3";
    let shows = |columns: u16| {
        let dir = watching("auth-errors", levels, says);
        let shown = lines(&drawn(dir.path(), columns, &[]), usize::from(columns));
        let has = |text: &str| shown.iter().any(|l| l.contains(text));
        assert!(has("3 of 5 pause"), "{shown:#?}");
        assert!(has("7 of 9 rollback"), "{shown:#?}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| shows(60));
        shows(80);
    });
}

#[test]
fn a_bake_where_nothing_can_be_redrawn_says_plain_lines() {
    for plain in [("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "true")] {
        let dir = unwatchable();
        let screen = drawn(dir.path(), 80, &[plain]);
        for moves in ["\u{1b}[A", "\u{1b}[1A", "\u{1b}[2K", "█"] {
            assert!(!screen.contains(moves), "{plain:?}: {screen:?}");
        }
        let shown = lines(&screen, 80);
        let has = |text: &str| shown.iter().any(|l| l.starts_with(text));
        assert!(has("bake  0s observed of 1m"), "{plain:?}: {shown:#?}");
        assert!(has("gate a-gate-with"), "{plain:?}: {shown:#?}");
    }
}

#[test]
fn a_table_too_wide_for_the_terminal_becomes_blocks_and_breaks_no_word() {
    use dbctl::ui::{Screen, table};
    let header = ["key", "state", "from (UTC)", "kid", "sealed with"];
    let row = [
        "jwt-signing",
        "current",
        "2026-11-24 13:12 (41m ago)",
        "kvS9h2…x81f",
        "kek-2026…a1b2",
    ];
    let wide = table(&Screen::new(false, 100), &header, [row]);
    assert_eq!(wide.lines().count(), 2, "{wide}");
    let narrow = table(&Screen::new(false, 40), &header, [row]);
    assert!(narrow.starts_with("key          jwt-signing\n"), "{narrow}");
    assert!(narrow.lines().all(|l| l.chars().count() <= 40), "{narrow}");
    let hostile = table(&Screen::new(false, 100), &["a"], [["\u{1b}[31m\u{202e}x"]]);
    assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile:?}");
}

#[test]
fn control_characters_in_a_check_are_shown_and_never_obeyed() {
    use dbctl::check::{CheckResult, Evidence, Verdict};
    use dbctl::ui::{Explain, Screen};
    let bad = "\u{1b}]0;taken\u{7}";
    let check = CheckResult {
        name: bad.into(),
        subject: String::new(),
        verdict: Verdict::Fail,
        summary: bad.into(),
        next: Some(bad.into()),
        evidence: vec![Evidence::new(bad, bad), Evidence::new(bad, bad)],
        duration: Duration::from_millis(3),
    };
    let mut screen = Screen::new(false, 60);
    screen.checks(&[check], Explain::Others).expect("written");
    let text = screen.into_string();
    assert!(text.starts_with("  ✗ fail "), "{text}");
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n'),
        "{text:?}"
    );
}

#[test]
fn status_says_when_in_full_and_how_long_ago() {
    let dir = unwatchable();
    run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    let status = run(dir.path(), &["rollout", "status"]);
    let text = status
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let said =
        regex::Regex::new(r"last event \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, (\d+[sm] ago|just now)");
    assert!(said.expect("a pattern").is_match(&text), "{text}");
}
