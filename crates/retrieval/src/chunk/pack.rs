//! Parts of a section put together into chunks.

use std::ops::Range;

use super::{
    ChunkRules,
    sections::{Atom, AtomKind},
};
use crate::text::Analyzer;

/// One place in so many is a good one to end a chunk inside a block.
const PLACES: u8 = 4;

/// The range of a chunk, and of the header of the table that it begins in.
#[derive(Debug)]
pub(super) struct Piece {
    pub range: Range<usize>,
    pub table: Option<Range<usize>>,
}

struct Counted {
    range: Range<usize>,
    terms: u32,
    kind: AtomKind,
    starts_block: bool,
    table: Option<Range<usize>>,
    /// The terms of the whole block, when it begins here.
    block: u32,
}

/// Puts the parts of a section into chunks, in order: all of them, or none when they have no term.
pub(super) fn pack(
    source: &str,
    blanked: &str,
    atoms: &[Atom],
    analyzer: &Analyzer,
    rules: &ChunkRules,
) -> Vec<Piece> {
    let most = rules.most.max(1);
    let (target, overlap) = (rules.target.clamp(1, most), rules.overlap.min(most / 2));
    let atoms = counted((source, blanked), atoms, analyzer, most);
    let mut out = Vec::new();
    let (mut start, mut terms, mut whole) = (0, 0_u32, false);
    for (at, atom) in atoms.iter().enumerate() {
        let room = most - if start > 0 { overlap } else { 0 };
        let full = terms + atom.terms > room;
        // Where a chunk ends follows from the text there, so the same text is cut in the same places whatever stands before it.
        let good = || is_good_place(&source[atom.range.clone()]);
        let enough = if atom.starts_block {
            terms >= target || (terms >= target / 2 && (terms + atom.block > room || good()))
        } else {
            terms >= target && !whole && good()
        };
        if terms > 0 && atom.terms > 0 && (full || enough) {
            out.push(piece(&atoms, start..at, terms, overlap, most));
            (start, terms) = (at, 0);
        }
        if atom.starts_block {
            whole = terms + atom.block <= room;
        }
        terms += atom.terms;
    }
    if terms > 0 {
        out.push(piece(&atoms, start..atoms.len(), terms, overlap, most));
    }
    out
}

/// A chunk of these atoms, with the sentences before it that fit into the overlap.
fn piece(atoms: &[Counted], range: Range<usize>, terms: u32, overlap: u32, most: u32) -> Piece {
    let (mut first, mut before) = (range.start, 0);
    while let Some(atom) = first.checked_sub(1).map(|at| &atoms[at]) {
        before += atom.terms;
        if atom.kind != AtomKind::Sentence || before > overlap || terms + before > most {
            break;
        }
        first -= 1;
    }
    let last = &atoms[range.end - 1];
    Piece { range: atoms[first].range.start..last.range.end, table: atoms[first].table.clone() }
}

fn counted(texts: (&str, &str), atoms: &[Atom], analyzer: &Analyzer, most: u32) -> Vec<Counted> {
    let mut out: Vec<Counted> = Vec::with_capacity(atoms.len());
    let mut block = 0;
    for atom in atoms {
        let mut starts_block = atom.starts_block;
        for (range, terms) in parts(texts, trimmed(texts.0, &atom.range), analyzer, most) {
            if starts_block || out.is_empty() {
                block = out.len();
            }
            let (kind, table) = (atom.kind, atom.table.clone());
            out.push(Counted { range, terms, kind, starts_block: block == out.len(), table, block: 0 });
            out[block].block = out[block].block.saturating_add(terms);
            starts_block = false;
        }
    }
    out
}

fn trimmed(text: &str, range: &Range<usize>) -> Range<usize> {
    let slice = &text[range.clone()];
    let start = range.start + (slice.len() - slice.trim_start().len());
    start..start + slice.trim().len()
}

/// An atom, or its parts when it alone has too many terms for a chunk.
fn parts(
    (source, blanked): (&str, &str),
    range: Range<usize>,
    analyzer: &Analyzer,
    most: u32,
) -> Vec<(Range<usize>, u32)> {
    let mut out = Vec::new();
    let mut waiting = vec![range];
    while let Some(range) = waiting.pop() {
        let terms = analyzer.count(&blanked[range.clone()]);
        match middle((source, blanked), &range).filter(|_| terms > most) {
            Some(middle) => {
                waiting.push(trimmed(source, &(middle..range.end)));
                waiting.push(trimmed(source, &(range.start..middle)));
            }
            None => out.push((range, terms)),
        }
    }
    out
}

/// A place to cut near the middle: behind white space, else between characters of which one is no letter, else anywhere. It lies between
/// two characters of the source: markup that was replaced by spaces may have had longer ones.
fn middle((source, text): (&str, &str), range: &Range<usize>) -> Option<usize> {
    let half = source.floor_char_boundary(range.start + range.len() / 2);
    let inside = |at: &usize| *at > range.start && *at < range.end && source.is_char_boundary(*at);
    let by = |cuts: fn(char) -> bool| {
        let place = |from: usize| move |(at, c): (usize, char)| cuts(c).then_some(from + at);
        let left = text[range.start..half].char_indices().rev().filter_map(place(range.start)).find(inside);
        let right = text[half..range.end].char_indices().filter_map(place(half)).find(inside);
        [left, right].into_iter().flatten().min_by_key(|at| at.abs_diff(half))
    };
    let first = source[range.clone()].chars().next().map(|c| range.start + c.len_utf8());
    by(char::is_whitespace)
        .or_else(|| by(|c| !c.is_alphanumeric() && c != '_'))
        .or(Some(half))
        .filter(inside)
        .or(first)
        .filter(inside)
}

fn is_good_place(text: &str) -> bool {
    blake3::hash(text.as_bytes()).as_bytes()[0].is_multiple_of(PLACES)
}
