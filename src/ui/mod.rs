//! The only room that prints. stdout is data, stderr is status and errors; everything can be
//! understood without colour, at 80 columns.

mod amounts;
mod chart;
mod checks;
pub mod findings;
pub mod interrupts;
mod lines;
mod progress;
mod prompt;
mod report_page;
mod table;
mod times;
mod waiting;

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};

use serde::Serialize;

use crate::check::Verdict;
use crate::error::{Problem, Result};
use crate::settings::{ColorChoice, Format, Settings};

pub use amounts::amount;
pub use chart::{Course, chart};
pub use checks::Explain;
pub use progress::{BakeView, Limit, Seen, Watched};
pub use prompt::{Answer, Confirmed};
pub use report_page::report_page;
pub use table::{middle, printable, table};
pub use times::{clock_time, in_column, moment};
pub use waiting::WaitView;

/// Something that a command answers with: for programs through [`Serialize`], for people through
/// [`Report::human`].
pub trait Report: Serialize {
    /// Name and version of the JSON's shape, such as `dbctl.migrate.list/1`. It only changes
    /// when a field changes its meaning or goes.
    const SCHEMA: &'static str;

    /// Writes what a person reads. Ends with a newline.
    fn human(&self, out: &mut Screen) -> fmt::Result;
}

/// Text under construction, with the style of the terminal that it is for.
pub struct Screen {
    text: String,
    color: bool,
    width: usize,
    /// People read it on a terminal, so that lines that are too long for it are folded.
    folds: bool,
}

impl fmt::Write for Screen {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.text.write_str(s)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Unsure,
    Quiet,
    Strong,
}

impl Screen {
    pub fn new(color: bool, width: usize) -> Self {
        Self {
            text: String::new(),
            color,
            width,
            folds: false,
        }
    }

    /// Columns of the terminal; 80 where there is none.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `text` in a tone. The tone only ever repeats what the words say.
    pub fn tone(&self, tone: Tone, text: impl fmt::Display) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31;1",
            Tone::Unsure => "33",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// The mark of a verdict, one column wide.
    pub fn mark(&self, verdict: Verdict) -> String {
        let (tone, mark) = mark_of(verdict);
        self.tone(tone, mark)
    }

    /// A verdict's mark and its word, in columns of their own: padded to `width`.
    pub fn verdict_padded(&self, verdict: Verdict, width: usize) -> String {
        let (tone, mark) = mark_of(verdict);
        self.tone(
            tone,
            format_args!("{:<width$}", format!("{mark} {verdict}")),
        )
    }

    /// `text` on lines that fit, each starting with `indent` spaces.
    pub fn wrapped(&mut self, indent: usize, text: &str) -> fmt::Result {
        self.hanging(&" ".repeat(indent), text)
    }

    /// `text` behind `head` on lines that fit, those after the first indented as far.
    pub fn hanging(&mut self, head: &str, text: &str) -> fmt::Result {
        let indent = " ".repeat(head.chars().count());
        let options = textwrap::Options::new(self.width)
            .initial_indent(head)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let words: Vec<&str> = text.split_whitespace().collect();
        writeln!(self.text, "{}", textwrap::fill(&words.join(" "), options))
    }

    pub fn into_string(self) -> String {
        self.text
    }
}

const fn mark_of(verdict: Verdict) -> (Tone, &'static str) {
    match verdict {
        Verdict::Pass => (Tone::Good, "✓"),
        Verdict::Fail => (Tone::Bad, "✗"),
        Verdict::Inconclusive => (Tone::Unsure, "?"),
        Verdict::Error => (Tone::Bad, "!"),
    }
}

/// Where output goes and what it looks like.
#[derive(Debug, Clone)]
pub struct Ui {
    pub format: Format,
    color_out: bool,
    color_err: bool,
    no_input: bool,
    verbose: u8,
}

impl Ui {
    pub fn new(settings: &Settings) -> Self {
        Self::from_parts(
            settings.format,
            settings.color,
            settings.no_input,
            settings.verbose,
        )
    }

    pub fn from_parts(format: Format, color: ColorChoice, no_input: bool, verbose: u8) -> Self {
        let allowed = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        Self {
            format,
            color_out: allowed(std::io::stdout().is_terminal()),
            color_err: allowed(std::io::stderr().is_terminal()),
            no_input,
            verbose,
        }
    }

    /// The same, but nobody is ever asked, as with `--no-input`.
    pub fn unattended(&self) -> Self {
        Self {
            no_input: true,
            ..self.clone()
        }
    }

    /// A screen for stdout.
    pub fn screen(&self) -> Screen {
        Screen::new(self.color_out, width())
    }

