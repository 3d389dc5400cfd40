use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys;
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys new-kek kek.b64")]
pub struct NewKekArgs {
    /// File to write: 32 random bytes as base64, readable by its owner only
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct NewKek {
    file: PathBuf,
    kek_id: String,
}

impl Report for NewKek {
    const SCHEMA: &'static str = "dbctl.keys.new-kek/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let file = self.file.display();
        writeln!(
            out,
            "{file} holds a new key-encryption key, {}.",
            self.kek_id
        )?;
        writeln!(
            out,
            "Keep a copy where the database's backups are not: what it seals only opens"
        )?;
        writeln!(out, "with it.\n")?;
        writeln!(
            out,
            "Next:\n  name it in dbctl.toml (kek_file = \"{file}\"), then"
        )?;
        writeln!(out, "  dbctl keys seed")
    }
}

pub fn run(args: NewKekArgs, context: &Context) -> Result<Exit> {
    let kek_id = keys::new_kek_file(&args.file)?;
    context.ui.report(&NewKek {
        file: args.file,
        kek_id,
    })?;
    Ok(Exit::Ok)
}
