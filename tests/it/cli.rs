//! What every command has in common: help, exit statuses, errors, output for programs; and the
//! commands that need nothing from the world: `init`, `completions`, `man`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::CommandFactory as _;
use dbctl::commands::Cli;
use dbctl::commands::completions::Shell;
use dbctl::error::Exit;
use dbctl::settings::{ColorChoice, Format, GlobalArgs, Settings};

use crate::support::cli::{Seen, dbctl, run, seen};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Every command with the words that lead to it, `["migrate", "list"]`.
fn all_commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
        for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
            let mut words = words.to_vec();
            words.push(sub.get_name().to_owned());
            found.push(words.clone());
            walk(sub, &words, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &[], &mut found);
    assert!(found.len() > 20, "the commands were not found: {found:?}");
    found
}

fn help(words: &[String]) -> Seen {
    let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
    args.push("--help");
    run(&std::env::temp_dir(), &args)
}

#[test]
fn every_command_explains_itself_with_an_example_that_names_it() {
    for words in all_commands() {
        let seen = help(&words);
        assert_eq!(seen.code, 0, "{words:?}: {}", seen.stderr);
        assert_eq!(seen.stderr, "", "{words:?}");
        let example = seen
            .stdout
            .split_once("Example:\n")
            .unwrap_or_else(|| panic!("{words:?} has no example:\n{}", seen.stdout))
            .1;
        // Options may stand between the words: `dbctl --env staging migrate list`.
        assert!(
            example
                .lines()
                .any(|line| line.contains("dbctl")
                    && words.iter().all(|w| line.contains(w.as_str()))),
            "{words:?}: no line of the example uses it:\n{example}"
        );
        let about = seen.stdout.lines().next().unwrap_or_default();
        assert!(about.len() > 10, "{words:?} does not say what it does");
    }
}

