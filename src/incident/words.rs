//! A decision in plain words. The reason codes are those of `docs/service-contract.md`; others
//! are the service's own and are quoted.

use jiff::{SignedDuration, Timestamp};

use super::explain::{Decision, Revoked, Thing};

/// Requests that ran side by side may be recorded in another order.
const SIDE_BY_SIDE: SignedDuration = SignedDuration::from_secs(5);

/// Why, and what does not fit together.
pub(super) fn why(d: &Decision) -> (String, Vec<String>) {
    let mut odd = Vec::new();
    let why = match d.reason_code.as_str() {
        "ok" if d.allow => allowed(d, &mut odd),
        "revoked_token" => revoked("token", d.token.as_ref(), d.at, &mut odd),
        "revoked_session" => revoked("session", d.session.as_ref(), d.at, &mut odd),
        "expired" => format!("the token had expired{}", expiry(d.token.as_ref())),
        "bad_signature" => format!(
            "{} did not sign the token: it was changed or forged",
            key(d)
        ),
        "malformed" => "what was shown is no token of this service: its shape, algorithm, claims, \
                        issuer or audience are wrong"
            .into(),
        "unknown_key" => {
            "no trusted key has the key id that the token names: unknown, retired or revoked".into()
        }
        "key_lookup_failed" => "the keys could not be asked, and what is unknown is denied".into(),
        "revocation_unavailable" => {
            "whether it is revoked could not be asked, and what is unknown is denied".into()
        }
        other => format!("the service's own reason is `{other}`"),
    };
    if d.allow == (d.reason_code != "ok") {
        odd.push(format!(
            "it was {}, and its reason is `{}`",
            if d.allow { "allowed" } else { "denied" },
            d.reason_code
        ));
    }
    if let (Some(kid), None) = (&d.kid, &d.key) {
        odd.push(format!(
            "no key version here has the kid {kid}: it was removed, or belongs to an instance in memory mode"
        ));
    }
    (why, odd)
}

fn key(d: &Decision) -> String {
    match (&d.key, &d.kid) {
        (Some(key), _) => format!("version {} of the key {}", key.version, key.key_id),
        (None, Some(kid)) => format!("the key {kid}"),
        (None, None) => "the key".into(),
    }
}

fn allowed(d: &Decision, odd: &mut Vec<String>) -> String {
    let things = [("token", &d.token), ("session", &d.session)];
    let (mut later, mut unknown) = (String::new(), String::new());
    for (what, thing) in things {
        let Some(thing) = thing else { continue };
        let (at, how) = match (&thing.revoked, &thing.revoked_by_event) {
            (Some(revoked), _) => (revoked.at, by(revoked)),
            (None, Some(event)) => (event.at, format!("at {}", time(event.at))),
            (None, None) => {
                if let Some(why) = &thing.not_followed {
                    unknown +=
                        &format!("; whether the {what} is revoked by now is not known: {why}");
                }
                continue;
            }
        };
        let since = d.at.duration_since(at);
        if since > SIDE_BY_SIDE {
            odd.push(format!(
                "the {what} was allowed {} after it had been revoked ({})",
                long(since),
                time(at)
            ));
        } else {
            later += &format!("; the {what} was revoked afterwards, {how}");
        }
    }
    if let Some(until) = d.key.as_ref().and_then(|k| k.valid_until)
        && d.at > until
    {
        odd.push(format!("{} verified until {} only", key(d), time(until)));
    }
    let signed = match &d.token {
        Some(_) => {
            let revoked = match unknown.is_empty() {
                true => "neither it nor its session was revoked",
                false => "the service found no revocation of it or its session",
            };
            format!(
                "{} signed the token, it had not expired, and {revoked}",
                key(d)
            )
        }
        None => "nothing spoke against it".to_owned(),
    };
    signed + &later + &unknown
}

fn revoked(what: &str, thing: Option<&Thing>, at: Timestamp, odd: &mut Vec<String>) -> String {
    let Some(thing) = thing else {
        return format!("the {what} is revoked; the decision does not say which");
    };
    match (&thing.revoked, &thing.revoked_by_event) {
        (Some(row), _) => {
            if row.at.duration_since(at) > SIDE_BY_SIDE {
                odd.push(format!(
                    "it was denied before the revocation that is here was made ({}): an earlier one is gone, or the clocks differ",
                    time(row.at)
                ));
            }
            let before = at.duration_since(row.at);
            let before = match before > SignedDuration::ZERO {
                true => format!(" ({} before)", long(before)),
                false => String::new(),
            };
            format!("the {what} was revoked {}{before}", by(row))
        }
        (None, Some(event)) => {
            let gone = "its row is gone, as it is once everything has expired";
            format!(
                "the {what} was revoked at {} in request {}; {}",
                time(event.at),
                event.request_id,
                thing.not_followed.as_deref().unwrap_or(gone)
            )
        }
        (None, None) => {
            let gone = "neither the row nor an event of it is here any more";
            let why = thing.not_followed.as_deref().unwrap_or(gone);
            format!("the {what} was revoked; {why}")
        }
    }
}

fn by(revoked: &Revoked) -> String {
    let mut text = format!("at {}", time(revoked.at));
    if let Some(by) = &revoked.by {
        text += &format!(" by {by}");
    }
    if let Some(reason) = &revoked.reason {
        text += &format!(" because of `{reason}`");
    }
    if let Some(request) = &revoked.request_id {
        text += &format!(" in request {request}");
    }
    text
}

/// When a token's time was over, as the event of its issue says.
fn expiry(token: Option<&Thing>) -> String {
    let issued = token.and_then(|t| t.issued.as_ref());
    let until = issued.and_then(|e| e.detail.get("expires_at")?.as_str());
    until.map_or_else(String::new, |until| format!(", at {until}"))
}

fn long(duration: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(duration.as_secs().max(1)))
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%F %T%.3f UTC").to_string()
}
