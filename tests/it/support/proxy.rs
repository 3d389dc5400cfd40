//! A proxy before a Postgres that loses what a test wants lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::postgres::TestDb;

/// What happens to a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It is carried out, and its acknowledgement is lost together with the connection.
    Reply,
    /// It never reaches the server; the connection is gone.
    Commit,
}

pub struct Proxy {
    port: u16,
    database: String,
    url: String,
    rules: Arc<Rules>,
}

/// What the line does to everything that goes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Good,
    /// Each piece takes that long.
    Slow(Duration),
    /// What is sent never arrives, and nobody is told.
    Swallows,
}

#[derive(Default)]
struct Rules {
    line: Mutex<Option<Line>>,
    /// Bytes that still go through until a connection is cut in the middle of them, and how many
    /// more each time after that; nothing is cut below 1 of the second.
    bytes_left: AtomicI64,
    cut_step: AtomicI64,
    /// COMMITs until the next one that is lost; 0 for none.
    left: AtomicU32,
    /// After a loss the count begins anew with this; 0 for once.
    every: AtomicU32,
    reply: AtomicBool,
    losses: AtomicU32,
    held: OnceLock<Held>,
}

/// Requests with this text in them wait for so long.
type Held = (&'static str, Box<dyn Fn() -> Duration + Send + Sync>);

impl Proxy {
    pub fn before(db: &TestDb) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let rules = Arc::new(Rules::default());
        let (server, for_all) = (db.server().port(), rules.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    carry(client, server, for_all.clone());
                }
            }
        });
        let mut proxy = Self {
            port,
            database: db.name.clone(),
            url: String::new(),
            rules,
        };
        proxy.url = proxy.url_as("postgres");
        proxy
    }

    pub fn url_as(&self, role: &str) -> String {
        let (port, database) = (self.port, &self.database);
        format!("postgres://{role}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    pub fn line(&self, line: Line) {
        *self.rules.line.lock().expect("not poisoned") = Some(line);
    }

    /// Cuts a connection after so many bytes, and the next one `step` bytes later than the first
    /// was cut, and so on: each time in the middle of another message. 0 ends it.
    pub fn cut_every(&self, step: u32) {
        let step = i64::from(step);
        self.rules.bytes_left.store(step, Ordering::SeqCst);
        self.rules.cut_step.store(step, Ordering::SeqCst);
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next COMMIT is lost.
    pub fn lose(&self, what: Lost) {
        self.rules
            .reply
            .store(what == Lost::Reply, Ordering::SeqCst);
        self.rules.left.store(1, Ordering::SeqCst);
    }

    /// Each `n`th COMMIT is lost, in turn this way and that.
    pub fn lose_every(&self, n: u32) {
        self.rules.every.store(n, Ordering::SeqCst);
        self.rules.left.store(n, Ordering::SeqCst);
    }

    /// Requests with `text` in them wait for as long as `held` says when they come.
    pub fn hold(&self, text: &'static str, held: impl Fn() -> Duration + Send + Sync + 'static) {
        let set = self.rules.held.set((text, Box::new(held)));
        assert!(set.is_ok(), "one at a time");
    }

    pub fn losses(&self) -> u32 {
        self.rules.losses.load(Ordering::SeqCst)
    }
}

impl Rules {
    fn wait(&self, bytes: &[u8]) {
        let Some((text, held)) = self.held.get() else {
            return;
        };
        let text = text.as_bytes();
        if bytes.windows(text.len()).any(|w| w == text) {
            std::thread::sleep(held());
        }
    }

    /// How many of these bytes go on; fewer than all of them: the connection is cut there.
    fn through(&self, bytes: usize) -> usize {
        let step = self.cut_step.load(Ordering::SeqCst);
        if step < 1 {
            return bytes;
        }
        let size = i64::try_from(bytes).expect("a small piece");
        let left = self.bytes_left.fetch_sub(size, Ordering::SeqCst);
        if left >= size || left < 0 {
            return bytes;
        }
        // Another place in the conversation each time.
        let longer = step + 37;
        self.cut_step.store(longer, Ordering::SeqCst);
        self.bytes_left.store(longer, Ordering::SeqCst);
        self.losses.fetch_add(1, Ordering::SeqCst);
        usize::try_from(left).expect("not negative")
    }

    /// Waits as the line makes one wait; false where it swallows what was sent.
    fn passes(&self) -> bool {
        let line = *self.line.lock().expect("not poisoned");
        match line.unwrap_or(Line::Good) {
            Line::Good => true,
            Line::Slow(by) => {
                std::thread::sleep(by);
                true
            }
            Line::Swallows => false,
        }
    }

    fn loses(&self) -> Option<Lost> {
        let counted = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if counted != Ok(1) {
            return None;
        }
        self.losses.fetch_add(1, Ordering::SeqCst);
        let every = self.every.load(Ordering::SeqCst);
        self.left.store(every, Ordering::SeqCst);
        let reply = match every {
            0 => self.reply.load(Ordering::SeqCst),
            _ => self.reply.fetch_not(Ordering::SeqCst),
        };
        Some(if reply { Lost::Reply } else { Lost::Commit })
    }
}

fn carry(client: TcpStream, server: TcpStream, rules: Arc<Rules>) {
    let clone = |s: &TcpStream| s.try_clone().expect("a socket");
    let swallow = Arc::new(AtomicBool::new(false));
    let for_replies = rules.clone();
    let (mut from_server, mut to_client, swallowed) =
        (clone(&server), clone(&client), swallow.clone());
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            if !for_replies.passes() {
                continue;
            }
            let through = for_replies.through(n);
            if swallowed.load(Ordering::SeqCst)
                || to_client.write_all(&bytes[..through]).is_err()
                || through < n
            {
                break;
            }
        }
        end(&from_server, &to_client);
    });
    let (mut from_client, mut to_server) = (client, server);
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_client.read(&mut bytes) {
            rules.wait(&bytes[..n]);
            let commits = bytes[..n].windows(7).any(|w| w == b"COMMIT\0");
            match commits.then(|| rules.loses()).flatten() {
                Some(Lost::Commit) => break,
                Some(Lost::Reply) => swallow.store(true, Ordering::SeqCst),
                None => {}
            }
            if !rules.passes() {
                continue;
            }
            let through = rules.through(n);
            if to_server.write_all(&bytes[..through]).is_err() || through < n {
                break;
            }
            if swallow.load(Ordering::SeqCst) {
                // The other direction ends it once the server has answered.
                return;
            }
        }
        end(&from_client, &to_server);
    });
}

fn end(a: &TcpStream, b: &TcpStream) {
    let _ = a.shutdown(Shutdown::Both);
    let _ = b.shutdown(Shutdown::Both);
}
