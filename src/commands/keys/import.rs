use std::fmt::{self, Write as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{database, kek_of};
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::keys::{self, By, Imported, Kek, KeyState, Material, OtherKid};
use crate::rollout::person::Person;
use crate::ui::{Report, Screen, Ui, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Taken are PEM (PKCS#8, SEC 1, PKCS#1, SPKI), a JWK, a JWK set and what `keys export --sealed`
wrote: Ed25519, P-256 and RSA from 2048 bits. The halves of a private key are checked against
each other. It arrives as standby, published but not signing; a public key only verifies. All
keys of a file are imported, or none.

A file with a private key that others can read is refused. With `-` the key comes from standard
input and is written nowhere.

Example:
  dbctl keys import old-signer.pem --env production
  openssl pkey -in encrypted.pem | dbctl keys import - --kek-file kek.b64
  dbctl keys import jwks.json --verify-only")]
pub struct ImportArgs {
    /// File with the keys; `-` is standard input
    file: PathBuf,

    /// Name of the logical key; `keys.key_id` of the settings without it
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,

    /// File with the key-encryption key; that of the environment without it
    #[arg(long, value_name = "FILE")]
    kek_file: Option<PathBuf>,

    /// Take the public halves only: they verify and never sign
    #[arg(long, conflicts_with = "kek_file")]
    verify_only: bool,

    /// Take a JWK whose kid is not its RFC 7638 thumbprint, under its thumbprint: tokens that
    /// carry the other kid are not verified here
    #[arg(long)]
    forget_kid: bool,
}

#[derive(Debug, Serialize)]
struct ImportReport {
    key_id: String,
    imported: Vec<Imported>,
}

impl Report for ImportReport {
    const SCHEMA: &'static str = "dbctl.keys.import/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let rows = self.imported.iter().map(|key| {
            [
                key.version.to_string(),
                key.state.to_string(),
                key.algorithm.to_string(),
                key.kid.clone(),
            ]
        });
        let text = table(out, &["v", "state", "alg", "kid"], rows);
        writeln!(out, "Imported into {}:", self.key_id)?;
        out.write_str(&text)?;
        match self.imported.iter().find(|k| k.state == KeyState::Standby) {
            Some(standby) => writeln!(
                out,
                "\nNext, once verifiers have seen it: dbctl keys promote ({} version {})",
                self.key_id, standby.version
            ),
            None => Ok(()),
        }
    }
}

pub async fn run(args: ImportArgs, context: &Context) -> Result<Exit> {
    let defaults = &context.settings.config.keys;
    let key_id = args.key_id.unwrap_or_else(|| defaults.key_id.clone());
    // Whatever can be wrong with files is found before the database is touched.
    let other_kid = match args.forget_kid {
        true => OtherKid::Forgotten,
        false => OtherKid::Refused,
    };
    let material = read(&args.file, other_kid, &context.ui)?;
    let has_private = material
        .iter()
        .any(|key| !matches!(key, Material::Public(_)));
    let from_flag = args.kek_file.as_deref().map(Kek::from_file).transpose()?;
    let (env, db) = database(context).await?;
    let kek = match has_private && !args.verify_only {
        true => Some(kek_of(from_flag, env).await?),
        false => None,
    };
    let by = By::new(Person::of_system(), None);
    let imported = keys::import(&db, &key_id, material, kek.as_ref(), &by).await?;
    context.ui.report(&ImportReport { key_id, imported })?;
    Ok(Exit::Ok)
}

fn read(file: &Path, other_kid: OtherKid, ui: &Ui) -> Result<Vec<Material>> {
    let from_stdin = file == Path::new("-");
    let doing = match from_stdin {
        true => "reading keys from standard input".to_owned(),
        false => format!("reading keys from {}", file.display()),
    };
    // One byte more than is taken, so that a longer file is noticed.
    let limit = keys::MAX_FILE_BYTES + 1;
    let bytes = match from_stdin {
        true => ui.input(limit),
        false => head_of(file, limit),
    }
    .doing(Exit::Config, &doing)
    .map_err(|p| p.next("name a file that you may read; `-` takes the keys from standard input"))?;
    let material = keys::read_keys(&bytes, other_kid).map_err(|p| {
        let told = Problem::new(p.exit(), &doing, p.cause());
        match p.hint() {
            Some(hint) => told.next(hint),
            None => told,
        }
    })?;
    let private = material.iter().any(Material::is_private);
    if private
        && !from_stdin
        && crate::durable::others_can_read(file).doing(Exit::Config, &doing)?
    {
        let why = "it holds a private key, and others can read the file";
        return Err(Problem::new(Exit::Config, doing, why).next(format!(
            "chmod 600 {}, and think about who may have read it",
            file.display()
        )));
    }
    Ok(material)
}

fn head_of(file: &Path, limit: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    let file = std::fs::File::open(file)?;
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
