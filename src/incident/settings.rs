//! The settings file without what others must not read.

use toml::Value;

use crate::check::logs::Redactor;

/// The text of a settings file, parsed and written anew: secrets masked, comments left out. What
/// is no TOML is masked line by line.
pub fn without_secrets(text: &str, redactor: &Redactor<'_>) -> String {
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            for (key, value) in &mut table {
                hide(key, value, redactor);
            }
            toml::to_string_pretty(&table).expect("it was a table of TOML")
        }
        Err(_) => text.lines().map(|l| redactor.mask(l) + "\n").collect(),
    }
}

fn hide(key: &str, value: &mut Value, redactor: &Redactor<'_>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                hide(key, value, redactor);
            }
        }
        // An argument of a program may be anything.
        Value::Array(all) => {
            for value in all {
                match value {
                    Value::String(text) => *text = argument(text, redactor),
                    other => hide(key, other, redactor),
                }
            }
        }
        Value::String(text) => *text = named(key, text, redactor),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn argument(text: &str, redactor: &Redactor<'_>) -> String {
    redactor.mask(&redactor.mask_certain(text).0)
}

/// The value of a setting: a path to a secret is none, a value that is called one is.
fn named(key: &str, text: &str, redactor: &Redactor<'_>) -> String {
    const NAMES: [&str; 6] = [
        "password",
        "secret",
        "token",
        "credential",
        "passphrase",
        "apikey",
    ];
    let plain = key.to_ascii_lowercase().replace(['_', '-'], "");
    let is_path = ["file", "dir", "path", "env"]
        .iter()
        .any(|end| plain.ends_with(end));
    if !is_path && NAMES.iter().any(|name| plain.contains(name)) {
        return "[redacted]".into();
    }
    redactor.mask_certain(text).0
}
