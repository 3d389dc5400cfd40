//! A real PgBouncer before a test's Postgres, in transaction mode.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::postgres::{TestDb, free_port, give_to_postgres, is_root};

/// Gone with its value.
pub struct Pooler {
    child: Child,
    port: u16,
    database: String,
    _dir: tempfile::TempDir,
}

impl Pooler {
    /// Two server connections that take turns, so that whatever relies on having the same one
    /// again finds another.
    pub fn before(db: &TestDb) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dbctl-test-pgbouncer-")
            .tempdir()
            .expect("a temporary directory");
        let port = free_port();
        let users = dir.path().join("users.txt");
        let config = dir.path().join("pgbouncer.ini");
        std::fs::write(&users, "\"postgres\" \"\"\n\"auth_service\" \"\"\n").expect("written");
        std::fs::write(
            &config,
            format!(
                "[databases]\n\
                 {name} = host=127.0.0.1 port={server} dbname={name}\n\
                 [pgbouncer]\n\
                 listen_addr = 127.0.0.1\n\
                 listen_port = {port}\n\
                 unix_socket_dir =\n\
                 auth_type = trust\n\
                 auth_file = {users}\n\
                 pool_mode = transaction\n\
                 default_pool_size = 2\n\
                 server_round_robin = 1\n",
                name = db.name,
                server = db.server().port(),
                users = users.display(),
            ),
        )
        .expect("written");
        give_to_postgres(dir.path());
        let mut command = match Path::new(INSTALLED).exists() {
            true => Command::new(INSTALLED),
            false => Command::new("pgbouncer"),
        };
        if is_root() {
            // It refuses to be root.
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg("-q")
            .arg(&config)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("tests need PgBouncer: run `tests/run`, which installs it");
        let mut pooler = Self {
            child,
            port,
            database: db.name.clone(),
            _dir: dir,
        };
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return pooler;
            }
            let ended = pooler.child.try_wait().expect("a child");
            assert!(ended.is_none(), "PgBouncer ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("PgBouncer did not come up");
    }

    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    pub fn url_as(&self, role: &str) -> String {
        let (port, database) = (self.port, &self.database);
        format!("postgres://{role}@127.0.0.1:{port}/{database}?sslmode=disable")
    }
}

/// Where Debian puts it, which is not on everybody's PATH.
const INSTALLED: &str = "/usr/sbin/pgbouncer";

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
