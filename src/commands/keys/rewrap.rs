use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::database;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::{self, By, Kek, Rewrapped};
use crate::rollout::person::Person;
use crate::settings::Environment;
use crate::ui::{Answer, Report, Screen};

#[derive(Debug, Args)]
// All three ways to name the new key would be wider than a terminal.
#[command(override_usage = "dbctl keys rewrap [OPTIONS] --to <FILE>")]
#[command(after_help = "\
Every sealed private half is opened with the key-encryption key of now (that of the environment
and each --kek-file), checked, sealed with the new one, read back and opened, all in one
transaction: if anything goes wrong or it is interrupted, nothing has changed. Running it again
moves only what is not moved yet.

A service needs the new key from its next start on, so give it to them first, as a second line
of the file: what stands there only opens. When all is moved, the first line can go.

Example:
  dbctl keys new-kek kek-2027.b64
  dbctl keys rewrap --env production --to kek-2027.b64 --confirm production
  dbctl keys kek drop kek-0123456789abcdef --env production")]
pub struct RewrapArgs {
    #[command(flatten)]
    to: To,

    /// File with a key-encryption key of now, beside the environment's; may be given again
    #[arg(long, value_name = "FILE")]
    kek_file: Vec<PathBuf>,

    /// The environment's name (the database's, where there is none), typed, instead of the prompt
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// File with the new key-encryption key
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// Name of the new key-encryption key in systemd's $CREDENTIALS_DIRECTORY
    #[arg(long, value_name = "NAME")]
    to_credential: Option<String>,

    /// Program and arguments that print the new key-encryption key; stands last
    #[arg(long, value_name = "ARG", num_args = 1.., allow_hyphen_values = true)]
    to_command: Option<Vec<String>>,
}

impl Report for Rewrapped {
    const SCHEMA: &'static str = "dbctl.keys.rewrap/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (moved, already) = (self.moved.len(), self.already);
        if moved == 0 {
            return match already {
                0 => writeln!(out, "Nothing is sealed. Nothing was changed."),
                _ => writeln!(
                    out,
                    "All {already} sealed versions are sealed with {} already. Nothing was changed.",
                    self.to
                ),
            };
        }
        writeln!(
            out,
            "Sealed {moved} versions anew with {}; each opens.",
            self.to
        )?;
        if already > 0 {
            writeln!(out, "{already} were sealed with it before.")?;
        }
        writeln!(out, "\nNext:")?;
        writeln!(
            out,
            "  the services (SERVICE_KEK_FILE) and dbctl.toml (kek_file) get the new key alone, then"
        )?;
        for id in &self.from {
            writeln!(out, "  dbctl keys kek drop {id}")?;
        }
        Ok(())
    }
}

pub async fn run(args: RewrapArgs, context: &Context) -> Result<Exit> {
    // Whatever can be wrong with files is found before the database is touched.
    let new = match (&args.to.to, &args.to.to_credential, &args.to.to_command) {
        (Some(file), _, _) => Kek::from_file(file)?,
        (None, Some(name), _) => Kek::from_credential(name)?,
        (None, None, argv) => Kek::from_command(argv.as_deref().unwrap_or_default()).await?,
    };
    let from_flags = args
        .kek_file
        .iter()
        .map(|file| Kek::from_file(file))
        .collect::<Result<Vec<Kek>>>()?;
    let (env, db) = database(context).await?;
    let name = env.map_or(db.name(), |env| &env.name);
    context.ui.refuse_other(name, args.confirm.as_deref())?;
    let old = with_environment(from_flags, env).await?;
    let registered = keys::keks(&db).await?;
    let others = registered.iter().filter(|kek| kek.kek_id != new.id());
    let waiting: Vec<_> = others.filter(|kek| kek.versions > 0).collect();
    if !waiting.is_empty() {
        let mut facts = format!(
            "Private halves in {db} are sealed anew with {}:\n",
            new.id()
        );
        for kek in &waiting {
            let _ = writeln!(
                facts,
                "  {} versions, now sealed with {}",
                kek.versions, kek.kek_id
            );
        }
        facts += "A service that does not have the new key then opens nothing at its next start; it may have\n\
                  both, one on each line of SERVICE_KEK_FILE.\n";
        match context
            .ui
            .confirm(name, &facts, args.confirm.as_deref())
            .await?
        {
            Answer::Confirmed(_) => {}
            Answer::Declined => {
                context.ui.status("nothing was changed");
                return Ok(Exit::Unconfirmed);
            }
        }
    }
    let by = By::new(Person::of_system(), None);
    let rewrapped = keys::rewrap(&db, &old, &new, &by).await?;
    context.ui.report(&rewrapped)?;
    Ok(Exit::Ok)
}

/// The keys of the flags, and that of the environment where it names one that is not among them.
pub(super) async fn with_environment(
    mut keks: Vec<Kek>,
    env: Option<&Environment>,
) -> Result<Vec<Kek>> {
    if let Some(env) = env.filter(|env| env.names_a_kek()) {
        let kek = Kek::of_environment(env).await?;
        if !keks.iter().any(|k| k.id() == kek.id()) {
            keks.push(kek);
        }
    }
    Ok(keks)
}
