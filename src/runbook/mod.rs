//! Runbooks: a Markdown document that people read and that binds headings to something executable.

pub mod model;
pub mod plan;
