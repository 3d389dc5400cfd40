//! dbctl moves a service's security runtime onto Postgres, and back, without losing a
//! revocation, reusing a nonce or locking anyone out.
//!
//! # The promises
//!
//! | | promise |
//! | --- | --- |
//! | P1 | No nonce is ever used twice. Wasting nonces is fine. |
//! | P2 | Nothing revoked comes back to life: not at cutover, rollback, restart or purge. |
//! | P3 | Every token that a live signer issued can be verified by every live verifier. |
//! | P4 | One driver: two operators never drive one run at the same time; a stale one is fenced off. |
//! | P5 | No effect happens twice. Intent is on disk before an effect and its outcome after. |
//! | P6 | No gate passes silently. Time that nobody observed is not bake time. |
//! | P7 | Rollback is always one command away, with Postgres, metrics and network gone. |
//! | P8 | The journal is append-only and tamper-evident; replaying it gives the live state. |
//! | P9 | Rollback preserves every row that Postgres holds. |
//! | P10 | No secret reaches argv, a log, an error, the journal, a report or a readable file. |
//! | P11 | What dbctl says is what happened. |
//!
//! # The rooms
//!
//! | room | what is in it | may call |
//! | --- | --- | --- |
//! | [`commands`] | one command, one file: arguments in, one domain call, output out | every room |
//! | [`settings`] | flags, environment and `dbctl.toml`, resolved once | the types of `keys`, `check`, `hooks` and `migrate` |
//! | [`migrate`] | files → checks → plan → apply → history; what git knew of the files before | `pg`, `programs` |
//! | [`keys`] | key lifecycle: seed, list, seal, JWKS | `pg` |
//! | [`runtime`] | what is being switched: revocation, nonce, key resolver, decisions; toggles | `keys`, `pg` |
//! | [`carry`] | carry-over both ways, the rollback kit, the service contract | `runtime`, `keys`, `pg` |
//! | [`check`] | preconditions, smoke checks, verification queries, metric gates → evidence and verdict | `migrate`, `keys`, `runtime`, `toggle`, `runbook`, `carry`, `pg`, `programs` |
//! | [`toggle`] | reading and setting toggles on targets | `runtime`, `carry` |
//! | [`runbook`] | Markdown → runbook with source positions → plan | the toggles of `runtime` |
//! | [`rollout`] | `machine` (pure), `engine`, `journal`, `lease` | `runbook`, the verdicts of `check`, `pg` |
//! | [`incident`] | what is to be kept of an incident, in one archive; why one request was decided as it was | the logs and results of `check`, the journal of `rollout`, the hidden ids of `runtime`, `pg` |
//! | [`hooks`] | telling others what happens in a run: commands, signed requests | `pg`, `programs` |
//! | [`programs`] | other people's programs, ended with all that they started | none |
//! | [`pg`] | connecting, scratch databases, identifiers, error classes | none |
//! | [`ui`] | tables, JSON, prompts, progress, the HTML report; the only room that prints | the verdicts of `check`, the report of `rollout`, the findings of `migrate` |
//! | [`demo`] | the reference service, its traffic, its faults | `runtime`, `keys`, `carry`, `pg` |
//!
//! Every room may use [`error`], [`settings`], [`durable`] and the types of [`contract`]; a test
//! reads this table. Domain rooms return values or emit events; they never print, prompt or exit.

pub mod carry;
pub mod check;
pub mod commands;
pub mod contract;
pub mod demo;
pub mod durable;
pub mod error;
pub mod hooks;
pub mod incident;
pub mod keys;
pub mod migrate;
pub mod pg;
pub mod programs;
pub mod rollout;
pub mod runbook;
pub mod runtime;
pub mod settings;
pub mod toggle;
pub mod ui;
