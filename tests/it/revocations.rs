//! Revocations that are kept in memory and followed: the bound, what happens without Postgres, and
//! that none is missed.

mod cached;
mod model;
