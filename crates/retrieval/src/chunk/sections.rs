//! A text as sections, and sections as the smallest parts that a chunk does not cut.

use std::ops::Range;

use ashlar_model::Anchors;

use super::{
    HEADING_BYTES_MAX, Text, TextForm,
    lines::{Kind, Line, lines},
};
use crate::text::sentences;

/// What lies between two headings.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub headings: Vec<String>,
    pub anchor: Option<String>,
    /// The level and the place of its own heading.
    pub own: Option<(u8, Range<usize>)>,
    pub atoms: Vec<Atom>,
}

impl Section {
    /// Its heading as text, and the headings above it.
    pub fn bare(&self, blanked: &str) -> Option<(Atom, Vec<String>)> {
        let (_, range) = self.own.clone()?;
        let mut headings = self.headings.clone();
        if !heading(&blanked[range.clone()]).is_empty() {
            headings.pop();
        }
        Some((Atom { range, kind: AtomKind::Sentence, starts_block: true, table: None }, headings))
    }
}

/// A sentence, an item of a list, a row of a table, or a line of code.
#[derive(Debug)]
pub(super) struct Atom {
    pub range: Range<usize>,
    pub kind: AtomKind,
    /// Whether a paragraph, list, table or code block begins with it.
    pub starts_block: bool,
    /// For the row of a table: where the header of the table is.
    pub table: Option<Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtomKind {
    Sentence,
    Item,
    Row,
    Code,
}

/// Cuts a text at its headings. `blanked` is the text without its markup, and `anchors` knows the fragments of the texts before.
pub(super) fn sections(source: &str, blanked: &str, text: &Text<'_>, anchors: &mut Anchors) -> Vec<Section> {
    let outer: Vec<String> = text.heading.map(heading).into_iter().filter(|h| !h.is_empty()).collect();
    let anchor = text.anchor.map(str::to_owned);
    let first = Section { headings: outer.clone(), anchor, own: None, atoms: Vec::new() };
    let mut builder = Builder {
        source,
        blanked,
        sections: vec![first],
        outer,
        path: Vec::new(),
        block: Block::None,
        anchors,
    };
    match text.form {
        TextForm::Plain => builder.plain(),
        TextForm::Markdown => builder.markdown(),
    }
    builder.sections
}

/// A heading on one line, cut to what chunks carry.
pub(super) fn heading(blanked: &str) -> String {
    let words: Vec<&str> = blanked.split_whitespace().take(HEADING_BYTES_MAX).collect();
    let mut line = words.join(" ");
    line.truncate(line.floor_char_boundary(HEADING_BYTES_MAX));
    line
}

/// A text without its markup, and without the spaces that stand for it.
fn without_markup(source: &str, blanked: &str) -> String {
    let kept = |(at, c): (usize, char)| {
        (c.is_whitespace() || blanked.as_bytes().get(at) == source.as_bytes().get(at)).then_some(c)
    };
    source.char_indices().filter_map(kept).collect()
}

/// A heading on the way to the present section.
struct Step {
    level: u8,
    text: String,
}

/// The block that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    None,
    /// A paragraph, from here to there.
    Paragraph(Range<usize>),
    List {
        /// Whether the last line was blank.
        paused: bool,
    },
    Table(Range<usize>),
    Code,
}

struct Builder<'a> {
    /// The fragments of the page so far.
    anchors: &'a mut Anchors,
    source: &'a str,
    blanked: &'a str,
    sections: Vec<Section>,
    outer: Vec<String>,
    path: Vec<Step>,
    block: Block,
}

