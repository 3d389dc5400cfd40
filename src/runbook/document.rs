//! Markdown as far as a runbook needs it: headings, paragraphs and fenced blocks, each with its
//! place in the text.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::mistakes::Mistakes;

/// What stands in a document, in its order. Offsets are bytes into the text.
pub struct Document {
    /// The first heading of level one.
    pub title: Option<String>,
    /// The first section is what stands before any heading; it has no heading.
    pub sections: Vec<Section>,
    pub fences: Vec<Fence>,
}

/// A heading and what follows it, up to the next heading of any level.
#[derive(Default)]
pub struct Section {
    pub heading: Option<String>,
    pub paragraphs: Vec<Paragraph>,
}

/// The text of a paragraph or of a list item, on one line.
pub struct Paragraph {
    pub span: Range<usize>,
    pub text: String,
}

/// A fenced block.
pub struct Fence {
    /// Index into [`Document::sections`].
    pub section: usize,
    /// The info string, in words.
    pub words: Vec<String>,
    /// Where the info string stands, or the fence itself when it has none.
    pub info: Range<usize>,
    pub span: Range<usize>,
    /// It has an end. One without holds the rest of the document, so its content says nothing.
    pub closed: bool,
    /// The content, without the indentation that the fence has in a list or a quotation.
    pub body: String,
    /// Which byte of the text each run of the body's bytes comes from: (in the body, in the text).
    runs: Vec<(usize, usize)>,
}

impl Fence {
    /// The place in the text of a place in the body.
    pub fn place(&self, in_body: Range<usize>) -> Range<usize> {
        let start = self.offset(in_body.start);
        // The end of the last byte, so that a span never reaches over an indentation.
        let end = if in_body.end > in_body.start {
            self.offset(in_body.end - 1) + 1
        } else {
            start
        };
        start..end
    }

    fn offset(&self, in_body: usize) -> usize {
        let run = self.runs.iter().rev().find(|(body, _)| *body <= in_body);
        match run {
            Some((body, text)) => text + (in_body - body),
            None => self.span.start,
        }
    }
}

impl Document {
    /// Reads the text. A fence without an end is a mistake: it swallows what follows it.
    pub fn read(text: &str, mistakes: &mut Mistakes) -> Self {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        let mut reader = Reader {
            text,
            mistakes,
            document: Document {
                title: None,
                sections: vec![Section::default()],
                fences: Vec::new(),
            },
            open: None,
            fence: None,
        };
        for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
            reader.event(event, span);
        }
        reader.document
    }
}

struct Reader<'a, 't> {
    text: &'a str,
    mistakes: &'a mut Mistakes<'t>,
    document: Document,
    /// The heading or paragraph that is being read.
    open: Option<(Range<usize>, String)>,
    fence: Option<Fence>,
}

