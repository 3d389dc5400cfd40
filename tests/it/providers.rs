//! Where gates and triggers get their numbers: a real Prometheus, a database, a program, a JSON
//! answer; what is found before a run, and what a run does when they are gone (P6).

mod asked;
mod before;
mod logs;
mod margins;
mod past;
mod recorded;
mod restarts;
mod scene;
mod tokens;
mod watched;
