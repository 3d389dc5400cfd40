//! What is being switched: revocation, nonces, key resolution, the decision log, each with its
//! local and its Postgres adapter, and the four toggles that choose between them.

pub mod toggles;
