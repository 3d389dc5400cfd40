//! The archive: a gzipped tar with a manifest of SHA-256 hashes in front. The same files give the
//! same bytes.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::gather::Gathered;
use crate::check::logs::Redactor;
use crate::error::{Doing as _, Exit, Problem, Result};

const SCHEMA: &str = "dbctl.incident.manifest/1";
const MANIFEST: &str = "manifest.json";

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What the manifest says of the archive as a whole.
#[derive(Debug, Clone)]
pub struct Cover {
    /// Goes into the archive's name.
    pub name: String,
    pub made_at: Timestamp,
    pub period: Period,
    /// The environments that were looked at.
    pub environments: Vec<String>,
    /// The runs whose journals are in it.
    pub runs: Vec<String>,
}

/// `manifest.json`, the first file of the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// `dbctl.incident.manifest/1`.
    pub schema: String,
    pub dbctl: String,
    pub made_at: Timestamp,
    #[serde(flatten)]
    pub period: Period,
    /// The environments that were looked at.
    pub environments: Vec<String>,
    /// The runs whose journals are in it.
    pub runs: Vec<String>,
    /// In the order of the archive.
    pub files: Vec<FileFacts>,
    /// What should be there and is not.
    pub missing: Vec<Missing>,
}

/// A file of the archive, without the manifest itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub path: String,
    pub what: String,
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// How often something that looks like a secret was masked in it.
    pub masked: usize,
}

/// What could not be collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub what: String,
    pub why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An archive that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Written {
    pub file: PathBuf,
    pub bytes: u64,
    /// Of the whole archive, hexadecimal: to be noted beside the incident.
    pub sha256: String,
    pub manifest: Manifest,
}

impl Gathered {
    /// Writes `incident-NAME-TIME.tar.gz` into `dir`, readable by its owner only; `dir` is made
    /// where it is not there. An archive that exists is never overwritten.
    ///
    /// # Errors
    /// The folder or the file cannot be written; something in it still looks like a secret.
    pub fn write(mut self, dir: &Path, cover: Cover, redactor: &Redactor<'_>) -> Result<Written> {
        let made_at = cover.made_at;
        self.parts.sort_by(|a, b| a.path.cmp(&b.path));
        let files = self.parts.iter().map(|part| FileFacts {
            path: part.path.clone(),
            what: part.what.clone(),
            bytes: part.bytes.len() as u64,
            sha256: hex(&Sha256::digest(&part.bytes)),
            masked: part.masked,
        });
        let manifest = Manifest {
            schema: SCHEMA.into(),
            dbctl: env!("CARGO_PKG_VERSION").into(),
            made_at,
            period: cover.period,
            environments: cover.environments,
            runs: cover.runs,
            files: files.collect(),
            missing: std::mem::take(&mut self.missing),
        };
        let text = serde_json::to_string_pretty(&manifest).expect("plain data") + "\n";
        // What is missing quotes errors.
        let (text, _) = redactor.mask_certain(&text);
        let mut all: Vec<(&str, &[u8])> = vec![(MANIFEST, text.as_bytes())];
        all.extend(self.parts.iter().map(|p| (p.path.as_str(), &*p.bytes)));
        clean(&all, redactor)?;
        let stem = format!(
            "incident-{}-{}",
            cover.name,
            made_at.strftime("%Y%m%dT%H%M%S.%3fZ")
        );
        let bytes = packed(&stem, &all, made_at).doing(Exit::Failed, "packing the archive")?;
        let doing = format!("making the folder {}", dir.display());
        crate::durable::create_private_dir(dir).doing(Exit::Config, doing)?;
        let file = dir.join(format!("{stem}.tar.gz"));
        let doing = format!("writing {}", file.display());
        crate::durable::create_new(&file, &bytes).map_err(|e| {
            let next = match e.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    "it is evidence and is not overwritten: try again"
                }
                _ => "choose another folder",
            };
            Problem::new(Exit::Config, doing, e).next(next)
        })?;
        Ok(Written {
            file,
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
            manifest,
        })
    }
}

/// The last look before anything is written: whatever gathered it, no secret is in it.
fn clean(all: &[(&str, &[u8])], redactor: &Redactor<'_>) -> Result<()> {
    for (path, bytes) in all {
        let (_, found) = redactor.mask_certain(&String::from_utf8_lossy(bytes));
        if found > 0 {
            return Err(Problem::new(
                Exit::Failed,
                format!("looking through {path} before it is written"),
                "it still holds what looks like a secret; nothing was written",
            )
            .next("this is a mistake in dbctl: please report which file it was"));
        }
    }
    Ok(())
}

fn packed(stem: &str, all: &[(&str, &[u8])], at: Timestamp) -> std::io::Result<Vec<u8>> {
    let gz = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gz);
    for (path, bytes) in all {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(at.as_second()).unwrap_or(0));
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("{stem}/{path}"), *bytes)?;
    }
    let mut gz = tar.into_inner()?;
    gz.flush()?;
    gz.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
