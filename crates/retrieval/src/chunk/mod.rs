//! An entry's texts, cut into chunks: what is indexed, found and quoted.
//!
//! A chunk is a range of one field's text, so what is found in it can be cited to the byte. Cuts follow the structure of the text
//! (headings, lists, tables, sentences), and where they fall depends on the text near them, so an edit leaves chunks
//! elsewhere as they are, with their ids.

mod blank;
mod id;
mod lines;
mod pack;
mod sections;

use std::{borrow::Cow, ops::Range};

use ashlar_model::Anchors;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use self::{blank::blank, id::ChunkId};
use self::{
    pack::{Piece, pack},
    sections::{Atom, Section, sections},
};
use crate::text::Analyzer;

/// The most bytes of an entry's texts that are cut into chunks.
pub const ENTRY_BYTES_MAX: usize = 10 << 20;
/// The most chunks of an entry.
pub const ENTRY_CHUNKS_MAX: usize = 20_000;
/// The longest heading that a chunk carries, in bytes. The rest is left out.
pub const HEADING_BYTES_MAX: usize = 200;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextForm {
    /// Markdown, with tags of HTML or JSX.
    Markdown,
    /// As it is.
    Plain,
}

/// A text of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Text<'a> {
    /// Its field, as a JSON pointer into the entry's fields: `/sections/2/body`.
    pub field: Cow<'a, str>,
    /// The text.
    pub text: &'a str,
    /// How it is written.
    pub form: TextForm,
    /// How much a match in it counts; 1 is usual.
    pub boost: f32,
    /// The heading that another field gives it, such as the title of its block.
    pub heading: Option<&'a str>,
    /// The fragment that leads to it, when another field says so.
    pub anchor: Option<&'a str>,
}

impl<'a> Text<'a> {
    /// A text with the usual boost and without a heading from elsewhere.
    #[must_use]
    pub fn new(field: impl Into<Cow<'a, str>>, text: &'a str, form: TextForm) -> Self {
        Self { field: field.into(), text, form, boost: 1.0, heading: None, anchor: None }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its id, which stays while its text does.
    pub id: ChunkId,
    /// The field that it is from, as a JSON pointer.
    pub field: String,
    /// Where in the field it lies, in bytes.
    pub range: Range<u32>,
    /// The headings above it, the outermost first, and the header of its table when that lies outside the range. The headings
    /// themselves are not part of the range.
    pub headings: Vec<String>,
    /// The fragment of the nearest heading.
    pub anchor: Option<String>,
    /// How much a match in it counts; 1 is usual.
    pub boost: f32,
}

impl Chunk {
    /// The chunk's range, to cut it out of its field or of what [`blank`] made of the field.
    #[must_use]
    pub const fn bytes(&self) -> Range<usize> {
        self.range.start as usize..self.range.end as usize
    }
}

/// How long chunks are, in terms as the analyzer counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChunkRules {
    /// A chunk ends at the next good place after so many terms.
    pub target: u32,
    /// No chunk has more.
    pub most: u32,
    /// At most so many terms of the sentences before a chunk are part of it too.
    pub overlap: u32,
}

impl Default for ChunkRules {
    fn default() -> Self {
        Self { target: 120, most: 240, overlap: 20 }
    }
}

/// The chunks of an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunks {
    /// In the order of the texts.
    pub chunks: Vec<Chunk>,
    /// Bytes of text beyond [`ENTRY_BYTES_MAX`] and [`ENTRY_CHUNKS_MAX`], which are in no chunk.
    pub left_out: u64,
}

/// Cuts the texts of an entry into chunks. `entry` is the key of the entry, which makes the ids its own. Text without a term
/// of the analyzer is in no chunk.
#[must_use]
pub fn chunks(entry: &[u8], texts: &[Text<'_>], analyzer: &Analyzer, rules: &ChunkRules) -> Chunks {
    let mut out = Chunks::default();
    let mut repeated = FxHashMap::default();
    let mut bytes_left = ENTRY_BYTES_MAX;
    // One page shows all texts of an entry, and its fragments differ.
    let mut anchors = Anchors::default();
    texts.iter().filter_map(|text| text.anchor).for_each(|anchor| anchors.reserve(anchor));
    for text in texts {
        let readable = text.text.floor_char_boundary(bytes_left.min(text.text.len()));
        bytes_left -= readable;
        out.left_out += (text.text.len() - readable) as u64;
        let source = &text.text[..readable];
        let blanked = blank(source, text.form);
        let sections = sections(source, &blanked, text, &mut anchors);
        let pack = |atoms: &[Atom]| pack(source, &blanked, atoms, analyzer, rules);
        let packed: Vec<Vec<Piece>> = sections.iter().map(|section| pack(&section.atoms)).collect();
        let mut taking =
            Taking { entry, text, source, blanked: &blanked, repeated: &mut repeated, out: &mut out };
        for (number, section) in sections.iter().enumerate() {
            let anchor = section.anchor.as_deref();
            if !is_carried(&sections[number..], &packed[number..])
                && let Some((heading, above)) = section.bare(&blanked)
            {
                taking.take(&pack(&[heading]), &above, anchor);
            }
            taking.take(&packed[number], &section.headings, anchor);
        }
    }
    out
}

/// Whether a chunk carries the whole heading of the first of these sections: one of its own, or of a section below it.
fn is_carried(sections: &[Section], packed: &[Vec<Piece>]) -> bool {
    let Some((level, range)) = sections.first().and_then(|section| section.own.as_ref()) else { return true };
    let below = sections[1..].iter().take_while(|s| s.own.as_ref().is_some_and(|(other, _)| other > level));
    range.len() <= HEADING_BYTES_MAX && packed[..=below.count()].iter().any(|pieces| !pieces.is_empty())
}

/// Chunks of one text being taken.
struct Taking<'a, 'b> {
    entry: &'a [u8],
    text: &'a Text<'b>,
    source: &'a str,
    blanked: &'a str,
    /// How often the entry has had a text before.
    repeated: &'a mut FxHashMap<ChunkId, u32>,
    out: &'a mut Chunks,
}

impl Taking<'_, '_> {
    fn take(&mut self, pieces: &[Piece], headings: &[String], anchor: Option<&str>) {
        for piece in pieces {
            let bytes = piece.range.clone();
            let (Ok(start), Ok(end)) = (u32::try_from(bytes.start), u32::try_from(bytes.end)) else { return };
            if self.out.chunks.len() == ENTRY_CHUNKS_MAX {
                self.out.left_out += bytes.len() as u64;
                continue;
            }
            let base = ChunkId::of(self.entry, &self.text.field, &self.source[bytes]);
            let repetition = self.repeated.entry(base).and_modify(|n| *n += 1).or_insert(0);
            let id = if *repetition == 0 { base } else { base.repeated(*repetition) };
            let table = piece.table.iter().map(|header| sections::heading(&self.blanked[header.clone()]));
            self.out.chunks.push(Chunk {
                id,
                field: self.text.field.clone().into_owned(),
                range: start..end,
                headings: headings.iter().cloned().chain(table).collect(),
                anchor: anchor.map(str::to_owned),
                boost: self.text.boost,
            });
        }
    }
}
