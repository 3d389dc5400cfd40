//! Files that must survive a power cut and must not be read by others.
//!
//! The order is the one that file systems promise to keep: a temporary file in the same
//! directory, mode 0600, write, fsync, rename, fsync of the directory. A failed fsync is final
//! (the kernel may have dropped the pages): the write is an error and is never retried.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;

/// Replaces `path` with `bytes`, wholly or not at all. An existing file keeps its mode and its
/// owner; a new one gets 0600 and, when root writes it, the owner of its directory: a service that
/// does not run as root must be able to read what is put into its folder.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_born(path, |_| Ok(bytes))
}

/// As [`write`], of bytes that say when the file that holds them was born ([`birth`]).
pub fn write_born<B: AsRef<[u8]>>(
    path: &Path,
    bytes: impl FnOnce(Option<Timestamp>) -> io::Result<B>,
) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".dbctl-")
        .tempfile_in(dir)?;
    match std::fs::metadata(path) {
        Ok(old) => {
            give(temporary.as_file(), &old)?;
            temporary.as_file().set_permissions(old.permissions())?;
        }
        Err(_) if is_root() => give(temporary.as_file(), &std::fs::metadata(dir)?)?,
        Err(_) => {}
    }
    let bytes = bytes(birth(&temporary.as_file().metadata()?))?;
    temporary.write_all(bytes.as_ref())?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

/// When a file came into being. A rename keeps it and no copy can have it, so it tells a file that
/// was restored from a backup, or brought from another disk, from the one that was written here;
/// only a snapshot of the whole file system is not seen. None where the file system does not know.
#[cfg(unix)]
pub fn birth(file: &Metadata) -> Option<Timestamp> {
    Timestamp::try_from(file.created().ok()?).ok()
}

/// Windows gives a file that replaces another the other's time of birth (tunnelling).
#[cfg(not(unix))]
pub fn birth(_file: &Metadata) -> Option<Timestamp> {
    None
}

/// Gives `file` the owner and the group of `like`.
#[cfg(unix)]
fn give(file: &File, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid())).map_err(|e| {
        let why = format!("it belongs to another user or group, and that cannot be kept: {e}");
        io::Error::new(e.kind(), why)
    })
}

/// Windows: the file inherits the access list of its directory.
#[cfg(not(unix))]
fn give(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// Writes a file that must not exist yet, mode 0600. An existing one is left alone and is an
/// error of kind `AlreadyExists`.
pub fn create_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".dbctl-")
        .tempfile_in(dir)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

/// Replaces `path` with a file that only its owner can read, whatever was there before.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".dbctl-")
        .tempfile_in(dir)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

/// The directory of `path`, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Makes a rename or a creation in `dir` durable.
#[cfg(unix)]
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Windows has no directory handle to sync; NTFS journals the rename itself.
#[cfg(not(unix))]
pub fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates `dir` and its parents, closed to others where the system knows modes.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Whether users other than the owner can read `path`. Where modes are unknown: no.
#[cfg(unix)]
pub fn others_can_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn others_can_read(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| false)
}

/// Whether everybody on the machine can read `path`, beside its owner and its group. Where modes
/// are unknown: no.
#[cfg(unix)]
pub fn everybody_can_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
pub fn everybody_can_read(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| false)
}
