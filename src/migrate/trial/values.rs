//! Values that a column may hold, made up: long and large ones first, so that a change that narrows
//! a type meets what it would meet in production.

/// A column, as far as making up a value for it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Quoted.
    pub name: String,
    pub number: i16,
    /// The name of its type in the catalog; of what a domain is made of.
    pub r#type: String,
    /// Of the type: `S` for text, `N` for numbers, `A` for arrays and so on (`pg_type.typcategory`).
    pub category: char,
    /// As `format_type` has it, to cast to.
    pub written: String,
    /// Length of a text or a bit string, where it has one.
    pub length: Option<u32>,
    pub nullable: bool,
    /// Part of a key: no two rows have the same.
    pub unique: bool,
    /// Literals that a CHECK names, as they stand there.
    pub literals: Vec<String>,
    /// Of an enum.
    pub labels: Vec<String>,
}

impl Column {
    /// SQL expressions for row `n`, best first; never empty, and at most some dozen.
    pub fn candidates(&self, n: usize) -> Vec<String> {
        let mut all: Vec<String> = match self.category {
            _ if !self.labels.is_empty() => {
                let labels = self.labels.iter().cycle().skip(n).take(self.labels.len());
                labels.map(|l| crate::pg::literal(l)).collect()
            }
            'S' => self.texts(n),
            'N' => self.numbers(n),
            'B' => vec!["true".into(), "false".into()],
            'D' => self.times(n),
            'T' => vec![format!("'{} hours'", n + 1), "'0'".into()],
            'A' => vec!["'{}'".into()],
            'R' => vec!["'empty'".into()],
            'I' => vec![format!("'10.0.0.{}'", n % 250 + 1)],
            'V' => self.bits(),
            _ => self.others(n),
        };
        all.extend(self.of_lengths(n));
        // A literal of a CHECK on a column that must be unique would soon come twice.
        all.extend(self.literals.iter().cloned());
        if self.nullable {
            all.push("NULL".into());
        }
        all.iter()
            .map(|value| format!("({value})::{}", self.written))
            .collect()
    }

    fn texts(&self, n: usize) -> Vec<String> {
        let long = self.length.unwrap_or(40).clamp(1, 200) as usize;
        let number = n.to_string();
        let padded = format!("{number:x<long$}");
        // What makes it unique stands in front.
        let padded: String = padded.chars().take(long.max(number.len())).collect();
        [
            padded,
            format!("a{n}"),
            number,
            format!("a{n}@example.com"),
            format!("https://example.com/{n}"),
            "A".repeat(long.min(3)),
            "a".into(),
        ]
        .iter()
        .map(|text| format!("'{text}'"))
        .collect()
    }

    /// As long as a number in a CHECK says: `octet_length(hash) = 32`.
    fn of_lengths(&self, n: usize) -> Vec<String> {
        let numbers = self.literals.iter().filter_map(|l| l.parse::<usize>().ok());
        let lengths = numbers.filter(|length| (1..=1_000).contains(length));
        lengths
            .filter_map(|length| match self.r#type.as_str() {
                "bytea" => {
                    let number = format!("{n:0width$x}", width = length * 2);
                    Some(format!("'\\x{number}'"))
                }
                _ if self.category == 'S' => Some(format!("'{n:0length$}'")),
                _ => None,
            })
            .collect()
    }

    fn numbers(&self, n: usize) -> Vec<String> {
        let large = match self.r#type.as_str() {
            "int2" => 300,
            "int4" => 70_000,
            "int8" => 3_000_000_000_u64,
            _ => 1,
        };
        // Another one in each column, or every number would be a key of something.
        let large = large + n as u64 + 10 * u64::from(self.number.unsigned_abs());
        vec![
            large.to_string(),
            (n + 1).to_string(),
            "0".into(),
            "0.5".into(),
            format!("-{}", n + 1),
        ]
    }

    fn times(&self, n: usize) -> Vec<String> {
        match self.r#type.as_str() {
            "time" | "timetz" => vec![format!("'{:02}:00:00'", n % 24)],
            _ => vec![
                format!("now() - interval '{} days'", n + 1),
                format!("now() + interval '{} days'", n + 1),
                // Before and after what anybody made a partition for.
                format!("'1971-01-01'::date + {n}"),
                format!("'2199-01-01'::date + {n}"),
            ],
        }
    }

    fn bits(&self) -> Vec<String> {
        let long = self.length.unwrap_or(1).clamp(1, 1_000) as usize;
        vec![format!("B'{}'", "1".repeat(long))]
    }

    /// Types of no category of their own.
    fn others(&self, n: usize) -> Vec<String> {
        match self.r#type.as_str() {
            "uuid" => vec![format!("'00000000-0000-4000-8000-{n:012}'")],
            "json" | "jsonb" => vec![format!("'{{\"n\": {n}}}'"), "'{}'".into(), "'[]'".into()],
            "bytea" => vec![format!("'\\x{n:08x}'")],
            "xml" => vec![format!("'<n>{n}</n>'")],
            "point" => vec![format!("'({n},{n})'")],
            "macaddr" => vec![format!("'08:00:2b:01:02:{:02x}'", n % 256)],
            _ => vec![format!("'{n}'"), "''".into()],
        }
    }
}

/// The literals in the text of a CHECK or of a partition's bounds, as SQL: strings and numbers.
pub(super) fn literals(definition: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = definition;
    while let Some(at) = rest.find(|c: char| c == '\'' || c.is_ascii_digit()) {
        let before = rest[..at].chars().next_back();
        rest = &rest[at..];
        let length = if rest.starts_with('\'') {
            let mut end = 1;
            loop {
                match rest[end..].find('\'') {
                    None => return found,
                    Some(quote) if rest[end + quote + 1..].starts_with('\'') => end += quote + 2,
                    Some(quote) => break end + quote + 1,
                }
            }
        } else {
            rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(rest.len())
        };
        let literal = &rest[..length];
        // The 4 of `int4` and of `a4` is none.
        let is_part = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let counts = !is_part || literal.starts_with('\'');
        if counts && found.iter().all(|f| f != literal) {
            found.push(literal.to_owned());
        }
        rest = &rest[length..];
    }
    found.truncate(20);
    found
}
