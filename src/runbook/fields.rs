//! Reading a binding's TOML key by key, so that every mistake in it is found and has a place.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Fence;
use super::mistakes::{Mistakes, suggestion};
use super::model::Condition;

/// One TOML table and which of its keys were asked for. What nobody asked for is unknown.
pub struct Fields<'f> {
    fence: &'f Fence,
    table: &'f DeTable<'f>,
    /// Where the table stands in the document.
    span: Range<usize>,
    /// "step", "gate", "`measure`": what the table is called in a message.
    what: String,
    asked: Vec<&'static str>,
}

/// A value and its place in the document.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// A type that a TOML value can be read as.
pub trait Read: Sized {
    /// Completes "must be …"; with an example.
    const WANTED: &'static str;

    /// The value, or `None` when it has another type.
    ///
    /// # Errors
    /// Why it is out of range, and where in the fence's body if it is a part of the value.
    fn read(value: &DeValue) -> Result<Option<Self>, Wrong>;
}

/// What is wrong with a value of the right type.
pub struct Wrong {
    why: String,
    part: Option<Range<usize>>,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Wrong { why, part: None }
    }
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl<'f> Fields<'f> {
    pub fn new(fence: &'f Fence, table: &'f DeTable<'f>, what: impl Into<String>) -> Self {
        Self {
            fence,
            table,
            span: fence.info.clone(),
            what: what.into(),
            asked: Vec::new(),
        }
    }

    /// A table inside this one.
    pub fn inner(
        &self,
        table: &'f DeTable<'f>,
        span: Range<usize>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            fence: self.fence,
            table,
            span,
            what: what.into(),
            asked: Vec::new(),
        }
    }

    /// The span of the table, for what is missing in it.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.keys().any(|k| k.get_ref() == key)
    }

    /// The place in the document of a place in the fence.
    pub fn place(&self, in_body: Range<usize>) -> Range<usize> {
        self.fence.place(in_body)
    }

    /// The value as it stands, where the key is there.
    pub fn raw(&mut self, key: &'static str) -> Option<Placed<&'f DeValue<'f>>> {
        self.asked.push(key);
        let (_, value) = self.table.iter().find(|(k, _)| k.get_ref() == key)?;
        Some(Placed {
            value: value.get_ref(),
            span: self.fence.place(value.span()),
        })
    }

    /// The value of an optional key.
    pub fn get<T: Read>(
        &mut self,
        key: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<Placed<T>> {
        let raw = self.raw(key)?;
        match T::read(raw.value) {
            Ok(Some(value)) => Some(Placed {
                value,
                span: raw.span,
            }),
            Ok(None) => {
                let found = type_name(raw.value);
                mistakes.add(
                    raw.span,
                    format_args!("`{key}` has the wrong type: {found}"),
                    "wrong type",
                    format_args!("it must be {}", T::WANTED),
                );
                None
            }
            Err(Wrong { why, part }) => {
                mistakes.add(
                    part.map_or(raw.span, |part| self.fence.place(part)),
                    format_args!("`{key}`: {why}"),
                    "not possible",
                    format_args!("it must be {}", T::WANTED),
                );
                None
            }
        }
    }

    /// The value of a key that must be there; `example` is a value as TOML writes it.
    pub fn need<T: Read>(
        &mut self,
        key: &'static str,
        example: &str,
        mistakes: &mut Mistakes,
    ) -> Option<Placed<T>> {
        if !self.has(key) {
            self.asked.push(key);
            self.missing(key, example, mistakes);
            return None;
        }
        self.get(key, mistakes)
    }

    pub fn missing(&self, key: &str, example: &str, mistakes: &mut Mistakes) {
        mistakes.add(
            self.span(),
            format_args!("{} lacks `{key}`", self.what),
            format_args!("no `{key}`"),
            format_args!("add {key} = {example}"),
        );
    }

    /// Reports the keys that nobody asked for. `elsewhere` says where else a key is at home.
    pub fn finish(&self, mistakes: &mut Mistakes, elsewhere: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = elsewhere(name).unwrap_or_else(|| suggestion(name, &self.asked));
            mistakes.add(
                self.fence.place(key.span()),
                format_args!("{} has no key `{name}`", self.what),
                "unknown key",
                hint,
            );
        }
    }
}

