//! Whether a revocation is gone before its time, or was not heeded (P2).
//!
//! A row that is gone cannot be seen, so others are asked who know of it: events that say that
//! something was revoked and until when its tokens are good, decisions that were denied by it,
//! and the rollback kit of this machine.

use jiff::{SignedDuration, Timestamp};

use super::{Integrity, LOOK_BACK, Looked};
use crate::carry::kit::Kit;
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, problem};
use crate::runtime::CLOCK_SKEW;

/// Requests that ran side by side on one instance may be recorded in another order.
const SIDE_BY_SIDE_S: f64 = 5.0;

/// Something that must be revoked still: what, its id, until when its last token is good, who says so.
struct Due {
    what: &'static str,
    id: String,
    until: Timestamp,
    source: &'static str,
}

impl Integrity<'_> {
    pub(super) async fn revocations(&self) -> Result<Looked> {
        let doing = "comparing revocations with what events and decisions say";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let back = LOOK_BACK.as_secs_f64();
        let (tokens, sessions, recorded, now): (i64, i64, i64, i64) = pg::query_as(COUNTS)
            .bind(back)
            .fetch_one(&mut *tx)
            .await
            .map_err(fail)?;
        let now =
            Timestamp::from_microsecond(now).map_err(|e| Problem::new(Exit::Failed, doing, e))?;
        let missing: Vec<(String, String, Option<String>)> = pg::query_as(MISSING)
            .bind(back)
            .fetch_all(&mut *tx)
            .await
            .map_err(fail)?;
        let revived: Vec<(String, String, String, String)> = pg::query_as(REVIVED)
            .bind(back)
            .bind(CLOCK_SKEW.as_secs_f64())
            .bind(SIDE_BY_SIDE_S)
            .fetch_all(&mut *tx)
            .await
            .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let mut looked = Looked::default();
        looked.saw(
            "revoked now",
            format_args!("{tokens} tokens, {sessions} sessions"),
        );
        looked.saw(
            "revocations that events and decisions of 7 days know",
            recorded,
        );
        let mut due: Vec<Due> = missing
            .into_iter()
            .filter_map(|(what, id, until)| {
                Some(Due {
                    what: if what == "session" {
                        "session"
                    } else {
                        "token"
                    },
                    id,
                    until: until?.parse().ok()?,
                    source: "events",
                })
            })
            .collect();
        let of_kit = self.due_by_the_kit(&mut due, &mut looked).await?;
        told(due, now, &self.env_flag(), &mut looked);
        for (token, denied, allowed, instance) in revived {
            looked.fail(
                format!("token {token}"),
                format!(
                    "the token {token} was denied as revoked at {denied} and allowed again by {instance} at {allowed}"
                ),
                format!(
                    "dbctl{} incident explain REQUEST_ID of that decision says why; revoke it once more: \
                     POST /v1/tokens/revoke {{\"token_id\": \"{token}\"}}",
                    self.env_flag()
                ),
            );
        }
        if recorded == 0 && of_kit == 0 {
            looked.unknown(
                "records",
                "no event, no decision and no rollback kit knows of a revocation, so that none would be missed",
                format!(
                    "dbctl{} smoke revokes a token and leaves the records to judge by",
                    self.env_flag()
                ),
            );
        }
        Ok(looked.otherwise(format!(
            "{tokens} tokens and {sessions} sessions are revoked, and none of {} that were recorded is missing",
            recorded.saturating_add(of_kit)
        )))
    }

    /// What the rollback kit holds and Postgres does not; how much it holds.
    async fn due_by_the_kit(&self, due: &mut Vec<Due>, looked: &mut Looked) -> Result<i64> {
        let Some(env) = self.env else {
            return Ok(0);
        };
        let Some(kept) = Kit::of(self.settings, env)?.load()? else {
            return Ok(0);
        };
        let snapshot = kept.snapshot;
        looked.saw("rollback kit of", snapshot.taken_at);
        let doing = "comparing revocations with the rollback kit";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let tokens: Vec<&str> = snapshot
            .revoked_tokens
            .iter()
            .map(|r| &*r.token_id)
            .collect();
        let sessions = snapshot.revoked_sessions.iter();
        let sessions: Vec<&str> = sessions.map(|r| &*r.session_id).collect();
        let (no_token, no_session): (Vec<String>, Vec<String>) = pg::query_as(
            "SELECT ARRAY(SELECT id FROM unnest($1::text[]) id WHERE NOT EXISTS \
                          (SELECT FROM security.revoked_tokens t WHERE t.token_id = id)), \
                    ARRAY(SELECT id FROM unnest($2::text[]) id WHERE NOT EXISTS \
                          (SELECT FROM security.revoked_sessions s WHERE s.session_id = id))",
        )
        .bind(&tokens)
        .bind(&sessions)
        .fetch_one(&mut *tx)
        .await
        .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let source = "the rollback kit";
        let no_token: std::collections::BTreeSet<String> = no_token.into_iter().collect();
        let no_session: std::collections::BTreeSet<String> = no_session.into_iter().collect();
        for r in &snapshot.revoked_tokens {
            if no_token.contains(&r.token_id) {
                let (id, until) = (r.token_id.clone(), r.expires_at);
                due.push(Due {
                    what: "token",
                    id,
                    until,
                    source,
                });
            }
        }
        for r in &snapshot.revoked_sessions {
            if no_session.contains(&r.session_id) {
                let (id, until) = (r.session_id.clone(), r.expires_at);
                due.push(Due {
                    what: "session",
                    id,
                    until,
                    source,
                });
            }
        }
        Ok(i64::try_from(tokens.len() + sessions.len()).unwrap_or(i64::MAX))
    }
}