#[test]
fn examples_are_command_lines_that_dbctl_understands() {
    for words in all_commands() {
        let seen = help(&words);
        let example = seen.stdout.split_once("Example:\n").expect("an example").1;
        for line in example.lines().filter(|l| l.starts_with("  dbctl ")) {
            // What follows belongs to the shell.
            let line = line
                .split([';', '|', '>', '#'])
                .next()
                .expect("a first part");
            // Every second part stands between double quotes and is one word.
            let parts = line.split('"').enumerate();
            let parsed = Cli::command().try_get_matches_from(parts.flat_map(|(n, part)| {
                if n % 2 == 1 {
                    return vec![part];
                }
                let words = part.split_whitespace();
                words.map(|word| word.trim_matches('\'')).collect()
            }));
            if let Err(e) = parsed {
                let informs = matches!(
                    e.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                assert!(informs, "{words:?}: the example `{line}` is refused: {e}");
            }
        }
    }
}

#[test]
fn help_fits_a_terminal_of_eighty_columns() {
    let dir = folder();
    for words in std::iter::once(Vec::new()).chain(all_commands()) {
        let too_wide: Vec<_> = help(&words)
            .stdout
            .lines()
            .filter(|line| line.chars().count() > 80 && !line.starts_with("  dbctl "))
            .map(str::to_owned)
            .collect();
        assert!(too_wide.is_empty(), "{words:?}: {too_wide:#?}");
    }
    drop(dir);
}

#[test]
fn the_first_help_is_as_reviewed() {
    insta::assert_snapshot!(run(&std::env::temp_dir(), &["--help"]).stdout);
}

#[test]
fn a_mistyped_command_ends_with_2_and_a_suggestion() {
    let dir = folder();
    for (args, suggestion) in [
        (&["migrat"][..], "migrate"),
        (&["init", "--forma", "json"], "--format"),
        (&["completions", "bas"], "bash"),
    ] {
        let seen = run(dir.path(), args);
        assert_eq!(seen.code, Exit::Usage as i32, "{args:?}: {}", seen.stderr);
        assert!(
            seen.stderr.contains(suggestion),
            "{args:?}: {}",
            seen.stderr
        );
        assert_eq!(seen.stdout, "");
    }
    // No name begins like a flag, so that clap's advice to put one behind `--` is wrong.
    let seen = run(dir.path(), &["smoke", "--check", "nonce"]);
    assert_eq!(seen.code, Exit::Usage as i32);
    assert!(!seen.stderr.contains("tip:"), "{}", seen.stderr);
    assert!(
        seen.stderr.contains("smoke [OPTIONS] [CHECK]..."),
        "{}",
        seen.stderr
    );
    let seen = run(dir.path(), &[]);
    assert_eq!(seen.code, Exit::Usage as i32);
    assert!(seen.stderr.contains("Usage: dbctl"), "{}", seen.stderr);
}

#[test]
fn malformed_settings_end_with_3_at_line_and_column() {
    let dir = folder();
    std::fs::write(dir.path().join("dbctl.toml"), "[keys]\nkey_idd = \"a\"\n").expect("written");
    let human = run(dir.path(), &["runbook", "list"]);
    assert_eq!(human.code, Exit::Config as i32, "{}", human.stderr);
    assert!(human.stderr.contains("dbctl.toml:2:1"), "{}", human.stderr);
    assert!(human.stderr.contains("`key_idd`"), "{}", human.stderr);
    assert!(human.stderr.contains("`key_id`"), "{}", human.stderr);

    let json = run(dir.path(), &["--format", "json", "runbook", "list"]);
    assert_eq!(json.code, Exit::Config as i32);
    assert_eq!(json.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&json.stderr).expect("JSON on stderr");
    assert_eq!(error["schema"], "dbctl.error/1");
    assert_eq!(error["exit_code"], 3);
    assert_eq!(error["place"]["line"], 2);
    assert_eq!(error["place"]["column"], 1);
}

#[test]
fn a_settings_file_that_was_named_must_exist() {
    let dir = folder();
    let seen = run(dir.path(), &["--config", "nowhere.toml", "runbook", "list"]);
    assert_eq!(seen.code, Exit::Config as i32);
    assert!(seen.stderr.contains("nowhere.toml"), "{}", seen.stderr);
    assert!(seen.stderr.contains("dbctl init"), "{}", seen.stderr);
}

#[test]
fn an_unknown_environment_is_told_beside_the_known_ones() {
    let dir = folder();
    std::fs::write(
        dir.path().join("dbctl.toml"),
        "[environments.staging]\n[environments.production]\n",
    )
    .expect("written");
    for command in [&["toggles", "show"][..], &["preflight"], &["keys", "list"]] {
        let seen = run(dir.path(), &[&["--env", "prod"], command].concat());
        assert_eq!(
            seen.code,
            Exit::Config as i32,
            "{command:?}: {}",
            seen.stderr
        );
        assert!(
            seen.stderr.contains("`prod`"),
            "{command:?}: {}",
            seen.stderr
        );
        assert!(
            seen.stderr.contains("production, staging"),
            "{command:?}: {}",
            seen.stderr
        );
        assert!(!seen.stderr.contains("dbctl init"), "{}", seen.stderr);
    }
    let near = run(dir.path(), &["--env", "stagin", "smoke"]);
    assert!(
        near.stderr.contains("did you mean `staging`?"),
        "{}",
        near.stderr
    );
    // Somebody ran `dbctl init`, and has not filled it in.
    let file = dir.path().join("dbctl.toml");
    std::fs::write(&file, "[keys]\n").expect("written");
    let empty = run(dir.path(), &["--env", "staging", "smoke"]);
    assert_eq!(empty.code, Exit::Config as i32, "{}", empty.stderr);
    assert!(!empty.stderr.contains("dbctl init"), "{}", empty.stderr);
    assert!(
        empty
            .stderr
            .contains("fill in an [environments.NAME] of dbctl.toml"),
        "{}",
        empty.stderr
    );
    std::fs::remove_file(&file).expect("removed");
    let none = run(dir.path(), &["--env", "staging", "smoke"]);
    assert_eq!(none.code, Exit::Config as i32, "{}", none.stderr);
    assert!(none.stderr.contains("dbctl init"), "{}", none.stderr);
}

#[test]
fn a_password_on_the_command_line_is_refused_and_never_shown() {
    let dir = folder();
    for url in [
        "postgres://dbctl:hunter2@localhost/auth",
        "postgres://dbctl@localhost/auth?password=hunter2",
    ] {
        for format in ["human", "json"] {
            let seen = run(
                dir.path(),
                &["--format", format, "--database-url", url, "migrate", "list"],
            );
            assert_eq!(seen.code, Exit::Config as i32, "{}", seen.stderr);
            assert!(seen.stderr.contains("--password-file"), "{}", seen.stderr);
            assert!(!(seen.stdout + &seen.stderr).contains("hunter2"));
        }
    }
}

#[test]
fn a_database_that_is_not_there_ends_with_4() {
    let dir = folder();
    // A port that was free a moment ago and that nobody was told of.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let url = format!("postgres://dbctl@127.0.0.1:{port}/auth");
    let seen = run(dir.path(), &["--database-url", &url, "migrate", "list"]);
    assert_eq!(seen.code, Exit::Unavailable as i32, "{}", seen.stderr);
    assert!(seen.stderr.contains(&port.to_string()), "{}", seen.stderr);
    assert!(seen.stderr.contains("next:"), "{}", seen.stderr);
    assert!(!seen.stderr.contains("default"), "{}", seen.stderr);
}

#[test]
fn where_no_database_is_named_the_error_says_that_it_is_the_default() {
    let dir = folder();
    let mut command = dbctl(dir.path(), &["keys", "list"]);
    // Where somebody listens there, this turns us away; it names no database.
    command
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", "nowhere.pem");
    let seen = seen(command);
    assert_eq!(seen.code, Exit::Unavailable as i32, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("no database is named, and this is the default"),
        "{}",
        seen.stderr
    );
}

#[test]
fn a_reader_that_goes_away_ends_the_output_quietly() {
    let dir = folder();
    for args in [&["completions", "zsh"][..], &["man"], &["--help"]] {
        let mut child = dbctl(dir.path(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let mut stderr = String::new();
        let mut pipe = child.stderr.take().expect("a pipe");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("an end");
        assert_eq!((status.code(), &*stderr), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn the_documented_exit_statuses_are_those_of_the_program_and_of_its_help() {
    let expected: Vec<String> = Exit::ALL
        .iter()
        .map(|(exit, meaning)| format!("{} {meaning}", *exit as u8))
        .collect();

    let page = std::fs::read_to_string(package().join("docs/exit-codes.md")).expect("the page");
    let documented: Vec<String> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?
                .strip_suffix(" |")?
                .split_once(" | ")
        })
        .filter(|(code, _)| code.parse::<u8>().is_ok())
        .map(|(code, meaning)| format!("{code} {meaning}"))
        .collect();
    assert_eq!(documented, expected, "docs/exit-codes.md");

    let help = run(&std::env::temp_dir(), &["--help"]).stdout;
    let listed = help.split_once("Exit status:\n").expect("the list").1;
    let listed: Vec<String> = listed
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(listed, expected, "dbctl --help");
}

#[test]
fn the_version_is_that_of_the_package() {
    let seen = run(&std::env::temp_dir(), &["--version"]);
    assert_eq!(seen.code, 0);
    assert_eq!(
        seen.stdout,
        concat!("dbctl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn committed_completions_are_those_that_dbctl_generates() {
    for shell in Shell::ALL {
        let file = package().join("completions").join(shell.file_name());
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == shell.script(),
            "{} is not current; run: cargo run -- completions --dir completions",
            file.display()
        );
    }
}

#[test]
fn completions_go_to_stdout_or_into_a_folder() {
    let dir = folder();
    for shell in Shell::ALL {
        let name = format!("{shell:?}").to_lowercase();
        let seen = run(dir.path(), &["completions", &name]);
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        assert_eq!(seen.stdout, shell.script());
    }
    let seen = run(dir.path(), &["completions", "--dir", "out"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    for shell in Shell::ALL {
        let written = std::fs::read_to_string(dir.path().join("out").join(shell.file_name()));
        assert_eq!(written.expect("a script"), shell.script());
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = folder();
    let seen = run(dir.path(), &["man", "man1"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    for words in all_commands() {
        let page = dir.path().join(format!("man1/dbctl-{}.1", words.join("-")));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.contains("Example:"), "{}", page.display());
    }
    let root = std::fs::read_to_string(dir.path().join("man1/dbctl.1")).expect("the first page");
    assert_eq!(run(dir.path(), &["man"]).stdout, root);
    assert!(root.contains("Exit status:"));
}

#[test]
fn init_writes_a_beginning_that_works_at_once() {
    let dir = folder();
    let seen = run(dir.path(), &["init", "auth"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    insta::assert_snapshot!(seen.stdout);

    let begun = dir.path().join("auth");
    let runbook = run(&begun, &["runbook", "check", "runbooks/my-cutover.md"]);
    assert_eq!(runbook.code, 0, "{}{}", runbook.stdout, runbook.stderr);
    let migrations = run(&begun, &["migrate", "validate"]);
    assert_eq!(
        migrations.code, 0,
        "{}{}",
        migrations.stdout, migrations.stderr
    );
    assert!(
        migrations.stdout.contains("1 migration"),
        "{}",
        migrations.stdout
    );
}

#[test]
fn init_never_overwrites() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("migrations")).expect("a folder");
    let own = [
        ("dbctl.toml", "# broken [ on purpose"),
        ("migrations/V0001__mine.sql", "SELECT 1;"),
    ];
    for (file, text) in own {
        std::fs::write(dir.path().join(file), text).expect("written");
    }
    let seen = run(dir.path(), &["--format", "json", "init"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let answer: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(
        answer["written"],
        serde_json::json!(["./runbooks/my-cutover.md"])
    );
    assert_eq!(
        answer["left_alone"],
        serde_json::json!(["./dbctl.toml", "./migrations"])
    );
    for (file, text) in own {
        let now = std::fs::read_to_string(dir.path().join(file)).expect("still there");
        assert_eq!(now, text, "{file}");
    }
    let again = run(dir.path(), &["init"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stdout.contains("everything was there"),
        "{}",
        again.stdout
    );
}

#[test]
fn the_settings_of_init_stay_valid_when_everything_is_switched_on() {
    let template = template();
    let on: String = template
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            Some(_) | None => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let settings = load(&on).expect("valid settings");
    assert_eq!(settings.config.environments.len(), 2);
    load(&template).expect("valid settings as they are written");
}

#[test]
fn the_settings_of_init_explain_every_setting() {
    let template = template();
    for (table, names_of) in [
        ("", "environments"),
        ("[migrations]", "migrations"),
        ("[journal]", "journal"),
        ("[keys]", "keys"),
        ("[runbook]", "runbook"),
        ("[environments.a]", "an environment"),
        ("[environments.a.metrics]", "the metrics of an environment"),
        ("[[environments.a.targets]]", "a target"),
        ("[smoke]", "smoke checks"),
        ("[smoke.requests.issue]", "a request"),
    ] {
        // The parser's own complaint lists what it would take.
        let problem = load(&format!("{table}\nno_such_setting = 1\n")).expect_err("refused");
        let known = problem
            .cause()
            .split_once("expected")
            .map_or("", |(_, k)| k);
        for name in known.split('`').skip(1).step_by(2) {
            let explained = [
                format!("\n{name} = "),
                format!("\n#{name} = "),
                format!("\n[{name}]"),
                format!("\n#[{name}"),
                format!("\n#[[{name}"),
                format!(".{name}]"),
                format!(".{name}."),
            ];
            assert!(
                explained.iter().any(|e| template.contains(e)),
                "the settings that init writes do not show `{name}` of {names_of}"
            );
        }
    }
}

fn template() -> String {
    let dir = folder();
    let seen = run(dir.path(), &["init"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    std::fs::read_to_string(dir.path().join("dbctl.toml")).expect("the settings")
}

fn load(text: &str) -> dbctl::error::Result<Settings> {
    let dir = folder();
    let config: PathBuf = dir.path().join("dbctl.toml");
    std::fs::write(&config, text).expect("written");
    Settings::load(&GlobalArgs {
        config,
        env: None,
        database_url: None,
        password_file: None,
        format: Format::Human,
        no_input: true,
        verbose: 0,
        color: ColorChoice::Never,
    })
}

#[test]
fn the_readme_begins_with_exactly_two_commands() {
    let readme = std::fs::read_to_string(package().join("README.md")).expect("README.md");
    let blocks: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a block"))
        .collect();
    assert_eq!(blocks, ["cargo run -- demo\n", "tests/run\n"]);
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        assert!(package().join(link).exists(), "README.md links to {link}");
    }
}

#[test]
fn color_is_only_there_when_asked_for() {
    let dir = folder();
    let args = ["--config", "nowhere.toml", "runbook", "list"];
    let plain = run(dir.path(), &args);
    assert!(!plain.stderr.contains('\u{1b}'), "{:?}", plain.stderr);
    let mut command = dbctl(dir.path(), &["--color", "always"]);
    command.args(args);
    assert!(seen(command).stderr.contains('\u{1b}'));
}
