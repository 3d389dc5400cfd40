use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::migrate::create;
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  dbctl migrate new add_orders\n  dbctl migrate new add_orders --dir db/migrations"
)]
pub struct NewArgs {
    /// What it does, in letters, digits and _
    name: String,
    /// Folder to create it in [default: migrations.dir of the settings, else migrations]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Created {
    file: String,
}

impl Report for Created {
    const SCHEMA: &'static str = "dbctl.migrate.new/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{}", self.file)
    }
}

pub fn run(args: NewArgs, context: &Context) -> Result<Exit> {
    let configured = context.settings.config.migrations.dir.clone();
    let dir = args
        .dir
        .or(configured)
        .unwrap_or_else(|| PathBuf::from("migrations"));
    let file = create(&dir, &args.name)?;
    context.ui.report(&Created {
        file: file.display().to_string(),
    })?;
    context
        .ui
        .status("next: write the SQL, then `dbctl migrate validate`");
    Ok(Exit::Ok)
}
