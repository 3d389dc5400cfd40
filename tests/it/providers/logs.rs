//! Logs: lines that match, in the window, whatever is done to the file.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use dbctl::check::metrics::{Asker, Question, Said};
use dbctl::runbook::model::{Asked, Log};
use jiff::Timestamp;

use super::scene::{assert_says, dry, runbook, settle, start};
use crate::support::fleet::Fleet;

fn question(log: Log) -> Question {
    Question {
        asked: Asked::Log(log),
        targets: vec!["production/auth-1".into()],
        window: Duration::from_secs(30),
        interval: Duration::from_secs(1),
    }
}

fn of_file(file: &Path) -> Question {
    question(Log::File {
        file: file.to_str().expect("UTF-8").into(),
        pattern: "ERROR .*nonce".into(),
    })
}

fn append(file: &Path, text: &str) {
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)
        .expect("the log");
    file.write_all(text.as_bytes()).expect("written");
}

#[tokio::test]
async fn lines_are_counted_from_the_first_look_on_through_rotation_and_emptying() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("auth.log");
    let bad = "ERROR no nonce left\n";
    append(&file, &bad.repeat(5));
    let asker = Asker::default();
    let question = of_file(&file);
    let now = Timestamp::now();
    let ask = async |seconds| {
        asker
            .ask(&question, now + Duration::from_secs(seconds))
            .await
    };
    assert_eq!(ask(0).await, Said::Number(0.0), "what was there before");
    append(&file, &format!("INFO nonce\n{bad}ERROR other\n{bad}"));
    assert_eq!(ask(1).await, Said::Number(2.0));
    // A line that is not complete yet is no line.
    append(&file, "ERROR no no");
    assert_eq!(ask(2).await, Said::Number(2.0));
    append(&file, "nce\n");
    assert_eq!(ask(3).await, Said::Number(3.0));
    // Rotated: the rest of the old file and all of the new one.
    append(&file, bad);
    std::fs::rename(&file, dir.path().join("auth.log.1")).expect("rotated");
    match ask(4).await {
        Said::Silent(why) => assert!(why.contains("No such file"), "{why}"),
        other => panic!("{other:?}"),
    }
    append(&file, &bad.repeat(2));
    assert_eq!(ask(5).await, Said::Number(6.0));
    // Emptied in place.
    std::fs::write(&file, bad).expect("written");
    assert_eq!(ask(6).await, Said::Number(7.0));
    // The window goes on.
    assert_eq!(ask(32).await, Said::Number(5.0));
    assert_eq!(ask(60).await, Said::Number(0.0));
}

#[tokio::test]
async fn a_program_is_followed_for_as_long_as_it_writes_and_its_end_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "echo bad; echo good; echo bad; while ! [ -e stop ]; do sleep 0.05; done; exit 3";
    let command = format!("cd {} && {script}", dir.path().display());
    let asker = Asker::default();
    let question = question(Log::Program {
        run: vec!["sh".into(), "-c".into(), command],
        pattern: "^bad$".into(),
    });
    let mut said = asker.ask(&question, Timestamp::now()).await;
    for _ in 0..100 {
        if said == Said::Number(2.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        said = asker.ask(&question, Timestamp::now()).await;
    }
    assert_eq!(said, Said::Number(2.0));
    append(&dir.path().join("stop"), "");
    for _ in 0..100 {
        if let Said::Silent(why) = asker.ask(&question, Timestamp::now()).await {
            assert!(why.contains("sh ended with exit status: 3"), "{why}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("its end was not noticed");
}

#[test]
fn a_run_stops_at_what_stands_in_the_log() {
    let fleet = Fleet::local(&["auth-1"]);
    settle(&fleet, "");
    let gate =
        "measure = { log = { file = 'auth.log', pattern = '\"level\":\"error\"' } }\nmax = 1";
    let gone = "measure = { log = { run = ['sh', '-c', 'exit 1'], pattern = 'x' } }\nmax = 1";
    runbook(&fleet, &[("log", gate), ("gone", gone)]);
    assert_says(
        &dry(&fleet),
        4,
        &[
            "log: auth.log: No such file",
            "gone: sh ended with exit status: 1",
        ],
    );
    let file = fleet.path().join("auth.log");
    append(&file, "{\"level\":\"error\"}\n");
    runbook(&fleet, &[("log", gate)]);
    assert_says(&start(&fleet), 0, &[]);
    let seen = std::thread::scope(|scope| {
        let run = scope.spawn(|| start(&fleet));
        for _ in 0..100 {
            append(&file, "{\"level\":\"error\"}\n");
            std::thread::sleep(Duration::from_millis(50));
            if run.is_finished() {
                break;
            }
        }
        run.join().expect("it ends")
    });
    assert_says(&seen, 11, &["is above the limit 1"]);
    for (rest, why) in [
        (
            "measure = { log = { file = 'a', pattern = '(' } }\nmax = 1",
            "is not a regular expression",
        ),
        (
            "measure = { log = { file = 'a', run = ['b'], pattern = 'c' } }\nmax = 1",
            "stands beside `run`",
        ),
        (
            "measure = { log = { pattern = 'c' } }\nmax = 1",
            "lacks `file`",
        ),
    ] {
        runbook(&fleet, &[("gate", rest)]);
        assert_says(&fleet.run(&["runbook", "check", "watch.md"]), 3, &[why]);
    }
}
