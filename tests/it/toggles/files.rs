//! The env-file provider.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dbctl::runtime::toggles::{Mode, Modes, Toggle};
use dbctl::toggle::{read_file, set_file};
use tempfile::TempDir;

fn file(text: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("service.env");
    std::fs::write(&path, text).expect("written");
    (dir, path)
}

fn to(pairs: &[(Toggle, Mode)]) -> BTreeMap<Toggle, Mode> {
    pairs.iter().copied().collect()
}

fn text(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).expect("it is there")).expect("UTF-8")
}

#[test]
fn setting_changes_the_value_and_nothing_else() {
    use Mode::Postgres;
    let runtime = to(&[(Toggle::Runtime, Postgres)]);
    for (what, before, after) in [
        (
            "comments, blank lines and order",
            "# mine\n\nA=1\nSECURITY_RUNTIME_MODE=memory\n; other\nB = x = y\n",
            "# mine\n\nA=1\nSECURITY_RUNTIME_MODE=postgres\n; other\nB = x = y\n",
        ),
        (
            "export, blanks and quotes",
            "  export  SECURITY_RUNTIME_MODE = \"memory\"  \n",
            "  export  SECURITY_RUNTIME_MODE = \"postgres\"  \n",
        ),
        (
            "single quotes",
            "SECURITY_RUNTIME_MODE='memory'",
            "SECURITY_RUNTIME_MODE='postgres'",
        ),
        (
            "an empty value",
            "SECURITY_RUNTIME_MODE=\nA=1\n",
            "SECURITY_RUNTIME_MODE=postgres\nA=1\n",
        ),
        (
            "CRLF",
            "A=1\r\nSECURITY_RUNTIME_MODE=memory\r\nB=2\r\n",
            "A=1\r\nSECURITY_RUNTIME_MODE=postgres\r\nB=2\r\n",
        ),
        (
            "a missing one, with CRLF",
            "A=1\r\n",
            "A=1\r\nSECURITY_RUNTIME_MODE=postgres\r\n",
        ),
        (
            "no line end at the end",
            "A=1",
            "A=1\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        ("an empty file", "", "SECURITY_RUNTIME_MODE=postgres\n"),
        (
            "set twice: whoever reads the first or the last gets the same",
            "SECURITY_RUNTIME_MODE=memory\nA=1\nSECURITY_RUNTIME_MODE=memory\n",
            "SECURITY_RUNTIME_MODE=postgres\nA=1\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "a comment stays one",
            "#SECURITY_RUNTIME_MODE=memory\n# SECURITY_RUNTIME_MODE=memory\n",
            "#SECURITY_RUNTIME_MODE=memory\n# SECURITY_RUNTIME_MODE=memory\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "longer and shorter names are others",
            "MY_SECURITY_RUNTIME_MODE=memory\nSECURITY_RUNTIME_MODE_OLD=x\nSECURITY_RUNTIME=memory\n",
            "MY_SECURITY_RUNTIME_MODE=memory\nSECURITY_RUNTIME_MODE_OLD=x\nSECURITY_RUNTIME=memory\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "a quoted value of several lines is not looked into",
            "KEY=\"one\nSECURITY_RUNTIME_MODE=memory\nthree\"\nSECURITY_RUNTIME_MODE=memory\n",
            "KEY=\"one\nSECURITY_RUNTIME_MODE=memory\nthree\"\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "an apostrophe that is never closed is none",
            "NAME='s\nSECURITY_RUNTIME_MODE=memory\n",
            "NAME='s\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "a comment behind the value moves to its own line",
            "A=1\nSECURITY_RUNTIME_MODE=memory  # until May\nB=2\n",
            "A=1\n# until May\nSECURITY_RUNTIME_MODE=postgres\nB=2\n",
        ),
        (
            "also behind quotes and with CRLF",
            "export SECURITY_RUNTIME_MODE=\"memory\" # until May\r\nB=2\r\n",
            "# until May\r\nexport SECURITY_RUNTIME_MODE=\"postgres\"\r\nB=2\r\n",
        ),
        (
            "a value that is none is replaced whole",
            "SECURITY_RUNTIME_MODE=\"memory\nA=1\nSECURITY_RUNTIME_MODE=me mory\n",
            "SECURITY_RUNTIME_MODE=postgres\nA=1\nSECURITY_RUNTIME_MODE=postgres\n",
        ),
        (
            "a byte order mark",
            "\u{feff}SECURITY_RUNTIME_MODE=memory\n",
            "\u{feff}SECURITY_RUNTIME_MODE=postgres\n",
        ),
    ] {
        let (_dir, path) = file(before.as_bytes());
        let says = set_file(&path, &runtime).expect(what);
        assert_eq!(text(&path), after, "{what}");
        assert_eq!(says.modes.runtime, Postgres, "{what}");
        assert_eq!(read_file(&path).expect(what), says, "{what}");
        set_file(&path, &runtime).expect(what);
        assert_eq!(text(&path), after, "{what}, again");
    }
}

#[test]
fn lines_that_are_not_utf_8_are_kept() {
    let (_dir, path) = file(b"A=\xff\xfe\nSECURITY_NONCE_STORE_MODE=file\n\xff");
    set_file(&path, &to(&[(Toggle::NonceStore, Mode::Postgres)])).expect("set");
    let bytes = std::fs::read(&path).expect("it is there");
    assert_eq!(
        bytes,
        b"A=\xff\xfe\nSECURITY_NONCE_STORE_MODE=postgres\n\xff"
    );
}

#[test]
fn all_four_are_set_at_once() {
    let (_dir, path) = file(b"SECURITY_REVOCATION_MODE=memory\n");
    let all = Toggle::ALL.map(|t| (t, Mode::Postgres));
    let says = set_file(&path, &to(&all)).expect("set");
    assert_eq!(says.modes, Modes::POSTGRES);
    assert_eq!(text(&path).lines().count(), 4);
    let back = Toggle::ALL.map(|t| (t, t.local()));
    assert_eq!(
        set_file(&path, &to(&back)).expect("set").modes,
        Modes::LOCAL
    );
}

#[test]
fn what_is_set_already_does_not_touch_the_file() {
    let (_dir, path) = file(b"SECURITY_RUNTIME_MODE=memory\n");
    let before = std::fs::metadata(&path).expect("metadata");
    set_file(&path, &to(&[(Toggle::Runtime, Mode::Memory)])).expect("set");
    let after = std::fs::metadata(&path).expect("metadata");
    assert_eq!(
        before.modified().expect("a time"),
        after.modified().expect("a time")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(before.ino(), after.ino());
    }
}

#[test]
fn a_wrong_value_is_an_error_that_names_the_line_and_shows_no_secret() {
    for (bad, words) in [
        (
            "SECURITY_RUNTIME_MODE=postgers",
            "`postgers` is not one of the values",
        ),
        (
            "SECURITY_RUNTIME_MODE=Postgres",
            "`Postgres` is not one of the values",
        ),
        ("SECURITY_RUNTIME_MODE=", "nothing is not one of the values"),
        (
            "SECURITY_RUNTIME_MODE=file",
            "`file` is not one of the values",
        ),
        (
            "SECURITY_NONCE_STORE_MODE=memory",
            "write SECURITY_NONCE_STORE_MODE=file",
        ),
        (
            "SECURITY_RUNTIME_MODE=hunter2-secret-value",
            "what stands there is not one",
        ),
        (
            "SECURITY_RUNTIME_MODE=memory TOKEN=hunter2",
            "something stands behind the value",
        ),
        (
            "SECURITY_RUNTIME_MODE=memory # hunter2",
            "something stands behind the value",
        ),
        (
            "SECURITY_RUNTIME_MODE=\"memory",
            "what stands there is not one",
        ),
        (
            "SECURITY_RUNTIME_MODE=memory\nSECURITY_RUNTIME_MODE=postgres",
            "to memory on line 3",
        ),
    ] {
        let (_dir, path) = file(format!("PASSWORD=hunter2\nA=1\n{bad}\n").as_bytes());
        let problem = read_file(&path).expect_err(bad);
        let all = format!("{problem} {}", problem.hint().unwrap_or_default());
        assert!(all.contains(words), "{bad}: {all}");
        assert!(
            all.contains("reading line 3") || all.contains("reading line 4"),
            "{all}"
        );
        assert!(all.contains("service.env"), "{all}");
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[test]
fn setting_another_toggle_beside_a_wrong_value_changes_nothing() {
    let before = "SECURITY_RUNTIME_MODE=postgers\n";
    let (_dir, path) = file(before.as_bytes());
    let nonces = to(&[(Toggle::NonceStore, Mode::Postgres)]);
    set_file(&path, &nonces).expect_err("the service would not start");
    assert_eq!(text(&path), before);
    // The way back replaces it.
    let all = Toggle::ALL.map(|t| (t, t.local()));
    assert_eq!(set_file(&path, &to(&all)).expect("set").modes, Modes::LOCAL);
}

#[test]
fn a_file_that_is_not_there_or_is_none_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = read_file(&dir.path().join("none.env")).expect_err("missing");
    assert!(
        missing.hint().expect("a hint").contains("0600"),
        "{missing}"
    );
    read_file(dir.path()).expect_err("a directory");
}

#[cfg(unix)]
#[test]
fn mode_and_link_are_kept() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    for mode in [0o600, 0o640] {
        let (dir, path) = file(b"SECURITY_RUNTIME_MODE=memory\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        let link = dir.path().join("link.env");
        symlink("service.env", &link).expect("a link");
        set_file(&link, &to(&[(Toggle::Runtime, Mode::Postgres)])).expect("set");
        let kept = std::fs::metadata(&path).expect("metadata").permissions();
        assert_eq!(kept.mode() & 0o777, mode);
        assert_eq!(text(&path), "SECURITY_RUNTIME_MODE=postgres\n");
        assert!(link.symlink_metadata().expect("it is there").is_symlink());
        let names: Vec<_> = std::fs::read_dir(dir.path()).expect("listed").collect();
        assert_eq!(names.len(), 2, "nothing is left behind");
    }
}

#[cfg(unix)]
#[test]
fn the_owner_is_kept() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    if !rustix::process::geteuid().is_root() {
        // Nobody else can own a file of theirs.
        let (_dir, path) = file(b"");
        set_file(&path, &to(&[(Toggle::Runtime, Mode::Postgres)])).expect("set");
        let uid = std::fs::metadata(&path).expect("metadata").uid();
        assert_eq!(uid, rustix::process::geteuid().as_raw());
        return;
    }
    let (_dir, path) = file(b"");
    chown(&path, Some(12345), Some(23456)).expect("chown");
    set_file(&path, &to(&[(Toggle::Runtime, Mode::Postgres)])).expect("set");
    let about = std::fs::metadata(&path).expect("metadata");
    assert_eq!((about.uid(), about.gid()), (12345, 23456));
}
