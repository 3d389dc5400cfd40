//! The shape of the house, checked by reading the source: which room calls which, who prints,
//! what must stay pure, what must not grow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source file, its path relative to the package.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code, with their numbers: comments are left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(i, line)| (i + 1, line.split(" // ").next().unwrap_or(line)))
    }

    /// Complains about every line of code that holds one of `tokens`.
    fn lines_with<'a>(&'a self, tokens: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
        self.code().filter_map(move |(number, line)| {
            let token = tokens.iter().find(|t| holds_token(line, t))?;
            Some(format!(
                "{}:{number}: `{token}` in: {}",
                self.path,
                line.trim()
            ))
        })
    }

    /// The room that it belongs to: the folder or file right under `src`.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").expect("a source file");
        inside
            .split('/')
            .next()
            .expect("a first part")
            .trim_end_matches(".rs")
    }
}

/// Whether `token` stands in `line` and is not the end of a longer word.
fn holds_token(line: &str, token: &str) -> bool {
    line.match_indices(token).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `folder`.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![package().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(Source {
                    text: std::fs::read_to_string(&path).expect("readable source"),
                    path: relative(&path),
                });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no source");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn relative(path: &Path) -> String {
    let parts: Vec<_> = path
        .strip_prefix(package())
        .expect("inside the package")
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    parts.join("/")
}

fn none(what: &str, complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "{what}:\n{}", complaints.join("\n"));
}

/// Parts of the library that every room may use.
const COMMON: [&str; 4] = ["error", "settings", "durable", "contract"];

/// The table at the top of `src/lib.rs`: which rooms a room may call.
fn direction() -> BTreeMap<String, BTreeSet<String>> {
    let lib = std::fs::read_to_string(package().join("src/lib.rs")).expect("src/lib.rs");
    let backquoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let table: BTreeMap<_, _> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`"))
        .map(|row| {
            let (room, rest) = row.split_once("`]").expect("a room in the first column");
            let cell = rest.trim_end_matches([' ', '|']).rsplit('|').next();
            (room.to_owned(), backquoted(cell.expect("a last column")))
        })
        .collect();
    assert!(
        table.len() > 10,
        "the table of rooms in src/lib.rs was not found"
    );
    table
}

