//! A proxy before a Postgres that loses what a test wants lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
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
    url: String,
    rules: Arc<Rules>,
}

#[derive(Default)]
struct Rules {
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
        Self {
            url: format!(
                "postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable",
                db.name
            ),
            rules,
        }
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
    let (mut from_server, mut to_client, swallowed) =
        (clone(&server), clone(&client), swallow.clone());
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            if swallowed.load(Ordering::SeqCst) || to_client.write_all(&bytes[..n]).is_err() {
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
            if to_server.write_all(&bytes[..n]).is_err() {
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
