//! How fast nonces are used up: what a rollback from the kit must add to their tops (P1).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::carry::client::age;
use crate::contract::{Snapshot, Watermark};

/// The fastest rise of one watermark, slowly forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pace {
    node_name: String,
    nonce_scope: String,
    per_second: f64,
}

impl Pace {
    fn is_of(&self, w: &Watermark) -> bool {
        (&self.node_name, &self.nonce_scope) == (&w.node_name, &w.nonce_scope)
    }
}

/// How each watermark rose from `before` to `after`, or how it rose earlier, whichever is faster;
/// what is old loses a tenth each time.
pub(super) fn paces(before: Option<&Snapshot>, old: &[Pace], after: &Snapshot) -> Vec<Pace> {
    let Some(before) = before else {
        return Vec::new();
    };
    let seconds = age(before.taken_at, after.taken_at).as_secs_f64();
    let pace = |w: &Watermark| {
        let same =
            |b: &&Watermark| (&b.node_name, &b.nonce_scope) == (&w.node_name, &w.nonce_scope);
        let earlier = before.watermarks.iter().find(same)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rise = (w.reserved_high - earlier.reserved_high) as f64;
        let now = if seconds > 0.0 { rise / seconds } else { 0.0 };
        let known = old.iter().find(|p| p.is_of(w));
        let known = known.map_or(0.0, |p| p.per_second * 0.9);
        Some(Pace {
            node_name: w.node_name.clone(),
            nonce_scope: w.nonce_scope.clone(),
            per_second: now.max(known),
        })
    };
    after.watermarks.iter().filter_map(pace).collect()
}

/// Raises every watermark by one window and by twice of what may have been used since the snapshot
/// was taken, in whole windows.
pub(super) fn with_margin_for_age(snapshot: &Snapshot, paces: &[Pace], now: Timestamp) -> Snapshot {
    let seconds = age(snapshot.taken_at, now).as_secs_f64();
    let mut raised = snapshot.clone();
    for w in &mut raised.watermarks {
        let window = w.window_size.max(1);
        let pace = paces
            .iter()
            .find(|p| p.is_of(w))
            .map_or(0.0, |p| p.per_second);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "an estimate; the cast saturates"
        )]
        let used = (pace * seconds * 2.0 / window as f64).ceil() as i64;
        let margin = window.saturating_mul(used.saturating_add(1));
        w.reserved_high = w.reserved_high.saturating_add(margin);
    }
    raised
}
