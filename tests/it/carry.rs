//! Carry-over: what is revoked stays revoked, no nonce repeats and every live token can be
//! verified, across a switch to Postgres and back, whatever does not answer (P1, P2, P3, P7).

mod commands;
mod gap;
mod kit;
mod laws;
mod over;
mod postgres;
