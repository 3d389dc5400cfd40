//! Records that wait in a local file for a Postgres that does not take them.
//!
//! One JSON line for each, appended and synced. What a crash can leave behind is one torn last
//! line, which is cut off. A line that cannot be read otherwise is passed over and counted: it
//! costs one record, and must not keep the service from starting. Lines go once Postgres has them;
//! a crash before that sends them again, which their own ids make harmless.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::Record;

/// Name of the file in the state directory.
pub const SPOOL_FILE: &str = "decisions.jsonl";

/// From so much on, what has been sent is cut away although more waits.
const COMPACT: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    max_bytes: u64,
    /// Everything before it is whole lines on disk.
    end: u64,
    /// Everything before it is in Postgres.
    sent: u64,
    /// How many lines lie between the two.
    waiting: u64,
}

/// Records from the beginning of the spool.
#[derive(Debug)]
pub(super) struct Front {
    pub records: Vec<Record>,
    /// Lines that could not be read.
    pub damaged: u64,
    lines: u64,
    end: u64,
}

impl Spool {
    /// Opens the file of a state directory, or begins one.
    pub fn open(state_dir: &Path, max_bytes: u64) -> io::Result<Self> {
        let path = state_dir.join(SPOOL_FILE);
        let file = open(&path)?;
        let mut lines = BufReader::new(&file);
        let (mut end, mut waiting, mut line) = (0, 0, Vec::new());
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)? as u64;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            end += read;
            waiting += 1;
        }
        file.set_len(end)?;
        file.sync_all()?;
        crate::durable::sync_dir(state_dir)?;
        Ok(Self {
            path,
            file,
            max_bytes,
            end,
            sent: 0,
            waiting,
        })
    }

    /// How many records wait.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Appends records, as many as fit; they are on disk when it returns. Returns how many.
    ///
    /// # Errors
    /// None of them is kept: the disk is full, or it could not be written. What was written in part
    /// is cut off again.
    pub fn append(&mut self, records: &[Record]) -> io::Result<usize> {
        let room = usize::try_from(self.max_bytes.saturating_sub(self.end - self.sent));
        let room = room.unwrap_or(usize::MAX);
        let (mut text, mut fitting) = (Vec::new(), 0);
        for record in records {
            let before = text.len();
            serde_json::to_writer(&mut text, record)?;
            text.push(b'\n');
            if text.len() > room {
                text.truncate(before);
                break;
            }
            fitting += 1;
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&text))
            .and_then(|()| self.file.sync_data());
        if let Err(e) = written {
            // A failed fsync is not retried: what was appended does not count, and goes.
            self.file.set_len(self.end)?;
            return Err(e);
        }
        self.end += text.len() as u64;
        self.waiting += fitting as u64;
        Ok(fitting)
    }

    /// The oldest records, at most `at_most`.
    pub fn front(&mut self, at_most: usize) -> io::Result<Front> {
        self.file.seek(SeekFrom::Start(self.sent))?;
        let mut lines = BufReader::new((&self.file).take(self.end - self.sent));
        let mut front = Front {
            records: Vec::with_capacity(at_most),
            damaged: 0,
            lines: 0,
            end: self.sent,
        };
        let mut line = Vec::new();
        while front.records.len() < at_most {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                break;
            }
            front.end += read;
            front.lines += 1;
            match serde_json::from_slice(&line) {
                Ok(record) => front.records.push(record),
                Err(_) => front.damaged += 1,
            }
        }
        Ok(front)
    }

    /// Postgres has these; they go.
    pub fn sent(&mut self, front: &Front) -> io::Result<()> {
        self.sent = front.end;
        self.waiting = self.waiting.saturating_sub(front.lines);
        if self.sent == self.end {
            (self.sent, self.end, self.waiting) = (0, 0, 0);
            self.file.set_len(0)?;
            return self.file.sync_data();
        }
        if self.sent < COMPACT || self.sent < self.end / 2 {
            return Ok(());
        }
        let mut rest = Vec::new();
        self.file.seek(SeekFrom::Start(self.sent))?;
        (&self.file)
            .take(self.end - self.sent)
            .read_to_end(&mut rest)?;
        crate::durable::write(&self.path, &rest)?;
        self.file = open(&self.path)?;
        (self.sent, self.end) = (0, rest.len() as u64);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
