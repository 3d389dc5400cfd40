//! Making what an instance needs to be tried by hand.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::config::instance_name;
use crate::durable::{create_new, create_private_dir};
use crate::error::{Doing, Exit, Problem, Result};
use crate::keys::{Algorithm, SigningKey};

/// What [`init`] wrote.
#[derive(Debug, Clone, Serialize)]
pub struct Initialised {
    pub name: String,
    pub listen: String,
    pub env_file: PathBuf,
    pub state_dir: PathBuf,
    pub admin_token_file: PathBuf,
    pub signing_key_file: PathBuf,
    /// The kid of the signing key.
    pub kid: String,
}

/// Files that an instance has in common with others, instead of new ones of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharedFiles<'a> {
    /// A PKCS#8 PEM key.
    pub signing_key: Option<&'a Path>,
    /// dbctl knows one admin token for all targets of an environment.
    pub admin_token: Option<&'a Path>,
}

/// Writes an environment file, a signing key, an admin token (or takes those of `shared`) and a
/// state directory under `dir`. Never overwrites: a file that is there is an error before
/// anything is written.
pub fn init(dir: &Path, name: &str, listen: &str, shared: SharedFiles<'_>) -> Result<Initialised> {
    let name = instance_name(name)?;
    create_private_dir(dir).doing(Exit::Config, format!("creating {}", dir.display()))?;
    // What the service is told must not depend on where it is started from.
    let dir = std::path::absolute(dir).doing(Exit::Config, "finding the folder")?;
    let env_file = dir.join("service.env");
    let state_dir = dir.join("state");
    let given_or_ours = |given: Option<&Path>, ours: &str| match given {
        Some(path) => {
            std::path::absolute(path).doing(Exit::Config, format!("finding {}", path.display()))
        }
        None => Ok(dir.join(ours)),
    };
    let admin_token_file = given_or_ours(shared.admin_token, "admin.token")?;
    let signing_key_file = given_or_ours(shared.signing_key, "signing-key.pem")?;
    let to_be_written = [
        Some(&env_file),
        shared.admin_token.is_none().then_some(&admin_token_file),
        shared.signing_key.is_none().then_some(&signing_key_file),
    ];
    if let Some(there) = to_be_written.into_iter().flatten().find(|p| p.exists()) {
        return Err(Problem::new(
            Exit::Config,
            format!("writing {}", there.display()),
            "it exists already, and is never overwritten",
        )
        .next("choose another folder"));
    }
    let signing = match shared.signing_key {
        Some(path) => SigningKey::from_pem_file(path)?,
        None => {
            let key = SigningKey::generate(Algorithm::EdDsa)?;
            put(&signing_key_file, key.to_pem().as_bytes())?;
            key
        }
    };
    match shared.admin_token {
        Some(path) => drop(crate::pg::read_secret_line(path, "the admin token")?),
        None => {
            let mut token = Zeroizing::new([0_u8; 32]);
            aws_lc_rs::rand::fill(&mut *token).doing(Exit::Failed, "drawing random bytes")?;
            let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(*token) + "\n");
            put(&admin_token_file, token.as_bytes())?;
        }
    }
    create_private_dir(&state_dir)
        .doing(Exit::Config, format!("creating {}", state_dir.display()))?;
    let text = env_text(
        &name,
        listen,
        &state_dir,
        &admin_token_file,
        &signing_key_file,
    );
    put(&env_file, text.as_bytes())?;
    Ok(Initialised {
        name,
        listen: listen.to_owned(),
        env_file,
        state_dir,
        admin_token_file,
        kid: signing.public().kid().to_owned(),
        signing_key_file,
    })
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    create_new(path, bytes).doing(Exit::Config, format!("writing {}", path.display()))
}

fn env_text(name: &str, listen: &str, state: &Path, admin: &Path, key: &Path) -> String {
    format!(
        "# Read when the service starts; dbctl changes only the SECURITY_ lines.\n\
         SERVICE_NAME={name}\n\
         SERVICE_LISTEN={listen}\n\
         SERVICE_STATE_DIR={}\n\
         SERVICE_ADMIN_TOKEN_FILE={}\n\
         SERVICE_SIGNING_KEY_FILE={}\n\
         \n\
         # For the Postgres modes. The key-encryption key: dbctl keys new-kek FILE\n\
         #SERVICE_KEK_FILE=\n\
         #DATABASE_URL=postgres://auth_service@localhost/auth\n\
         \n\
         SECURITY_RUNTIME_MODE=memory\n\
         SECURITY_KEY_RESOLVER_MODE=memory\n\
         SECURITY_REVOCATION_MODE=memory\n\
         SECURITY_NONCE_STORE_MODE=file\n",
        state.display(),
        admin.display(),
        key.display(),
    )
}
