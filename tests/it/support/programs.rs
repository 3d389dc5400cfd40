//! A runbook of programs whose effects can be counted.

use std::path::Path;

const STEPS: usize = 8;

/// The step of [`with_a_slow_one`] that takes its time.
const SLOW: usize = 3;

/// A folder with a runbook of programs that each leave one line: a line that stands there twice
/// is an effect that happened twice.
pub fn programs() -> tempfile::TempDir {
    folder(|n| format!("sleep 0.02; echo {n} >> done; sleep 0.02"))
}

/// The same, but one program says by the file `begun` that it began, and has its effect later.
pub fn with_a_slow_one() -> tempfile::TempDir {
    folder(|n| match n {
        SLOW => format!("touch begun; sleep 2; echo {n} >> done"),
        _ => format!("echo {n} >> done"),
    })
}

fn folder(script: impl Fn(usize) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut runbook = String::from("# Programs\n\n## Steps\n\nEach leaves a line.\n\n");
    for n in 0..STEPS {
        let script = script(n);
        runbook += &format!(
            "```toml step\nid = \"step-{n}\"\nkind = \"command\"\nphase = \"staging\"\nenv = \"staging\"\n\
             run = [\"sh\", \"-c\", \"{script}\"]\n\
             probe = [\"grep\", \"-qx\", \"{n}\", \"done\"]\ntimeout = \"20s\"\n```\n\n"
        );
    }
    std::fs::write(dir.path().join("programs.md"), runbook).expect("a runbook");
    std::fs::write(dir.path().join("done"), "").expect("an empty file");
    let settings = "[runbook]\npath = \"programs.md\"\n\n[environments.staging]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    dir
}

/// How many programs had their effect.
pub fn lines(dir: &Path) -> usize {
    let text = std::fs::read_to_string(dir.join("done")).expect("the programs' file");
    text.lines().count()
}

pub fn every_line_once(dir: &Path) {
    let text = std::fs::read_to_string(dir.join("done")).expect("the programs' file");
    let expected: String = (0..STEPS).map(|n| format!("{n}\n")).collect();
    assert_eq!(text, expected, "an effect was lost, or happened twice");
}

pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
