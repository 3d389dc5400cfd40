//! Names of tables, schemas and databases, quoted wherever they go into SQL.

use std::fmt;

use crate::error::{Exit, Problem, Result};

/// A name that Postgres takes as it is. Displayed quoted, so that it can be put into SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identifier(String);

impl Identifier {
    /// Longer names are cut off by the server (`NAMEDATALEN`), silently: refused here.
    const MAX_BYTES: usize = 63;

    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let wrong = if name.is_empty() {
            Some("it is empty")
        } else if name.len() > Self::MAX_BYTES {
            Some("it is longer than 63 bytes")
        } else if name.contains('\0') {
            Some("it holds a NUL character")
        } else {
            None
        };
        match wrong {
            None => Ok(Self(name)),
            Some(wrong) => Err(Problem::new(
                Exit::Config,
                format!("reading the name `{}`", name.escape_debug()),
                wrong,
            )),
        }
    }

    /// The name itself, without quotes: for binds, never for SQL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}
