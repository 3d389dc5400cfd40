//! The answer of commands that write generated files.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use crate::ui::{Report, Screen};

/// The files that a command wrote, one per line.
#[derive(Debug, Default, Serialize)]
pub(super) struct Written {
    pub files: Vec<PathBuf>,
}

impl Report for Written {
    const SCHEMA: &'static str = "dbctl.files/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        self.files
            .iter()
            .try_for_each(|file| writeln!(out, "{}", file.display()))
    }
}
