//! What is under way when something fails.

use std::fmt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::ground::{BESIDE, Ground};
use crate::support::cli::dbctl;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Reserve, revoke, check, decide: what the service does all the time.
    Serve,
    Rotate,
    Cutover,
    Rollback,
    Purge,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Serve => "reserve, revoke, check, decide",
            Work::Rotate => "rotate",
            Work::Cutover => "cutover",
            Work::Rollback => "rollback",
            Work::Purge => "purge",
        })
    }
}

impl Work {
    pub const ALL: [Work; 5] = [
        Work::Serve,
        Work::Rotate,
        Work::Cutover,
        Work::Rollback,
        Work::Purge,
    ];

    pub fn is_a_command(self) -> bool {
        self != Work::Serve
    }

    /// What an operator types, again and again until it is done.
    fn command(self) -> Option<Vec<&'static str>> {
        let toggles = |value: &'static str, nonces: &'static str| {
            vec!["toggles", "set", value, nonces, "--confirm", "production"]
        };
        match self {
            Work::Serve => None,
            Work::Rotate => Some(vec!["--env", "production", "keys", "rotate"]),
            Work::Cutover => Some(toggles(
                "SECURITY_RUNTIME_MODE=postgres",
                "SECURITY_NONCE_STORE_MODE=postgres",
            )),
            Work::Rollback => Some(toggles(
                "SECURITY_RUNTIME_MODE=memory",
                "SECURITY_NONCE_STORE_MODE=file",
            )),
            Work::Purge => Some(vec![
                "--env",
                "production",
                "security",
                "purge",
                "--batch",
                "50",
            ]),
        }
    }

    /// A rotation is done step by step; here until the new version signs. To wait until the tokens of
    /// the old one have expired would take hours.
    fn is_done(self, ground: &Ground) -> bool {
        let signing = "SELECT version FROM security.signing_key_versions WHERE state = 'current'";
        match self {
            Work::Rotate => ground.backed.db.psql(signing) == "2",
            Work::Serve | Work::Cutover | Work::Rollback | Work::Purge => true,
        }
    }

    pub fn begin(self, ground: &Ground) -> Under {
        let mut under = Under {
            work: self,
            child: None,
            tries: 0,
            said: String::new(),
        };
        under.again(ground);
        under
    }
}

/// A command under way.
pub struct Under {
    work: Work,
    child: Option<Child>,
    tries: u32,
    said: String,
}

impl Under {
    fn again(&mut self, ground: &Ground) {
        let Some(args) = self.work.command() else {
            return;
        };
        self.tries += 1;
        let child = dbctl(ground.fleet.path(), &args)
            .envs(ground.clock())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// Waits for the moment from which nothing is accepted until the switch is done or given up.
    pub fn until_fenced(&mut self, ground: &Ground) {
        let child = self.child.as_mut().expect("a command");
        let fenced = || {
            let health = ground.fleet.with(BESIDE, |i| i.get("/healthz").body);
            health["fenced"] == true
        };
        while !fenced() {
            let over = child.try_wait().expect("a child");
            assert!(over.is_none(), "the {} was over too early", self.work);
        }
    }

    /// SIGKILL, if it still runs.
    pub fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }

    /// Repeats it until it says that it is done. How often it was begun; what it said last where
    /// it never got there.
    pub fn finish(mut self, ground: &Ground) -> Result<u32, String> {
        while let Some(mut child) = self.child.take() {
            let give_up = Instant::now() + Duration::from_secs(60);
            while child.try_wait().expect("a child").is_none() {
                if Instant::now() > give_up {
                    let _ = child.kill();
                    self.said = "P11: it hangs: nothing for a minute".into();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let output = child.wait_with_output().expect("it ended");
            if output.status.success() && self.work.is_done(ground) {
                return Ok(self.tries);
            }
            self.said += &String::from_utf8_lossy(&output.stderr);
            if self.tries == 12 {
                return Err(self.said);
            }
            std::thread::sleep(Duration::from_millis(500));
            self.again(ground);
        }
        Ok(0)
    }
}
