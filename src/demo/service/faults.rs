//! Faults on purpose, for demonstrations and tests. They model a broken Postgres runtime: going
//! back to memory or file cures them.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runtime::{Fault, Injected};

/// `POST /v1/faults`: what is broken from now on; what is left out is whole.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSettings {
    /// Share of key look-ups in Postgres that fail, 0 to 1.
    pub key_lookup_failure_ratio: f64,
    /// How much longer every revocation check in Postgres takes.
    pub revocation_delay_ms: u64,
    /// Share of requests that fail with 500 while the runtime mode is Postgres, 0 to 1.
    pub error_ratio: f64,
    /// Every nonce request to the Postgres store fails.
    pub nonce_errors: bool,
}

/// The faults of one service, shared with its adapters.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<RwLock<FaultSettings>>);

impl Faults {
    pub fn get(&self) -> FaultSettings {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, settings: FaultSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// A fault that adapters ask for each operation.
    pub fn fault(&self, which: fn(FaultSettings) -> Injected) -> Fault {
        let faults = self.clone();
        Fault::new(move || which(faults.get()))
    }
}

pub(super) fn key_lookup(f: FaultSettings) -> Injected {
    Injected {
        fail: happens(f.key_lookup_failure_ratio),
        delay: Duration::ZERO,
    }
}

pub(super) fn revocation(f: FaultSettings) -> Injected {
    Injected {
        fail: false,
        delay: Duration::from_millis(f.revocation_delay_ms),
    }
}

pub(super) fn nonce(f: FaultSettings) -> Injected {
    Injected {
        fail: f.nonce_errors,
        delay: Duration::ZERO,
    }
}

/// Whether something of this likelihood happens now.
pub(super) fn happens(ratio: f64) -> bool {
    ratio > 0.0 && rand::random::<f64>() < ratio
}