impl Reader<'_, '_> {
    fn event(&mut self, event: Event, span: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { .. } | Tag::Paragraph | Tag::Item) => {
                self.end_paragraph();
                self.open = Some((span, String::new()));
            }
            Event::End(TagEnd::Heading(level)) => {
                let heading = self.open.take().map(|(_, text)| text).unwrap_or_default();
                if level == pulldown_cmark::HeadingLevel::H1 && self.document.title.is_none() {
                    self.document.title = Some(heading.clone());
                }
                self.document.sections.push(Section {
                    heading: Some(heading),
                    paragraphs: Vec::new(),
                });
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                self.end_paragraph();
                match kind {
                    CodeBlockKind::Fenced(info) => self.start_fence(&info, span),
                    CodeBlockKind::Indented => self.indented(span),
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some(mut fence) = self.fence.take() {
                    self.look_for_the_next(&mut fence);
                    self.document.fences.push(fence);
                }
            }
            Event::Text(text) => match &mut self.fence {
                Some(fence) => {
                    fence.runs.push((fence.body.len(), span.start));
                    fence.body.push_str(&text);
                }
                None => self.inline(&text),
            },
            Event::Code(code) => self.inline(&format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => self.inline(" "),
            // Emphasis and links are part of the paragraph around them.
            Event::Start(
                Tag::Emphasis
                | Tag::Strong
                | Tag::Strikethrough
                | Tag::Superscript
                | Tag::Subscript
                | Tag::Link { .. }
                | Tag::Image { .. },
            )
            | Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Superscript
                | TagEnd::Subscript
                | TagEnd::Link
                | TagEnd::Image,
            )
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
            Event::Start(_)
            | Event::End(_)
            | Event::Html(_)
            | Event::DisplayMath(_)
            | Event::Rule => self.end_paragraph(),
        }
    }

    fn inline(&mut self, text: &str) {
        if let Some((_, open)) = &mut self.open {
            open.push_str(text);
        }
    }

    fn end_paragraph(&mut self) {
        let Some((span, text)) = self.open.take() else {
            return;
        };
        let text = text.trim().to_owned();
        if !text.is_empty() {
            let section = self.document.sections.last_mut().expect("there is a first");
            section.paragraphs.push(Paragraph { span, text });
        }
    }

    fn start_fence(&mut self, info: &str, span: Range<usize>) {
        let block = &self.text[span.clone()];
        let first = block.lines().next().unwrap_or_default();
        let marks = first.chars().take_while(|c| matches!(c, '`' | '~')).count();
        let info_text = first[marks..].trim();
        let info_span = if info_text.is_empty() {
            span.start..span.start + marks
        } else {
            let at =
                span.start + marks + (first[marks..].len() - first[marks..].trim_start().len());
            at..at + info_text.len()
        };
        let closed = is_closed(block, &first[..marks]);
        if !closed {
            self.mistakes.add(
                span.start..span.start + first.len(),
                "the fence is never closed, so the rest of the document belongs to it",
                "it opens here",
                format!("close it with {} on a line of its own", &first[..marks]),
            );
        }
        self.fence = Some(Fence {
            section: self.document.sections.len() - 1,
            words: info.split_whitespace().map(str::to_owned).collect(),
            info: info_span,
            span,
            closed,
            body: String::new(),
            runs: Vec::new(),
        });
    }

    /// A query or a binding in which another fence opens was meant to end before it.
    fn look_for_the_next(&mut self, fence: &mut Fence) {
        let executable = matches!(
            fence.words.first().map(String::as_str),
            Some("toml" | "sql")
        );
        let opens = |line: &str| {
            let info = line.trim().trim_start_matches(['`', '~']);
            let marks = line.trim().len() - info.len();
            marks >= 3 && !info.is_empty()
        };
        if !executable || !fence.closed {
            return;
        }
        if let Some(line) = fence.body.lines().position(opens) {
            fence.closed = false;
            let next = self.mistakes.position(fence.span.start).line + 1 + line;
            self.mistakes.add(
                fence.info.clone(),
                format_args!("the fence is not closed before the next one opens in line {next}"),
                "not closed",
                "close it with the same marks, on a line of its own",
            );
        }
    }

    /// A binding that is indented too far is shown as text and would be lost without a word.
    fn indented(&mut self, span: Range<usize>) {
        let mut at = span.start;
        for line in self.text[span].split_inclusive('\n') {
            let words = line.trim().trim_start_matches(['`', '~']);
            let fenced = line.trim().starts_with("```") || line.trim().starts_with("~~~");
            if fenced && super::bindings::is_binding(words) {
                let start = at + (line.len() - line.trim_start().len());
                self.mistakes.add(
                    start..start + line.trim().len(),
                    "the binding is indented by four columns or more, which makes it plain text",
                    "no fence for Markdown",
                    "indent it as far as the text around it and no further",
                );
            }
            at += line.len();
        }
    }
}

/// Whether the last line of a fenced block is its closing fence.
fn is_closed(block: &str, opening: &str) -> bool {
    let mark = opening.chars().next().unwrap_or('`');
    let mut lines = block.lines();
    lines.next();
    let last = lines.next_back().unwrap_or_default();
    // In a quotation the line starts with the quotation's own mark.
    let last = last.trim().trim_start_matches(['>', ' ', '\t']);
    last.len() >= opening.len() && last.chars().all(|c| c == mark)
}
