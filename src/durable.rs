//! Files that must survive a power cut and must not be read by others.
//!
//! The order is the one that file systems promise to keep: a temporary file in the same
//! directory, mode 0600, write, fsync, rename, fsync of the directory. A failed fsync is final
//! (the kernel may have dropped the pages): the write is an error and is never retried.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` with `bytes`, wholly or not at all. An existing file keeps its mode;
/// a new one gets 0600.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".dbctl-")
        .tempfile_in(dir)?;
    if let Ok(old) = std::fs::metadata(path) {
        temporary.as_file().set_permissions(old.permissions())?;
    }
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    sync_dir(dir)
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
