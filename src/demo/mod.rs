//! The reference service, its traffic and its faults.