/// The rooms that a line names as `crate::room` or `crate::{room, …}`.
fn rooms_named(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        match rest.strip_prefix('{') {
            None => rooms.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth < 0 || (c == ',' && depth == 0) {
                        rooms.push(word(&group[start..i]));
                        start = i + 1;
                    }
                    if depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn a_room_calls_only_the_rooms_that_the_map_allows() {
    let table = direction();
    let mut complaints = Vec::new();
    for source in sources("src") {
        let room = source.room();
        let everything = matches!(room, "lib" | "main" | "commands");
        if everything || COMMON.contains(&room) && room != "settings" {
            continue;
        }
        let allowed = table
            .get(room)
            .unwrap_or_else(|| panic!("src/lib.rs has no row for `{room}`"));
        for (number, line) in source.code() {
            for named in rooms_named(line) {
                if named != room && !COMMON.contains(&&*named) && !allowed.contains(&named) {
                    complaints.push(format!(
                        "{}:{number}: `{room}` must not call `{named}`; the table in src/lib.rs allows {allowed:?}",
                        source.path
                    ));
                }
            }
        }
    }
    none("calls against the direction", complaints);
}

#[test]
fn the_map_of_rooms_has_no_circle() {
    let table = direction();
    // Settings are read by all and know the types that they are made of.
    let mut left: BTreeMap<_, _> = table
        .iter()
        .filter(|(room, _)| *room != "settings")
        .map(|(room, calls)| {
            let calls: BTreeSet<_> = calls.iter().filter(|c| table.contains_key(*c)).collect();
            (room, calls)
        })
        .collect();
    while let Some(free) = left
        .iter()
        .find(|(_, calls)| !calls.iter().any(|c| left.contains_key(c)))
        .map(|(room, _)| *room)
    {
        left.remove(free);
    }
    assert!(left.is_empty(), "these rooms call each other: {left:?}");
}

#[test]
fn the_map_reads_grouped_imports_too() {
    assert_eq!(rooms_named("use crate::pg::Database;"), ["pg"]);
    assert_eq!(
        rooms_named("use crate::{keys::{a, b}, pg, ui::Ui};"),
        ["keys", "pg", "ui"]
    );
    assert_eq!(rooms_named("x(crate::ui::a, crate::pg::b)"), ["ui", "pg"]);
}

#[test]
fn only_the_ui_prints_and_asks() {
    let tokens = [
        "print!(",
        "println!(",
        "eprint!(",
        "eprintln!(",
        "io::stdout",
        "io::stderr",
        "io::stdin",
    ];
    // The one other way out: what `-v` shows.
    let known = "with_writer(std::io::stderr)";
    none(
        "printing outside of src/ui",
        sources("src")
            .iter()
            .filter(|s| s.room() != "ui")
            .flat_map(|s| s.lines_with(&tokens))
            .filter(|line| !line.contains(known)),
    );
}

#[test]
fn a_statement_has_no_name_and_a_transaction_no_gap() {
    // See src/pg/query.rs and Database::begin.
    none(
        "not as a transaction pooler can bear it; use pg::query and Database::begin",
        sources("src")
            .iter()
            .filter(|s| s.room() != "pg" && !s.path.starts_with("src/rollout/journal/sqlite"))
            .flat_map(|s| {
                s.lines_with(&[
                    "sqlx::query(",
                    "sqlx::query_",
                    "pool().begin",
                    "pool().acquire",
                ])
            }),
    );
}

#[test]
fn no_pool_has_a_task_that_may_spin_for_ever() {
    // See Database::from_parts: sqlx begins that task where one of the two is set, and both are
    // by default.
    for path in ["src/pg/connect.rs", "src/rollout/journal/sqlite.rs"] {
        let text = std::fs::read_to_string(package().join(path)).expect("a source");
        for unset in [".idle_timeout(None)", ".max_lifetime(None)"] {
            assert!(text.contains(unset), "{path}: a pool without {unset}");
        }
    }
    none(
        "a pool made elsewhere",
        sources("src")
            .iter()
            .filter(|s| !["src/pg/connect.rs", "src/rollout/journal/sqlite.rs"].contains(&&*s.path))
            .flat_map(|s| s.lines_with(&["PoolOptions::", "Pool::connect"])),
    );
    let database = dbctl::pg::Database::from_url("the test", "postgres://nobody@127.0.0.1/none");
    let database = database.expect("a URL");
    let options = database.pool().options();
    assert_eq!(
        (options.get_idle_timeout(), options.get_max_lifetime()),
        (None, None)
    );
}

#[test]
fn only_main_ends_the_process() {
    none(
        "ending the process anywhere",
        sources("src")
            .iter()
            .flat_map(|s| s.lines_with(&["process::exit", "process::abort"])),
    );
}

#[test]
fn the_machine_of_a_rollout_is_pure() {
    let tokens = [
        "tokio",
        "sqlx",
        "reqwest",
        "tracing",
        "rand",
        "uuid",
        "fs::",
        "net::",
        "env::",
        "io::",
        "process::",
        "thread::",
        "SystemTime",
        "Instant",
        "now()",
        "print!(",
        "println!(",
        "eprintln!(",
        "async ",
        ".await",
        "Mutex",
        "RefCell",
        "Cell<",
    ];
    none(
        "the machine touches the world",
        machine().iter().flat_map(|s| s.lines_with(&tokens)),
    );
}

#[test]
fn the_machine_of_a_rollout_names_every_case() {
    none(
        "a catch-all arm hides the next variant",
        machine().iter().flat_map(|s| s.lines_with(&["_ =>"])),
    );
}

fn machine() -> Vec<Source> {
    let machine: Vec<_> = sources("src")
        .into_iter()
        .filter(|s| s.path.starts_with("src/rollout/machine"))
        .collect();
    assert!(!machine.is_empty(), "src/rollout/machine is not there");
    machine
}

#[test]
fn nothing_is_left_unfinished_or_unexplained() {
    let tokens = [
        "todo!(",
        "unimplemented!(",
        "dbg!(",
        "FIXME",
        "\"under construction\"",
    ];
    none(
        "unfinished",
        sources("src").iter().flat_map(|s| s.lines_with(&tokens)),
    );
    none(
        "a panic without a reason; say why it cannot happen with expect()",
        sources("src").iter().flat_map(|s| {
            s.code()
                .filter(|(_, line)| line.contains(".unwrap()"))
                .map(|(n, line)| format!("{}:{n}: {}", s.path, line.trim()))
                .collect::<Vec<_>>()
        }),
    );
    none(
        "a test that does not run",
        sources("tests")
            .iter()
            .flat_map(|s| s.lines_with(&[concat!("#[", "ignore")])),
    );
}

#[test]
fn files_stay_short_enough_to_read() {
    none(
        "over 600 lines",
        ["src", "tests"]
            .into_iter()
            .flat_map(sources)
            .map(|s| (s.text.lines().count(), s.path))
            .filter(|(lines, _)| *lines > 600)
            .map(|(lines, path)| format!("{path}: {lines} lines")),
    );
    let main = std::fs::read_to_string(package().join("src/main.rs")).expect("src/main.rs");
    assert!(
        main.lines().count() < 40,
        "src/main.rs only parses and runs"
    );
}

#[test]
fn every_file_is_in_a_module_list() {
    // An unlisted file compiles to nothing, and its tests never run.
    let mut complaints = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let path = PathBuf::from(&source.path);
        let stem = path.file_stem().expect("a name").to_string_lossy();
        let folder = path.parent().expect("a folder");
        if matches!(
            &*source.path,
            "src/lib.rs" | "src/main.rs" | "tests/it/main.rs"
        ) {
            continue;
        }
        // `a/mod.rs` is listed one folder up.
        let (name, folder) = match &*stem {
            "mod" => (
                folder.file_name().expect("a name").to_string_lossy(),
                folder.parent().expect("a folder"),
            ),
            _ => (stem, folder),
        };
        let listed = ["mod.rs", "lib.rs", "main.rs"]
            .map(|list| folder.join(list))
            .into_iter()
            .chain([folder.with_extension("rs")])
            .filter_map(|list| std::fs::read_to_string(package().join(list)).ok())
            .any(|list| {
                list.lines().any(|line| {
                    line.trim_start()
                        .trim_start_matches("pub(crate) ")
                        .trim_start_matches("pub(super) ")
                        .trim_start_matches("pub ")
                        == format!("mod {name};")
                })
            });
        if !listed {
            complaints.push(format!("{}: no `mod {name};` beside it", source.path));
        }
    }
    none("forgotten files", complaints);
}

#[test]
fn every_dependency_has_its_line_of_reasons() {
    let manifest = std::fs::read_to_string(package().join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    let mut used = BTreeSet::new();
    let mut collect = |table: Option<&toml::Value>| {
        let names = table.and_then(toml::Value::as_table).into_iter().flatten();
        used.extend(names.map(|(name, _)| name.clone()));
    };
    collect(manifest.get("dependencies"));
    collect(manifest.get("dev-dependencies"));
    for target in manifest["target"].as_table().expect("targets").values() {
        collect(target.get("dependencies"));
    }

    let text = std::fs::read_to_string(package().join("docs/dependencies.md")).expect("the list");
    let documented: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(used, documented, "Cargo.toml against docs/dependencies.md");
}

#[test]
fn every_test_that_the_page_on_safety_names_is_there() {
    let page = std::fs::read_to_string(package().join("docs/safety.md")).expect("the page");
    let tests: BTreeSet<String> = sources("tests")
        .into_iter()
        .flat_map(|source| {
            let of = |line: &str| {
                let rest = line
                    .trim_start()
                    .trim_start_matches("async ")
                    .strip_prefix("fn ")?;
                Some(rest.split('(').next()?.to_owned())
            };
            source.text.lines().filter_map(of).collect::<Vec<_>>()
        })
        .collect();
    let named = page.split('`').skip(1).step_by(2).filter_map(|code| {
        let (module, name) = code.rsplit_once("::")?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        (module.chars().all(plain) && name.chars().all(plain)).then_some(name)
    });
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 20, "the page names its tests");
    let complaints = named
        .into_iter()
        .filter(|name| !tests.contains(*name))
        .map(|name| format!("docs/safety.md: no test is called {name}"));
    none("tests that are not there", complaints);
}

/// The defects that were put back to see their tests fail: name and patch.
fn patches() -> Vec<(String, String)> {
    let folder = package().join("tests/faults-put-back");
    let mut patches: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of the patches")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a readable patch");
            (name.into_owned(), text)
        })
        .collect();
    patches.sort();
    patches
}

