//! Folders of migrations, and waiting for other processes.

use std::path::{Path, PathBuf};

/// A folder with the migrations of `files`.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(dir.path().join("m")).expect("a folder of migrations");
    for (name, sql) in files {
        write(&dir, name, sql);
    }
    dir
}

pub fn write(dir: &tempfile::TempDir, name: &str, sql: &str) {
    std::fs::write(dir.path().join("m").join(name), sql).expect("a migration");
}

/// The files of dbctl's own schema, in order.
pub fn of_the_package() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .expect("the folder of migrations")
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "sql"))
        .collect();
    files.sort();
    files
}

/// Waits for what another process does; fails after a minute.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what} did not come");
}
