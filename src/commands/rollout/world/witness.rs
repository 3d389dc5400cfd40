//! What a rehearsal leaves with a service before a way back, and asks for after it.

use std::collections::BTreeSet;

use super::Live;
use super::switch::not_recovered;
use crate::carry::over::{Fleet, Member};
use crate::contract::{IssueRequest, NonceRange, RevokeTokenRequest};
use crate::error::Result;
use crate::runtime::toggles::Modes;
use crate::toggle;

const SUBJECT: &str = "dbctl-rehearsal";
const SCOPE: &str = "dbctl-rehearsal";
const NONCES: u32 = 3;

/// Tokens and nonces that are known from outside.
#[derive(Default)]
pub struct Witness {
    /// Must be denied everywhere, for ever.
    revoked: Vec<String>,
    /// Must be accepted where they were issued.
    live: Vec<(String, String)>,
    /// Nobody may be given one of them again.
    nonces: Vec<NonceRange>,
}

type Said<T> = std::result::Result<T, String>;

impl Live {
    /// Has every target of `env` issue two tokens and revoke one of them, and reserve nonces.
    pub async fn plant(&self, env: &str, witness: &mut Witness) -> Result<Vec<String>> {
        let fleet = Fleet::everyone(self.environment(env)?)?;
        let planted = fleet.all(|m| async move { (plant_on(m).await, reserve(m).await) });
        let mut wrong = Vec::new();
        for (member, (tokens, nonces)) in planted.await {
            let name = &member.target.name;
            match tokens {
                Ok((live, revoked)) => {
                    witness.live.push((name.clone(), live));
                    witness.revoked.push(revoked);
                }
                Err(why) => wrong.push(format!("{name}: {why}")),
            }
            match nonces {
                Ok(range) => wrong.extend(witness.reserved(range)),
                Err(why) => wrong.push(format!("{name}: {why}")),
            }
        }
        Ok(wrong)
    }

    /// What is not as it was before anything was switched: modes, files, authentication, and what
    /// the witness knows.
    pub async fn astray(&self, env: &str, witness: &Witness) -> Result<Vec<String>> {
        let fleet = Fleet::everyone(self.environment(env)?)?;
        let (verdict, why) = self.modes_hold(env, Modes::LOCAL).await?;
        let mut wrong = Vec::new();
        if verdict != crate::check::Verdict::Pass {
            wrong.push(why);
        }
        for member in fleet.members() {
            let says = toggle::read(&member.target)?.modes;
            if says != Modes::LOCAL {
                let name = &member.target.name;
                wrong.push(format!("the env file of {name} says {says}"));
            }
        }
        wrong.extend(not_recovered(&fleet).await);
        let asked = fleet.all(|m| async move { witness.ask(m).await });
        wrong.extend(asked.await.into_iter().flat_map(|(_, wrong)| wrong));
        Ok(wrong)
    }
}

impl Witness {
    /// Forgets tokens that are to be accepted: they expire.
    pub fn begin_anew(&mut self) {
        self.live.clear();
    }

    /// Keeps a range; says where it holds a nonce that was given out before.
    fn reserved(&mut self, range: NonceRange) -> Option<String> {
        let again = self.nonces.iter().find(|old| {
            old.node_name == range.node_name
                && old.nonce_scope == range.nonce_scope
                && old.first <= range.last
                && range.first <= old.last
        });
        let again = again.map(|old| {
            format!(
                "{} was given nonces {} to {}, and some of them before ({} to {})",
                range.node_name, range.first, range.last, old.first, old.last
            )
        });
        self.nonces.push(range);
        again
    }

    async fn ask(&self, member: &Member) -> Vec<String> {
        let name = &member.target.name;
        let mut wrong = BTreeSet::new();
        for token in &self.revoked {
            match member.client.verify(token).await {
                Ok(answer) if !answer.body.allow => {}
                Ok(_) => {
                    wrong.insert(format!("{name} accepts a token that was revoked"));
                }
                Err(e) => {
                    wrong.insert(format!("{name}: {}", e.failure));
                }
            }
        }
        for (_, token) in self.live.iter().filter(|(issuer, _)| issuer == name) {
            match member.client.verify(token).await {
                Ok(answer) if answer.body.allow => {}
                Ok(answer) => {
                    let reason = answer.body.reason_code;
                    wrong.insert(format!("{name} denies a good token of its own: {reason}"));
                }
                Err(e) => {
                    wrong.insert(format!("{name}: {}", e.failure));
                }
            }
        }
        wrong.into_iter().collect()
    }
}

/// A token that stays good, and one that is revoked.
async fn plant_on(member: &Member) -> Said<(String, String)> {
    let request = IssueRequest {
        subject: SUBJECT.into(),
        session_id: None,
    };
    let said = |e: crate::carry::client::CallFailed| e.failure.to_string();
    let live = member.client.issue(&request).await.map_err(said)?;
    let revoked = member.client.issue(&request).await.map_err(said)?;
    let revoke = RevokeTokenRequest {
        token: Some(revoked.body.token.clone()),
        token_id: None,
        expires_at: None,
        reason: None,
    };
    member.client.revoke_token(&revoke).await.map_err(said)?;
    Ok((live.body.token, revoked.body.token))
}

async fn reserve(member: &Member) -> Said<NonceRange> {
    let reserved = member.client.nonces(SCOPE, NONCES).await;
    reserved.map(|r| r.body).map_err(|e| e.failure.to_string())
}
