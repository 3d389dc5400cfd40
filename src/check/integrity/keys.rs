//! Signing keys: who is current, what opens, what belongs to nothing.

use super::{Integrity, LOOK_BACK, Looked, literal};
use crate::error::Result;
use crate::keys::{self, Health, Kek, VersionHealth};
use crate::pg::{self, problem};

impl Integrity<'_> {
    /// Exactly one version of each key that has signed is current, and the configured key has one.
    pub(super) async fn current_keys(&self) -> Result<Looked> {
        let doing = "counting the current versions of each key";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        // kek_id stands for the sealed half: all of its columns are null, or none is.
        let keys: Vec<(String, i64, i64, i64)> = pg::query_as(
            "SELECT key_id, count(*), count(*) FILTER (WHERE is_current), \
                    count(*) FILTER (WHERE state <> 'standby' AND kek_id IS NOT NULL) \
               FROM security.signing_key_versions GROUP BY key_id ORDER BY key_id",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let mut looked = Looked::default();
        let flag = self.env_flag();
        let configured = &self.settings.config.keys.key_id;
        for (key_id, versions, current, signing) in &keys {
            looked.saw(
                key_id,
                format_args!("{versions} versions, {current} current"),
            );
            if *current > 1 {
                looked.fail(
                    key_id,
                    format!("{current} versions of {key_id} are current: which one signs is chance"),
                    format!(
                        "dbctl{flag} keys list shows them; psql: UPDATE security.signing_key_versions \
                         SET state = 'retiring' WHERE … for all but the newest"
                    ),
                );
            } else if *current == 0 && (*signing > 0 || key_id == configured) {
                looked.fail(
                    key_id,
                    format!("no version of {key_id} is current: nothing can be signed with it"),
                    format!("dbctl{flag} keys seed"),
                );
            }
        }
        if !keys.iter().any(|(key_id, ..)| key_id == configured) {
            looked.fail(
                configured,
                format!("the key {configured} is not here: nothing can be signed"),
                format!("dbctl{flag} keys seed"),
            );
        }
        Ok(looked.otherwise(format!(
            "{} has exactly one current version, and so has every key that has signed ({} keys)",
            configured,
            keys.len()
        )))
    }

    /// Every sealed private half opens with the key-encryption key at hand, and belongs to its
    /// public half.
    pub(super) async fn sealed_keys(&self) -> Result<Looked> {
        let mut looked = Looked::default();
        let kek = match self.env {
            Some(env) => Kek::of_environment(env).await,
            None => {
                looked.unknown(
                    "kek",
                    "not checked: no environment says where the key-encryption key is",
                    "name the environment with --env, and its kek_file or kek_command in dbctl.toml",
                );
                return Ok(looked);
            }
        };
        let kek = match kek {
            Ok(kek) => kek,
            Err(problem) => {
                looked.unknown(
                    "kek",
                    format!("not checked: {problem}"),
                    problem.hint().unwrap_or_default(),
                );
                return Ok(looked);
            }
        };
        looked.saw("opened with", kek.id());
        let seen = keys::verify(self.database, std::slice::from_ref(&kek)).await?;
        let sealed = seen.versions.iter().filter(|v| v.kek_id.is_some());
        let sealed = sealed.count();
        if sealed == 0 {
            looked.unknown(
                "none",
                "there is no sealed key to open",
                format!("dbctl{} keys seed", self.env_flag()),
            );
        }
        for version in &seen.versions {
            opens(version, &kek, &mut looked);
        }
        for registered in &seen.keks {
            if let Health::Damaged { why } = &registered.health {
                looked.fail(
                    &registered.kek_id,
                    format!("the key-encryption key {}: {why}", registered.kek_id),
                    "restore its row of security.key_encryption_keys from a backup",
                );
            }
        }
        Ok(looked.otherwise(format!(
            "{sealed} sealed versions open with {} and match their public halves",
            kek.id()
        )))
    }

    /// Nothing names a key or a version that is not there.
    pub(super) async fn orphans(&self) -> Result<Looked> {
        let doing = "looking for versions without a key, and kids without a version";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let versions: Vec<(String, i32)> = pg::query_as(
            "SELECT v.key_id, v.version FROM security.signing_key_versions v \
              WHERE NOT EXISTS (SELECT FROM security.signing_keys k WHERE k.key_id = v.key_id) \
              ORDER BY 1, 2",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
        let empty: Vec<String> = pg::query_scalar(
            "SELECT k.key_id FROM security.signing_keys k \
              WHERE NOT EXISTS (SELECT FROM security.signing_key_versions v WHERE v.key_id = k.key_id) \
              ORDER BY 1",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
        let kids: Vec<(String, String, i64)> = pg::query_as(
            "SELECT kid, place, count(*) FROM ( \
                 SELECT kid, 'authz.policy_decisions' AS place FROM authz.policy_decisions \
                  WHERE created_at >= now() - $1 * interval '1 second' \
                 UNION ALL \
                 SELECT kid, 'security.events' FROM security.events \
                  WHERE created_at >= now() - $1 * interval '1 second') named \
              WHERE kid IS NOT NULL \
                AND NOT EXISTS (SELECT FROM security.signing_key_versions v WHERE v.kid = named.kid) \
              GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 100",
        )
        .bind(LOOK_BACK.as_secs_f64())
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let mut looked = Looked::default();
        for (key_id, version) in versions {
            looked.fail(
                format!("{key_id} version {version}"),
                format!("version {version} belongs to the key {key_id}, which is not there: its foreign key was not enforced"),
                format!(
                    "psql: INSERT INTO security.signing_keys (key_id, purpose, algorithm) SELECT key_id, 'access-tokens', algorithm \
                     FROM security.signing_key_versions WHERE key_id = {} AND version = {version}",
                    literal(&key_id)
                ),
            );
        }
        let flag = self.env_flag();
        for key_id in empty {
            looked.fail(
                &key_id,
                format!("the key {key_id} has no version: nobody can sign or verify with it"),
                format!(
                    "dbctl{flag} keys seed if it is to sign; else psql: DELETE FROM security.signing_keys WHERE key_id = {}",
                    literal(&key_id)
                ),
            );
        }
        for (kid, place, count) in kids {
            looked.fail(
                &kid,
                format!("{count} rows of {place} name the key version {kid}, which is not here"),
                format!(
                    "a version that was removed is in a backup: restore its row; one of an instance in memory mode is recorded by: \
                     dbctl{flag} keys seed --help, or a carry step"
                ),
            );
        }
        Ok(looked.otherwise(
            "every version has its key, every key a version, and every kid of the last 7 days is known",
        ))
    }
}

fn opens(version: &VersionHealth, kek: &Kek, looked: &mut Looked) {
    let subject = format!("{} version {}", version.key_id, version.version);
    match &version.health {
        Health::Whole | Health::PublicOnly => {}
        Health::Unseen => looked.unknown(
            &subject,
            format!(
                "not checked: {subject} is sealed with {}, and {} is at hand",
                version.kek_id.as_deref().unwrap_or("an unknown key"),
                kek.id()
            ),
            "dbctl keys verify --kek-file FILE takes others beside it; dbctl keys rewrap moves all to one",
        ),
        Health::Damaged { why } => looked.fail(
            &subject,
            format!("{subject} cannot be used: {why}"),
            "restore this row from a backup, or make a new version",
        ),
    }
}