impl Builder<'_> {
    fn plain(&mut self) {
        let mut start = 0;
        for line in self.source.split_inclusive('\n') {
            let range = start..start + line.len();
            start = range.end;
            if line.trim().is_empty() {
                self.close();
            } else {
                self.text(range);
            }
        }
        self.close();
    }

    fn markdown(&mut self) {
        for line in lines(self.source) {
            self.line(&line);
        }
        self.close();
    }

    fn line(&mut self, line: &Line) {
        let range = line.range.clone();
        let indented = line.mark - line.range.start >= 2;
        let in_list = matches!(self.block, Block::List { paused } if indented || !paused);
        match line.kind {
            Kind::Heading(level) => self.heading(level, line),
            Kind::Underline => {}
            Kind::Blank => match &mut self.block {
                Block::List { paused } => *paused = true,
                Block::Code => {}
                _ => self.close(),
            },
            Kind::Item => {
                let goes_on = matches!(self.block, Block::List { .. });
                if !goes_on {
                    self.close();
                }
                self.push(range, AtomKind::Item, !goes_on, None);
                self.block = Block::List { paused: false };
            }
            Kind::Text if in_list => self.extend(range.end),
            Kind::Fence | Kind::Code if in_list && indented => self.extend(range.end),
            Kind::Text => {
                if !matches!(self.block, Block::Paragraph(_)) {
                    self.close();
                }
                self.text(range);
            }
            Kind::Fence | Kind::Code => {
                let starts = self.block != Block::Code;
                if starts {
                    self.close();
                }
                self.push(range, AtomKind::Code, starts, None);
                self.block = if line.kind == Kind::Fence && !starts { Block::None } else { Block::Code };
            }
            Kind::TableHeader => {
                self.close();
                self.push(range.clone(), AtomKind::Row, true, None);
                self.block = Block::Table(range);
            }
            Kind::TableRule => self.extend(range.end),
            Kind::TableRow => match &self.block {
                Block::Table(header) => {
                    let header = Some(header.clone());
                    self.push(range, AtomKind::Row, false, header);
                }
                _ => self.push(range, AtomKind::Row, true, None),
            },
            Kind::Rule | Kind::Definition => self.close(),
        }
    }

    fn heading(&mut self, level: u8, line: &Line) {
        self.close();
        let range = line.text..line.range.end;
        let source = &self.source[range.clone()];
        let text = heading(&self.blanked[range.clone()]);
        let words = without_markup(source, &self.blanked[range]);
        // Without its markup, a heading has lost the name that it gives itself.
        let anchor = self.anchors.next(if source.contains("{#") { source } else { &words });
        self.path.retain(|step| step.level < level);
        self.path.push(Step { level, text });
        let path = self.path.iter().map(|step| step.text.clone()).filter(|text| !text.is_empty());
        let headings = self.outer.iter().cloned().chain(path).collect();
        let own = Some((level, line.text..line.range.end));
        self.sections.push(Section { headings, anchor, own, atoms: Vec::new() });
    }

    fn text(&mut self, range: Range<usize>) {
        match &mut self.block {
            Block::Paragraph(paragraph) => paragraph.end = range.end,
            _ => self.block = Block::Paragraph(range),
        }
    }

    /// Ends the present block.
    fn close(&mut self) {
        let Block::Paragraph(range) = std::mem::replace(&mut self.block, Block::None) else { return };
        let paragraph = &self.blanked[range.clone()];
        let mut starts = true;
        for sentence in sentences(paragraph) {
            let from = range.start + (sentence.as_ptr() as usize - paragraph.as_ptr() as usize);
            self.push(from..from + sentence.len(), AtomKind::Sentence, starts, None);
            starts = false;
        }
    }

    fn push(&mut self, range: Range<usize>, kind: AtomKind, starts_block: bool, table: Option<Range<usize>>) {
        if let Some(section) = self.sections.last_mut() {
            section.atoms.push(Atom { range, kind, starts_block, table });
        }
    }

    fn extend(&mut self, end: usize) {
        if let Block::List { paused } = &mut self.block {
            *paused = false;
        }
        if let Some(atom) = self.sections.last_mut().and_then(|section| section.atoms.last_mut()) {
            atom.range.end = end;
        }
    }
}