/// The table of a binding, and whether its TOML is sound. The first mistake of each line is
/// reported; what an unclosed bracket or quote drags along is not.
pub fn parse<'f>(fence: &'f Fence, mistakes: &mut Mistakes) -> (Spanned<DeTable<'f>>, bool) {
    let (table, mut errors) = DeTable::parse_recoverable(&fence.body);
    let sound = errors.is_empty();
    if !fence.closed {
        errors.clear();
    }
    errors.sort_by_key(|e| e.span().map_or(usize::MAX, |s| s.start));
    if errors.iter().any(|e| e.message().starts_with("unclosed")) {
        errors.truncate(1);
    }
    let mut last_line = None;
    for error in errors {
        let span = fence.place(error.span().unwrap_or(0..0));
        let line = mistakes.position(span.start).line;
        if last_line.replace(line) == Some(line) {
            continue;
        }
        mistakes.add(
            span,
            format_args!("not TOML: {}", error.message()),
            "here",
            "docs/runbooks.md has an example of every binding",
        );
    }
    (table, sound)
}

fn type_name(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "it is a string",
        DeValue::Integer(_) => "it is an integer",
        DeValue::Float(_) => "it is a number with a fraction",
        DeValue::Boolean(_) => "it is true or false",
        DeValue::Datetime(_) => "it is a time",
        DeValue::Array(_) => "it is a list",
        DeValue::Table(_) => "it is a table",
    }
}

impl Read for String {
    const WANTED: &'static str = "a string, in quotes, and not empty";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        match value.as_str() {
            Some(text) if text.trim().is_empty() => Err("it is empty".into()),
            text => Ok(text.map(str::to_owned)),
        }
    }
}

impl Read for bool {
    const WANTED: &'static str = "true or false, without quotes";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        Ok(value.as_bool())
    }
}

impl Read for u64 {
    const WANTED: &'static str = "a whole number from 0, such as 20";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        let Some(integer) = value.as_integer() else {
            return Ok(None);
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .map(Some)
            .map_err(|_| format!("{} is out of range", integer.as_str()).into())
    }
}

impl Read for f64 {
    const WANTED: &'static str = "a number from 0, such as 0.01";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        let text = match (value.as_float(), value.as_integer()) {
            (Some(float), _) => float.as_str(),
            (None, Some(integer)) if integer.radix() == 10 => integer.as_str(),
            _ => return Ok(None),
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
            _ => Err(format!("{text} is out of range").into()),
        }
    }
}

impl Read for Duration {
    const WANTED: &'static str = "a duration in quotes, such as \"30m\", \"90s\" or \"1h 30m\"";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        match value.as_str() {
            Some(text) => Ok(Some(crate::settings::parse_duration(text)?)),
            None => Ok(None),
        }
    }
}

/// A duration that may be none at all.
#[derive(Debug, Clone, Copy)]
pub struct OrNone(pub Duration);

impl Read for OrNone {
    const WANTED: &'static str = "a duration in quotes, such as \"30m\", or \"0s\"";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        match value.as_str().map(str::trim) {
            Some("0s" | "0m" | "0h") => Ok(Some(OrNone(Duration::ZERO))),
            Some(_) => Ok(Duration::read(value)?.map(OrNone)),
            None => Ok(None),
        }
    }
}

impl Read for Condition {
    const WANTED: &'static str = "a comparison with a number, such as \"<= 0.01\" or \"> 0.02\"";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        match value.as_str() {
            Some(text) => Ok(Some(text.parse::<Condition>()?)),
            None => Ok(None),
        }
    }
}

/// A list of names, each with its place in the fence's body.
pub type Names = Vec<Spanned<String>>;

impl Read for Names {
    const WANTED: &'static str = "a list of strings, such as [\"one\", \"two\"]";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        let Some(names) = strings(value)? else {
            return Ok(None);
        };
        match names.iter().find(|n| n.get_ref().is_empty()) {
            Some(empty) => Err(Wrong {
                why: "a name is empty".into(),
                part: Some(empty.span()),
            }),
            None => Ok(Some(names)),
        }
    }
}

/// A program with its arguments: at least the program.
#[derive(Debug, Clone)]
pub struct Argv(pub Vec<String>);

impl Read for Argv {
    const WANTED: &'static str =
        "the program and its arguments as a list, such as [\"sh\", \"-c\", \"…\"]";

    fn read(value: &DeValue) -> Result<Option<Self>, Wrong> {
        let Some(words) = strings(value)? else {
            return Ok(None);
        };
        let argv: Vec<String> = words.into_iter().map(Spanned::into_inner).collect();
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(Some(Argv(argv))),
            _ => Err("it names no program".into()),
        }
    }
}

fn strings(value: &DeValue) -> Result<Option<Vec<Spanned<String>>>, Wrong> {
    let Some(array) = value.as_array() else {
        return Ok(None);
    };
    let read = |item: &Spanned<DeValue>| match item.get_ref().as_str() {
        Some(text) => Ok(Spanned::new(item.span(), text.to_owned())),
        None => Err(Wrong {
            why: format!("an item has the wrong type: {}", type_name(item.get_ref())),
            part: Some(item.span()),
        }),
    };
    array.iter().map(read).collect::<Result<_, _>>().map(Some)
}
