//! The stage of the demo: a folder as somebody who runs a real service would have it, with a
//! settings file, a key-encryption key, and one env file and state directory for each instance.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::error::{Doing, Exit, Result};
use crate::keys::{Algorithm, SigningKey, new_kek_file};

/// The role whose privileges `preflight` checks.
pub const SERVICE_ROLE: &str = "auth_service";

/// Who plays: environment, instance, groups.
pub const CAST: [(&str, &str, &[&str]); 4] = [
    ("staging", "staging-1", &[]),
    ("production", "auth-1", &["canary"]),
    ("production", "auth-2", &[]),
    ("production", "auth-3", &[]),
];

/// A stage that is set.
#[derive(Debug, Clone)]
pub struct Stage {
    pub dir: PathBuf,
    /// `dbctl.toml`.
    pub settings: PathBuf,
    pub instances: Vec<Player>,
}

/// One instance, not started yet.
#[derive(Debug, Clone)]
pub struct Player {
    pub env: &'static str,
    pub name: &'static str,
    pub url: String,
    pub env_file: PathBuf,
}

impl Stage {
    /// Sets the stage in an empty folder. `supervisor` is where restarts are asked for.
    pub fn set(dir: &Path, supervisor: SocketAddr) -> Result<Stage> {
        let doing = format!("setting the stage in {}", dir.display());
        let write = |path: &Path, text: &str| {
            crate::durable::write(path, text.as_bytes()).doing(Exit::Failed, &doing)
        };
        crate::durable::create_private_dir(dir).doing(Exit::Failed, &doing)?;
        let kek = dir.join("kek.b64");
        new_kek_file(&kek)?;
        let token = dir.join("admin.token");
        write(&token, &format!("{:032x}\n", rand::random::<u128>()))?;
        let mut settings = String::from(SETTINGS_HEAD);
        let mut instances = Vec::new();
        let mut last_env = "";
        for (env, name, groups) in CAST {
            let pem = dir.join(format!("{env}-signing-key.pem"));
            if env != last_env {
                write(&pem, &SigningKey::generate(Algorithm::EdDsa)?.to_pem())?;
                settings += &environment(env);
                last_env = env;
            }
            let home = dir.join(name);
            crate::durable::create_private_dir(&home).doing(Exit::Failed, &doing)?;
            let address = free_port().doing(Exit::Failed, &doing)?;
            let player = Player {
                env,
                name,
                url: format!("http://{address}"),
                env_file: home.join("service.env"),
            };
            let paths = [&home.join("state"), &token, &pem, &kek];
            write(&player.env_file, &env_text(name, address, paths))?;
            settings += &target(env, name, groups, &player.url, supervisor);
            instances.push(player);
        }
        let file = dir.join("dbctl.toml");
        write(&file, &settings)?;
        Ok(Stage {
            dir: dir.to_owned(),
            settings: file,
            instances,
        })
    }
}

const SETTINGS_HEAD: &str = "\
# Written by `dbctl demo`. The databases lived in that process only.

[keys]
verifier_cache = \"2s\"
token_lifetime = \"1h\"
";

fn environment(env: &str) -> String {
    format!(
        "\n[environments.{env}]\nservice_role = \"{SERVICE_ROLE}\"\nkek_file = \"kek.b64\"\nadmin_token_file = \"admin.token\"\n"
    )
}

fn target(env: &str, name: &str, groups: &[&str], url: &str, supervisor: SocketAddr) -> String {
    format!(
        "\n[[environments.{env}.targets]]\nname = \"{name}\"\ngroups = {groups:?}\nurl = \"{url}\"\n\
         env_file = \"{name}/service.env\"\nstate_dir = \"{name}/state\"\n\
         restart = {{ post = \"http://{supervisor}/restart/{name}\" }}\n"
    )
}

fn env_text(name: &str, address: SocketAddr, [state, token, pem, kek]: [&PathBuf; 4]) -> String {
    format!(
        "# {name}. dbctl changes only the SECURITY_ lines.\n\
         SERVICE_NAME={name}\nSERVICE_LISTEN={address}\nSERVICE_STATE_DIR={}\n\
         SERVICE_ADMIN_TOKEN_FILE={}\nSERVICE_SIGNING_KEY_FILE={}\nSERVICE_KEK_FILE={}\n\
         SERVICE_NONCE_WINDOW=1000\nSECURITY_RUNTIME_MODE=memory\nSECURITY_NONCE_STORE_MODE=file\n",
        state.display(),
        token.display(),
        pem.display(),
        kek.display(),
    )
}

/// A port that nobody uses now. Somebody could take it before we do; the start then says so.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
