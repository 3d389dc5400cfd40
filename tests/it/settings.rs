//! `docs/settings.md`: every example is read, and every key is there.

use dbctl::settings::Config;

use crate::support::cli::run;

fn package() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(package().join("docs/settings.md")).expect("the document")
}

/// The `toml` fences of the document.
fn examples() -> Vec<String> {
    let document = document();
    let mut fences = document.split("```toml\n").skip(1);
    let mut found = Vec::new();
    for fence in fences.by_ref() {
        let (example, _) = fence.split_once("```").expect("a fence ends");
        found.push(example.to_owned());
    }
    found
}

#[test]
fn every_example_of_the_document_is_read_by_dbctl() {
    let examples = examples();
    assert!(examples.len() >= 10);
    for example in examples {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("dbctl.toml"), &example).expect("written");
        // `smoke` resolves the mapping too; an unreadable file or mapping is exit status 3.
        let seen = run(dir.path(), &["smoke", "issue-token", "--on", "nobody"]);
        let wrong = seen.stderr.contains("reading");
        assert!(!wrong, "{example}\n{}", seen.stderr);
    }
}

#[test]
fn every_key_of_the_settings_is_in_the_document() {
    let document = document();
    for key in keys() {
        assert!(
            document.contains(&format!("| `{key}` |")),
            "{key} is not described"
        );
    }
}

/// The keys, as serde's own messages about an unknown one list them.
fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    for probe in [
        "[migrations]\nx = 1",
        "[migrations.lint]\nx = 1",
        "[[migrations.lint.path]]\nx = 1",
        "[journal]\nx = 1",
        "[keys]\nx = 1",
        "[runbook]\nx = 1",
        "[smoke]\nx = 1",
        "[[hooks]]\nx = 1",
        "[smoke.requests.issue]\nx = 1",
        "[environments.e]\nx = 1",
        "[environments.e.metrics]\nx = 1",
        "[[environments.e.targets]]\nx = 1",
    ] {
        let error = toml::from_str::<Config>(probe).expect_err("an unknown key");
        let message = error.message();
        let (_, expected) = message.split_once("expected ").expect(message);
        let named = expected.split('`').skip(1).step_by(2);
        keys.extend(named.map(str::to_owned));
    }
    assert!(keys.len() > 25, "{keys:?}");
    keys
}

#[test]
fn what_init_writes_has_every_key_too() {
    let text = std::fs::read_to_string(package().join("src/commands/init/dbctl.toml"))
        .expect("the template");
    for key in keys() {
        let there = [format!("{key} = "), format!(".{key}"), format!("[{key}]")]
            .iter()
            .any(|form| text.contains(form.as_str()));
        assert!(there, "{key} is not in the template of init");
    }
}