#[test]
fn every_defect_that_was_found_can_still_be_put_back() {
    for (name, _) in patches() {
        let checked = std::process::Command::new("git")
            .args(["apply", "--check"])
            .arg(format!("tests/faults-put-back/{name}.patch"))
            .current_dir(package())
            .output();
        let Ok(checked) = checked else {
            eprintln!("not looked at: git is not here");
            return;
        };
        assert!(
            checked.status.success(),
            "tests/faults-put-back/{name}.patch does not apply any more, and its defect can no longer be shown.\n\
             To renew it: put the fault back by hand, keep the first lines of the patch, and follow them by what\n\
             `git diff` says; take it back; `tests/defects {name}` then shows that the test notices it.\n{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[test]
fn every_defect_is_on_the_page_on_safety_with_its_test_and_its_command() {
    let page = std::fs::read_to_string(package().join("docs/safety.md")).expect("the page");
    let told: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.strip_prefix("tests/defects "))
        .collect();
    let patches = patches();
    let kept: BTreeSet<&str> = patches.iter().map(|(name, _)| name.as_str()).collect();
    let differs =
        |name: &&str| format!("{name}: on the page and among the patches it must be both");
    none(
        "docs/safety.md",
        told.symmetric_difference(&kept).map(differs),
    );
    let of = |text: &str, what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what));
        line.map(str::to_owned)
    };
    let complaints = patches.iter().filter_map(|(name, text)| {
        let row = page
            .lines()
            .find(|line| line.contains(&format!("`tests/defects {name}`")))?;
        let said = ["Test: ", "Fix: "].map(|what| of(text, what).unwrap_or_default());
        let there = said.iter().all(|said| row.contains(&format!("`{said}`")));
        (!there).then(|| format!("{name}: its row does not say {}", said.join(" and ")))
    });
    none("docs/safety.md", complaints);
}
