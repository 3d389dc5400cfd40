//! A fleet with traffic, and runbooks that only watch it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::cli::Seen;
use crate::support::fleet::Fleet;

pub const ERRORS: &str = "{ ratio = { bad = 'auth_requests_total{outcome=\"error\"}', total = \"auth_requests_total\" } }";

/// A bake of auth-1 with these gates, each `id` and the rest of its binding.
pub fn runbook(fleet: &Fleet, gates: &[(&str, &str)]) {
    let ids: Vec<String> = gates.iter().map(|(id, _)| format!("\"{id}\"")).collect();
    let mut text = format!(
        "# Watch\n\n## Bake\n\n```toml step\nid = \"bake\"\nkind = \"bake\"\nphase = \"canary\"\n\
         env = \"production\"\non = [\"canary\"]\nfor = \"3s\"\ngates = [{}]\n```\n",
        ids.join(", ")
    );
    for (id, rest) in gates {
        text += &format!(
            "\n### Gate {id}\n\n```toml gate\nid = \"{id}\"\ninterval = \"500ms\"\nwindow = \"3s\"\n\
             error_limit = 3\n{rest}\n```\n"
        );
    }
    std::fs::write(fleet.path().join("watch.md"), text).expect("a runbook");
}

/// Settings in front of those of the fleet.
pub fn settle(fleet: &Fleet, metrics: &str) {
    fleet.add_settings(&format!("[runbook]\npath = \"watch.md\"\n\n{metrics}"));
}

pub fn dry(fleet: &Fleet) -> Seen {
    fleet.run(&["rollout", "plan", "--dry-run"])
}

pub fn start(fleet: &Fleet) -> Seen {
    fleet.run(&["rollout", "start", "--no-input", "--confirm", "production"])
}

/// Does something while every instance has traffic.
pub fn with_traffic<T>(fleet: &Fleet, act: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for name in fleet.names() {
                    fleet.with(name, |i| i.issue("somebody"));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let _ends = Ends(&over);
        act()
    })
}

/// Also when `act` panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a person reads, without the line breaks.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn assert_says(seen: &Seen, code: i32, what: &[&str]) {
    let all = words(&format!("{} {}", seen.stdout, seen.stderr));
    assert_eq!(seen.code, code, "{}\n{}", seen.stdout, seen.stderr);
    for one in what {
        assert!(
            all.contains(one),
            "not said: {one}\n{}\n{}",
            seen.stdout,
            seen.stderr
        );
    }
}
