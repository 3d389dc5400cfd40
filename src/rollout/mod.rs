//! The guided rollout and rollback.
