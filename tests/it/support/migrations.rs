//! Folders of migrations, and waiting for other processes.

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