/// Of what is missing, that whose time has not come. Each once, with the latest time.
fn told(mut due: Vec<Due>, now: Timestamp, flag: &str, looked: &mut Looked) {
    due.sort_by(|a, b| (a.what, &a.id, b.until).cmp(&(b.what, &b.id, a.until)));
    due.dedup_by(|a, b| (a.what, &a.id) == (b.what, &b.id));
    let skew = SignedDuration::try_from(CLOCK_SKEW).unwrap_or(SignedDuration::ZERO);
    for Due {
        what,
        id,
        until,
        source,
    } in due
    {
        let kept_until = until.checked_add(skew).unwrap_or(Timestamp::MAX);
        if kept_until <= now {
            continue;
        }
        looked.fail(
            format!("{what} {id}"),
            format!(
                "the {what} {id} was revoked, as {source} say, and the row is gone: it must stay until {kept_until:.0}"
            ),
            format!(
                "psql: INSERT INTO security.revoked_{what}s ({what}_id, expires_at, reason) VALUES ({}, '{until}', 'restored') \
                 ON CONFLICT DO NOTHING; then find out who removed it: dbctl{flag} security check says whether a trigger is off",
                super::literal(&id)
            ),
        );
    }
}

const COUNTS: &str = "\
SELECT (SELECT count(*) FROM security.revoked_tokens WHERE expires_at > now()),
       (SELECT count(*) FROM security.revoked_sessions WHERE expires_at > now()),
       (SELECT count(*) FROM security.events
         WHERE kind IN ('token.revoked', 'session.revoked') AND created_at >= now() - $1 * interval '1 second')
     + (SELECT count(*) FROM authz.policy_decisions
         WHERE reason_code IN ('revoked_token', 'revoked_session') AND created_at >= now() - $1 * interval '1 second'),
       (extract(epoch FROM now()) * 1000000)::bigint";

/// Issued lately, known to have been revoked, and the revocation is not there: with the time
/// until which the token is good, as the event of its issue says.
const MISSING: &str = "\
WITH issued AS MATERIALIZED (
  SELECT subject_id AS token_id, detail->>'session_id' AS session_id, detail->>'expires_at' AS until
    FROM security.events
   WHERE kind = 'token.issued' AND created_at >= now() - $1 * interval '1 second'),
revoked AS MATERIALIZED (
  SELECT kind, subject_id FROM security.events
   WHERE kind IN ('token.revoked', 'session.revoked') AND created_at >= now() - $1 * interval '1 second'),
denied AS MATERIALIZED (
  SELECT reason_code, token_id, session_id FROM authz.policy_decisions
   WHERE reason_code IN ('revoked_token', 'revoked_session') AND created_at >= now() - $1 * interval '1 second')
SELECT DISTINCT 'token', i.token_id, i.until FROM issued i
 WHERE (i.token_id IN (SELECT subject_id FROM revoked WHERE kind = 'token.revoked')
        OR i.token_id IN (SELECT token_id FROM denied WHERE reason_code = 'revoked_token'))
   AND NOT EXISTS (SELECT FROM security.revoked_tokens t WHERE t.token_id = i.token_id)
UNION ALL
SELECT DISTINCT 'session', i.session_id, i.until FROM issued i
 WHERE (i.session_id IN (SELECT subject_id FROM revoked WHERE kind = 'session.revoked')
        OR i.session_id IN (SELECT session_id FROM denied WHERE reason_code = 'revoked_session'))
   AND NOT EXISTS (SELECT FROM security.revoked_sessions s WHERE s.session_id = i.session_id)";

/// Denied as revoked, and allowed by a later decision about the same.
const REVIVED: &str = "\
WITH denied AS MATERIALIZED (
  SELECT token_id, action, instance, min(created_at) AS at FROM authz.policy_decisions
   WHERE reason_code IN ('revoked_token', 'revoked_session') AND token_id IS NOT NULL
     AND created_at >= now() - $1 * interval '1 second'
   GROUP BY 1, 2, 3)
SELECT d.token_id, to_char(min(d.at), 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(max(a.created_at), 'YYYY-MM-DD HH24:MI:SS.MS'), min(a.instance)
  FROM denied d JOIN authz.policy_decisions a ON a.token_id = d.token_id AND a.action = d.action AND a.allow
 WHERE a.created_at >= now() - $1 * interval '1 second'
   AND a.created_at > d.at + CASE WHEN a.instance = d.instance THEN $3 ELSE $2 END * interval '1 second'
 GROUP BY 1 ORDER BY 1 LIMIT 100";