    /// A screen for stderr.
    pub fn status_screen(&self) -> Screen {
        Screen {
            folds: std::io::stderr().is_terminal(),
            ..Screen::new(self.color_err, width())
        }
    }

    /// Prints a command's answer on stdout, in the format that was asked for.
    pub fn report<R: Report>(&self, report: &R) -> Result<()> {
        let text = match self.format {
            Format::Human => {
                let mut screen = self.screen();
                report
                    .human(&mut screen)
                    .expect("writing to a string cannot fail");
                screen.into_string()
            }
            Format::Json => {
                #[derive(Serialize)]
                struct Tagged<'a, R> {
                    schema: &'static str,
                    #[serde(flatten)]
                    body: &'a R,
                }
                let tagged = Tagged {
                    schema: R::SCHEMA,
                    body: report,
                };
                let json = serde_json::to_string_pretty(&tagged).expect("a report is plain data");
                escape_controls(&json) + "\n"
            }
        };
        self.data(&text)
    }

    /// Writes records of somebody else's data on stdout, as they are; on a terminal with control
    /// characters made visible, since data must never drive a terminal.
    pub fn records(&self, text: &str) -> Result<()> {
        if !std::io::stdout().is_terminal() {
            return self.data(text);
        }
        let visible: String = text
            .lines()
            .map(|line| table::printable(line) + "\n")
            .collect();
        self.data(&visible)
    }

    /// Writes on stdout as it is. A reader that went away (`| head`) ends the output quietly.
    pub fn data(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Problem::new(
                crate::error::Exit::Failed,
                "writing the answer",
                e,
            )),
            _ => Ok(()),
        }
    }

    /// A line of status on stderr.
    pub fn status(&self, text: impl fmt::Display) {
        let mut screen = self.status_screen();
        screen
            .fold(&text.to_string())
            .expect("writing to a string cannot fail");
        // A closed stderr must not end a rollout.
        let _ = std::io::stderr()
            .lock()
            .write_all(screen.into_string().as_bytes());
    }

    /// A question on stderr, the cursor left behind it.
    fn question(&self, text: &str) {
        let text = self.rows_of_question(text).join("\n") + " ";
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// A question as it is folded for the terminal.
    fn rows_of_question(&self, text: &str) -> Vec<String> {
        let mut screen = self.status_screen();
        screen.fold(text).expect("writing to a string cannot fail");
        let folded = screen.into_string();
        folded.trim_end().lines().map(str::to_owned).collect()
    }

    /// How wide the terminal really is that status goes to; nothing where it does not say.
    fn columns_of_terminal(&self) -> usize {
        use indicatif::TermLike as _;
        usize::from(dialoguer::console::Term::stderr().width())
    }

    /// Draws `line` over the row that lies so many above the cursor, which stays where it is.
    fn draw_above(&self, rows: usize, line: &str) {
        let text = format!("\x1b7\x1b[{rows}A\r\x1b[2K{line}\x1b8");
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Our stderr for a child process that somebody else's output belongs to.
    pub fn stderr_of_child() -> std::process::Stdio {
        std::process::Stdio::from(std::io::stderr())
    }

    /// A warning on stderr.
    pub fn warn(&self, text: impl fmt::Display) {
        let word = self.status_screen().tone(Tone::Unsure, "warning:");
        self.status(format_args!("{word} {text}"));
    }

    /// A line of status that is only wanted with `-v`.
    pub fn detail(&self, text: impl fmt::Display) {
        if self.verbose > 0 {
            self.status(text);
        }
    }

    /// Whether somebody sits in front of it and may be asked. Nobody does in front of a background
    /// job: reading from its terminal would stop it, and with it all that it watches.
    pub fn can_ask(&self) -> bool {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        !self.no_input && terminal && in_foreground()
    }

    /// A bar that counts to `length`; hidden where nothing can be drawn over itself.
    pub fn counting(&self, length: u64) -> indicatif::ProgressBar {
        let target = if self.can_redraw() {
            indicatif::ProgressDrawTarget::stderr()
        } else {
            indicatif::ProgressDrawTarget::hidden()
        };
        indicatif::ProgressBar::with_draw_target(Some(length), target)
    }

    /// Whether progress may be drawn over itself: on a terminal that somebody watches. A log (CI), a
    /// terminal that knows nothing (`TERM=dumb`) and who wants it plain (`NO_COLOR`) get lines.
    pub fn can_redraw(&self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let plain = dumb || set("NO_COLOR") || set("CI");
        self.format == Format::Human && std::io::stderr().is_terminal() && !plain
    }

    /// Prints an error and what to do next on stderr; as JSON where that was asked for.
    pub fn problem(&self, problem: &Problem) {
        let text = match self.format {
            Format::Human => self.problem_text(problem),
            Format::Json => problem_json(problem).to_string() + "\n",
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn problem_text(&self, problem: &Problem) -> String {
        let mut screen = self.status_screen();
        let _ = screen.problem(problem);
        screen.into_string()
    }
}

#[cfg(unix)]
fn in_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(std::io::stdin());
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(not(unix))]
fn in_foreground() -> bool {
    true
}

impl Screen {
    /// A problem with its place in the file and what to do next, then those related to it.
    pub fn problem(&mut self, problem: &Problem) -> fmt::Result {
        let word = self.tone(Tone::Bad, "error:");
        self.fold(&format!("{word} {problem}"))?;
        place_and_hint(self, problem)?;
        for other in problem.all_related() {
            // What was being done is said once, unless it was something else.
            if other.doing() == problem.doing() {
                self.fold(&format!("{word} {}", other.cause()))?;
            } else {
                self.fold(&format!("{word} {other}"))?;
            }
            place_and_hint(self, other)?;
        }
        Ok(())
    }

    /// Text as it is where a program reads it, and lines that fit on a terminal. A command is
    /// never broken, since people copy it: what explains it goes to a line of its own.
    fn fold(&mut self, text: &str) -> fmt::Result {
        text.split('\n').try_for_each(|line| self.fold_line(line))
    }

    fn fold_line(&mut self, line: &str) -> fmt::Result {
        if !self.folds || textwrap::core::display_width(line) <= self.width {
            return writeln!(self, "{line}");
        }
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let Some(command) = line.find("dbctl ") else {
            return self.hanging(&" ".repeat(indent), text);
        };
        match line[command..].split_once("   ") {
            Some((_, explained)) => {
                let before = line.len() - explained.len();
                writeln!(self, "{}", line[..before].trim_end())?;
                self.wrapped(command + 2, explained)
            }
            None => writeln!(self, "{line}"),
        }
    }
}

fn place_and_hint(screen: &mut Screen, problem: &Problem) -> fmt::Result {
    if problem.line_column().is_some() {
        snippet(screen, &Snippet(problem))?;
    }
    if let Some(next) = problem.hint() {
        for (i, line) in next.lines().enumerate() {
            let lead = if i == 0 { "  next: " } else { "        " };
            screen.fold(&format!("{lead}{line}"))?;
        }
    }
    Ok(())
}

/// The lines of a file that something is about, and nothing else that is said of it.
fn snippet(screen: &mut Screen, place: &dyn miette::Diagnostic) -> fmt::Result {
    let theme = if screen.color {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let width = screen.width();
    let mut rendered = String::new();
    miette::GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .without_cause_chain()
        .render_report(&mut rendered, place)?;
    // The message stands above already.
    let snippet = rendered.lines().skip_while(|l| !l.contains('╭'));
    for line in snippet {
        writeln!(screen, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Escapes what JSON allows in a string but a terminal may obey: DEL and the controls behind it
/// (U+009B begins an escape sequence). Outside of strings JSON has none of them.
fn escape_controls(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if c >= '\u{7f}' && c.is_control() {
            let _ = write!(clean, "\\u{:04x}", c as u32);
        } else {
            clean.push(c);
        }
    }
    clean
}

/// A problem reduced to its place in a file.
#[derive(Debug)]
struct Snippet<'a>(&'a Problem);

impl fmt::Display for Snippet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.cause())
    }
}

impl std::error::Error for Snippet<'_> {}

impl miette::Diagnostic for Snippet<'_> {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        miette::Diagnostic::source_code(self.0)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        miette::Diagnostic::labels(self.0)
    }
}

/// `dbctl.error/1`: the parts of a problem for programs.
fn problem_json(problem: &Problem) -> serde_json::Value {
    let place = problem.line_column().map(
        |(file, line, column)| serde_json::json!({"file": file, "line": line, "column": column}),
    );
    serde_json::json!({
        "schema": "dbctl.error/1",
        "exit_code": problem.exit() as u8,
        "doing": problem.doing(),
        "cause": problem.cause(),
        "next": problem.hint(),
        "place": place,
        "related": problem.all_related().iter().map(problem_json).collect::<Vec<_>>(),
    })
}

/// Columns to write for: the terminal's, between 60 and 120; `COLUMNS` or 80 without one.
fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let terminal = terminal_width();
    columns.or(terminal).unwrap_or(80).clamp(60, 120)
}

fn terminal_width() -> Option<usize> {
    use indicatif::TermLike as _;
    let term = dialoguer::console::Term::stdout();
    term.is_term().then(|| usize::from(term.width()))
}

/// A duration as people say it: `18m 40s`, `2.5s`.
pub fn duration(d: std::time::Duration) -> String {
    let whole = d.as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{}s", (d.as_secs_f64() * 10.0).round() / 10.0),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}
