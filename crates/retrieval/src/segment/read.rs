//! Reading a segment.

use std::{ops::Range, sync::Arc};

use super::{BREAK, CHUNK_TERMS_MAX, CHUNKS_MAX, COUNT_BITS, HEADINGS_MAX, MARK, StoredError, WORDS_MAX};
use crate::{access::Attributes, bytes::Reader, chunk::ChunkId, text::term_hash};

/// The largest segment that is read, in bytes: one chunk of 50,000 long terms fits.
const BYTES_MAX: usize = 16 << 20;
/// All terms of a segment together, in bytes.
const TERM_BYTES_MAX: usize = 32 << 20;
/// The longest term, in bytes.
const TERM_LENGTH_MAX: usize = 1_024;
/// A place of the table of terms that is free.
const FREE: u32 = u32::MAX;

/// The most attributes of which it is kept which chunks have them.
const MEMBERS_MAX: usize = 16;
/// A bit for each chunk.
pub(crate) type Members = [u64; CHUNKS_MAX / 64];

/// What is known of a chunk.
#[derive(Debug)]
struct Meta {
    id: ChunkId,
    entry: u32,
    field: u32,
    range: Range<u32>,
    headings: Range<u32>,
    anchor: Option<u32>,
    boost: f32,
    title: u32,
    lead: u32,
    tokens: Range<u32>,
}

/// A segment.
#[derive(Debug)]
pub struct Segment {
    /// All terms in order, one after the other.
    names: String,
    /// Where the bytes and the postings of each term begin; one more than there are terms. They lie together because a search
    /// needs both.
    terms: Vec<[u32; 2]>,
    /// All words, those of a term together, without what they share with the term.
    words: Strings,
    /// How many bytes each word shares with its term.
    word_shares: Vec<u8>,
    /// The term of each word.
    word_terms: Vec<u16>,
    /// Terms by hash: sixteen bits of the hash, and the number.
    slots: Arc<[u32]>,
    /// Chunks and how often each has the term, by term and then by chunk.
    postings: Vec<u16>,
    /// The words of all chunks in order, with [`BREAK`] after each sentence.
    tokens: Vec<u16>,
    chunks: Vec<Meta>,
    /// Headings of all chunks, as numbers of strings.
    headings: Vec<u32>,
    lengths: Vec<u32>,
    total_length: u64,
    chunk_attributes: Vec<u16>,
    /// The chunks with each of the attributes, if they are few but more than one.
    members: Vec<Members>,
    boosted: bool,
    attributes: Vec<Attributes>,
    strings: Vec<Box<str>>,
    entries: Vec<(Box<[u8]>, Box<str>)>,
}

/// A chunk of a segment.
#[derive(Debug, Clone)]
pub struct ChunkRef<'a> {
    /// The key of its entry.
    pub entry: &'a [u8],
    /// The title of its entry.
    pub title: &'a str,
    /// Its id.
    pub id: ChunkId,
    /// The field that it is a part of, as a JSON pointer.
    pub field: &'a str,
    /// Its bytes within the field.
    pub range: Range<u32>,
    /// The headings above it, the outermost first.
    pub headings: Vec<&'a str>,
    /// The anchor of the nearest heading.
    pub anchor: Option<&'a str>,
    /// What its words weigh more than others'.
    pub boost: f32,
    /// The number of its attributes, see [`Segment::attributes`].
    pub attributes: usize,
    /// How many terms it has, title and headings included.
    pub length: u32,
}

impl Segment {
    /// Reads a segment and checks all of it.
    ///
    /// # Errors
    /// When the bytes are not a segment.
    pub fn open(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = Reader::new("segment", MARK, bytes)?;
        if bytes.len() > BYTES_MAX {
            return Err(reader.wrong("it is too large"));
        }
        let Words { terms, words, word_shares, word_terms } = Words::read(&mut reader)?;
        let count = reader.number(CHUNKS_MAX)?;
        let mut attributes = Vec::with_capacity(count);
        for _ in 0..count {
            let text = reader.bytes(BYTES_MAX)?;
            attributes
                .push(serde_json::from_slice(text).map_err(|_| reader.wrong("attributes cannot be read"))?);
        }
        let count = reader.number(CHUNKS_MAX * (HEADINGS_MAX + 2))?;
        let mut strings: Vec<Box<str>> = Vec::with_capacity(count);
        for _ in 0..count {
            strings.push(reader.string(BYTES_MAX)?.into());
        }
        let count = reader.number(CHUNKS_MAX)?;
        let mut entries: Vec<(Box<[u8]>, Box<str>)> = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push((reader.bytes(BYTES_MAX)?.into(), reader.string(BYTES_MAX)?.into()));
        }
        let mut places = vec![[0, 0]];
        places.extend(terms.ends.iter().map(|end| [*end, 0]));
        let mut segment = Self {
            names: terms.bytes,
            terms: places,
            words,
            word_shares,
            word_terms,
            slots: Arc::default(),
            postings: Vec::new(),
            tokens: Vec::with_capacity(bytes.len() / 2),
            chunks: Vec::new(),
            headings: Vec::new(),
            lengths: Vec::new(),
            total_length: 0,
            chunk_attributes: Vec::new(),
            members: Vec::new(),
            boosted: false,
            attributes,
            strings,
            entries,
        };
        let count = reader.number(CHUNKS_MAX)?;
        for _ in 0..count {
            segment.read_chunk(&mut reader)?;
        }
        reader.end()?;
        segment.tokens.shrink_to_fit();
        segment.count_terms();
        segment.make_slots();
        segment.collect_members();
        Ok(segment)
    }

    fn read_chunk(&mut self, reader: &mut Reader<'_>) -> Result<(), StoredError> {
        let id = ChunkId::from_bytes(reader.array()?);
        let entry = below(reader, self.entries.len())?;
        let field = below(reader, self.strings.len())?;
        let start = reader.number(u32::MAX as usize)?;
        let length = reader.number(u32::MAX as usize)?;
        let range = narrow(start)..narrow(start.saturating_add(length));
        let count = reader.number(HEADINGS_MAX)?;
        let headings_from = self.headings.len();
        for _ in 0..count {
            self.headings.push(below(reader, self.strings.len())?);
        }
        let headings = narrow(headings_from)..narrow(self.headings.len());
        let anchor = match reader.number(self.strings.len())? {
            0 => None,
            number => Some(narrow(number - 1)),
        };
        let boost = reader.f32()?;
        if boost < 0.0 {
            return Err(reader.wrong("a weight is negative"));
        }
        let attributes = below(reader, self.attributes.len())?;
        let title = reader.number(CHUNK_TERMS_MAX * 2)?;
        let lead = reader.number(CHUNK_TERMS_MAX * 2)?;
        let count = reader.number(CHUNK_TERMS_MAX * 2)?;
        if title > lead || lead > count {
            return Err(reader.wrong("a title is longer than its chunk"));
        }
        let from = self.tokens.len();
        let mut length = 0_u32;
        for token in reader.take(count * 2)?.as_chunks::<2>().0 {
            let token = u16::from_le_bytes(*token);
            if token != BREAK {
                if usize::from(token) >= self.word_terms.len() {
                    return Err(reader.wrong("a word has a number that no word has"));
                }
                length += 1;
            }
            self.tokens.push(token);
        }
        self.lengths.push(length);
        self.total_length += u64::from(length);
        self.chunk_attributes.push(u16::try_from(attributes).unwrap_or(u16::MAX));
        self.boosted |= boost.to_bits() != 1.0_f32.to_bits();
        let tokens = narrow(from)..narrow(self.tokens.len());
        let (title, lead) = (narrow(title), narrow(lead));
        self.chunks.push(Meta { id, entry, field, range, headings, anchor, boost, title, lead, tokens });
        Ok(())
    }
    /// Makes the postings of the sequences of terms.
    fn count_terms(&mut self) {
        let mut counts = vec![0_u16; self.terms()];
        let mut starts = vec![0_u32; self.terms() + 1];
        let mut seen: Vec<u16> = Vec::new();
        for meta in &self.chunks {
            each_term(self.terms_in(meta), &mut counts, &mut seen, |term, _| starts[term + 1] += 1);
        }
        for term in 0..self.terms() {
            starts[term + 1] += starts[term];
        }
        for (place, start) in self.terms.iter_mut().zip(&starts) {
            place[1] = *start;
        }
        let mut postings = vec![0_u16; starts.last().map_or(0, |end| *end as usize)];
        for (meta, chunk) in self.chunks.iter().zip(0_u16..) {
            each_term(self.terms_in(meta), &mut counts, &mut seen, |term, count| {
                postings[starts[term] as usize] = chunk << COUNT_BITS | count.min((1 << COUNT_BITS) - 1);
                starts[term] += 1;
            });
        }
        self.postings = postings;
    }

    /// Many attributes would take more memory than they save time.
    fn collect_members(&mut self) {
        if !(2..=MEMBERS_MAX).contains(&self.attributes.len()) {
            return;
        }
        let mut members = vec![[0; CHUNKS_MAX / 64]; self.attributes.len()];
        for (chunk, attributes) in self.chunk_attributes.iter().enumerate() {
            if let Some(word) = members.get_mut(usize::from(*attributes)).and_then(|m| m.get_mut(chunk / 64))
            {
                *word |= 1_u64 << (chunk % 64);
            }
        }
        self.members = members;
    }

    fn make_slots(&mut self) {
        // Half of them stay free, so that most searches for a term that is not there end at once.
        let mut slots = vec![FREE; self.terms() * 2 + 1];
        for number in 0..self.terms() {
            let number = u16::try_from(number).unwrap_or(BREAK);
            let hash = term_hash(self.term(number));
            let mut at = slot(hash, slots.len());
            while slots[at] != FREE {
                at = (at + 1) % slots.len();
            }
            slots[at] = tag(hash) << 16 | u32::from(number);
        }
        self.slots = slots.into();
    }

    /// The table in which [`Self::find`] searches, for [`slot_at`].
    pub(crate) fn table(&self) -> Arc<[u32]> {
        Arc::clone(&self.slots)
    }

    /// How many chunks it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether it has no chunks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many bytes of memory it takes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let strings = self.strings.iter().map(|s| s.len() + 16).sum::<usize>();
        let entries = self.entries.iter().map(|(key, title)| key.len() + title.len() + 32).sum::<usize>();
        self.names.len()
            + self.terms.len() * 8
            + self.words.memory()
            + self.word_terms.len() * 3
            + self.slots.len() * 4
            + (self.postings.len() + self.tokens.len()) * 2
            + self.chunks.len() * (size_of::<Meta>() + 6)
            + self.headings.len() * 4
            + strings
            + entries
            + self.members.len() * size_of::<Members>()
            + self.attributes.len() * 256
    }

    /// A chunk by number.
    #[must_use]
    pub fn chunk(&self, number: usize) -> Option<ChunkRef<'_>> {
        let meta = self.chunks.get(number)?;
        let (entry, title) = self.entries.get(meta.entry as usize)?;
        let string = |number: u32| self.strings.get(number as usize).map_or("", |string| &**string);
        let headings = self.headings.get(meta.headings.start as usize..meta.headings.end as usize)?;
        Some(ChunkRef {
            entry,
            title,
            id: meta.id,
            field: string(meta.field),
            range: meta.range.clone(),
            headings: headings.iter().map(|number| string(*number)).collect(),
            anchor: meta.anchor.map(string),
            boost: meta.boost,
            attributes: usize::from(self.chunk_attributes[number]),
            length: self.lengths[number],
        })
    }

    /// All chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkRef<'_>> {
        (0..self.len()).filter_map(|number| self.chunk(number))
    }

    /// The different attributes of its chunks.
    #[must_use]
    pub fn attributes(&self) -> &[Attributes] {
        &self.attributes
    }

    /// The keys of its entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|(key, _)| &**key)
    }

    /// The key of an entry that goes on in another segment, perhaps: the first one or the last one.
    pub(crate) fn edge(&self, entry: usize) -> Option<&[u8]> {
        let is_edge = entry == 0 || entry + 1 == self.entries.len();
        self.entries.get(entry).filter(|_| is_edge).map(|(key, _)| &**key)
    }

    /// How many different terms it has. They are numbered in their order.
    #[must_use]
    pub const fn terms(&self) -> usize {
        self.terms.len().saturating_sub(1)
    }

    /// A term by number, or an empty one if there is no such number.
    #[must_use]
    pub fn term(&self, number: u16) -> &str {
        let number = usize::from(number);
        match (self.terms.get(number), self.terms.get(number + 1)) {
            (Some([from, _]), Some([to, _])) => {
                self.names.get(*from as usize..*to as usize).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// A word by number.
    pub(super) fn word(&self, number: usize) -> String {
        let term = self.word_terms.get(number).map_or("", |term| self.term(*term));
        let shared = self.word_shares.get(number).copied().map_or(0, usize::from);
        format!("{}{}", term.get(..shared).unwrap_or_default(), self.words.get(number))
    }

    /// The words that some chunks have for a term, and how often.
    pub(crate) fn written(&self, term: u16, chunks: impl Fn(usize) -> bool) -> Vec<(String, usize)> {
        let from = self.word_terms.partition_point(|other| *other < term);
        let to = self.word_terms.partition_point(|other| *other <= term);
        let mut counts = vec![0; to - from];
        for found in self.postings(self.posting_range(term)) {
            let (chunk, _) = posting(*found);
            let meta = self.chunks.get(chunk).filter(|_| chunks(chunk));
            for token in meta.map_or(&[][..], |meta| self.tokens_in(meta)) {
                if let Some(count) = usize::from(*token).checked_sub(from).and_then(|at| counts.get_mut(at)) {
                    *count += 1;
                }
            }
        }
        let used = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        used.map(|(at, count)| (self.word(from + at), count)).collect()
    }

    /// The number of a term, whose hash is [`term_hash`].
    #[must_use]
    pub fn find(&self, term: &str, hash: u64) -> Option<u16> {
        let mut at = slot(hash, self.slots.len());
        loop {
            let found = *self.slots.get(at)?;
            if found == FREE {
                return None;
            }
            let number = u16::try_from(found & 0xffff).unwrap_or(BREAK);
            if found >> 16 == tag(hash) && self.term(number) == term {
                return Some(number);
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// The numbers of the terms that begin with some letters.
    #[must_use]
    pub fn beginning_with(&self, prefix: &str) -> Range<u16> {
        let at = |after: &dyn Fn(&str) -> bool| {
            let (mut low, mut high) = (0, self.terms());
            while low < high {
                let middle = usize::midpoint(low, high);
                let term = self.term(u16::try_from(middle).unwrap_or(BREAK));
                if after(term) { high = middle } else { low = middle + 1 }
            }
            u16::try_from(low).unwrap_or(BREAK)
        };
        at(&|term| term >= prefix)..at(&|term| term > prefix && !term.starts_with(prefix))
    }

    /// Where the postings of a term are, for [`Self::postings`].
    #[inline]
    pub(crate) fn posting_range(&self, number: u16) -> Range<u32> {
        let number = usize::from(number);
        match (self.terms.get(number), self.terms.get(number + 1)) {
            (Some([_, from]), Some([_, to])) => *from..*to,
            _ => 0..0,
        }
    }

    /// Where the letters and the postings of a term are.
    #[inline]
    pub(crate) fn ranges(&self, number: u16) -> (Range<u32>, Range<u32>) {
        let number = usize::from(number);
        match (self.terms.get(number), self.terms.get(number + 1)) {
            (Some([name, from]), Some([name_end, to])) => (*name..*name_end, *from..*to),
            _ => (0..0, 0..0),
        }
    }

    /// Whether some letters of [`Self::ranges`] are those of a term.
    #[inline]
    pub(crate) fn is_named(&self, name: Range<u32>, term: &str) -> bool {
        self.names.as_bytes().get(name.start as usize..name.end as usize) == Some(term.as_bytes())
    }

    /// Which chunks have a term, in order; see [`posting`].
    #[inline]
    pub(crate) fn postings(&self, range: Range<u32>) -> &[u16] {
        self.postings.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// How many different words it has.
    pub(super) fn words(&self) -> usize {
        self.word_terms.len()
    }

    /// The term of a word.
    pub(super) fn term_of(&self, word: u16) -> &str {
        self.word_terms.get(usize::from(word)).map_or("", |term| self.term(*term))
    }

    /// The words of a chunk in order, with [`BREAK`] after each sentence.
    pub(super) fn words_in(&self, chunk: usize) -> &[u16] {
        self.chunks.get(chunk).map_or(&[], |meta| self.tokens_in(meta))
    }

    #[inline]
    fn tokens_in(&self, meta: &Meta) -> &[u16] {
        self.tokens.get(meta.tokens.start as usize..meta.tokens.end as usize).unwrap_or_default()
    }

    #[inline]
    fn terms_in<'a>(&'a self, meta: &Meta) -> impl Iterator<Item = u16> + 'a {
        let term = |token: &u16| self.word_terms.get(usize::from(*token)).copied().unwrap_or(BREAK);
        self.tokens_in(meta).iter().map(term)
    }

    /// The terms of a chunk in order, with [`BREAK`] after each sentence.
    #[inline]
    pub(crate) fn tokens(&self, chunk: usize) -> impl Iterator<Item = u16> + '_ {
        self.chunks.get(chunk).into_iter().flat_map(|meta| self.terms_in(meta))
    }

    /// How many tokens of a chunk are its title, and how many are title and headings.
    pub(crate) fn lead(&self, chunk: usize) -> (usize, usize) {
        self.chunks.get(chunk).map_or((0, 0), |meta| (meta.title as usize, meta.lead as usize))
    }

    pub(crate) fn id(&self, chunk: usize) -> Option<ChunkId> {
        self.chunks.get(chunk).map(|meta| meta.id)
    }

    /// How many terms each chunk has.
    #[inline]
    pub(crate) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    pub(crate) const fn total_length(&self) -> u64 {
        self.total_length
    }

    #[inline]
    pub(crate) fn chunk_attributes(&self) -> &[u16] {
        &self.chunk_attributes
    }

    /// The chunks with each of the attributes; empty when they are one or many, see [`Self::chunk_attributes`].
    #[inline]
    pub(crate) fn members(&self) -> &[Members] {
        &self.members
    }

    /// Whether some chunk weighs more or less than usual.
    #[inline]
    pub(crate) const fn boosted(&self) -> bool {
        self.boosted
    }

    pub(crate) fn boost(&self, chunk: usize) -> f32 {
        self.chunks.get(chunk).map_or(1.0, |meta| meta.boost)
    }

    /// The number of a chunk's entry among [`Self::entries`].
    #[inline]
    pub(crate) fn entry(&self, chunk: usize) -> usize {
        self.chunks.get(chunk).map_or(0, |meta| meta.entry as usize)
    }
}

/// The chunk of a posting, and how often it has the term (at most 127 times).
#[inline]
pub(crate) const fn posting(posting: u16) -> (usize, u16) {
    ((posting >> COUNT_BITS) as usize, posting & ((1 << COUNT_BITS) - 1))
}

/// Calls `take` with each different term of a chunk and its count. `counts` is all zero before and after.
fn each_term(
    terms: impl Iterator<Item = u16>,
    counts: &mut [u16],
    seen: &mut Vec<u16>,
    mut take: impl FnMut(usize, u16),
) {
    seen.clear();
    for term in terms.filter(|term| *term != BREAK) {
        let count = &mut counts[usize::from(term)];
        if *count == 0 {
            seen.push(term);
        }
        *count = count.saturating_add(1);
    }
    for term in seen {
        take(usize::from(*term), std::mem::take(&mut counts[usize::from(*term)]));
    }
}

/// Strings one after the other.
#[derive(Debug, Default)]
struct Strings {
    bytes: String,
    ends: Vec<u32>,
}

impl Strings {
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(narrow(self.bytes.len()));
    }

    #[inline]
    fn get(&self, number: usize) -> &str {
        let from = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        match (from, self.ends.get(number)) {
            (Some(from), Some(to)) => self.bytes.get(from as usize..*to as usize).unwrap_or_default(),
            _ => "",
        }
    }

    const fn memory(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

/// The words of a segment.
#[derive(Default)]
struct Words {
    terms: Strings,
    words: Strings,
    word_shares: Vec<u8>,
    word_terms: Vec<u16>,
}

impl Words {
    fn read(reader: &mut Reader<'_>) -> Result<Self, StoredError> {
        let mut out = Self::default();
        let all = reader.number(WORDS_MAX)?;
        let count = reader.number(all)?;
        let (mut before, mut term) = (String::new(), String::new());
        for number in 0..count {
            let shared = reader.number(TERM_LENGTH_MAX)?;
            let rest = reader.string(TERM_LENGTH_MAX)?;
            term.clear();
            term.push_str(before.get(..shared).ok_or_else(|| reader.wrong("a term begins as no term does"))?);
            term.push_str(rest);
            if number > 0 && term <= before {
                return Err(reader.wrong("the terms are not in order"));
            }
            if term.len() > TERM_LENGTH_MAX {
                return Err(reader.wrong("a term is too long"));
            }
            out.terms.push(&term);
            for _ in 0..reader.number(all - out.word_terms.len())? {
                let shared = reader.number(usize::from(u8::MAX))?;
                let rest = reader.string(TERM_LENGTH_MAX)?;
                if term.get(..shared).is_none() {
                    return Err(reader.wrong("a word begins as its term does not"));
                }
                out.words.push(rest);
                out.word_shares.push(u8::try_from(shared).unwrap_or(0));
                out.word_terms.push(short(number));
            }
            if out.terms.bytes.len() + out.words.bytes.len() > TERM_BYTES_MAX {
                return Err(reader.wrong("the terms are too long"));
            }
            std::mem::swap(&mut before, &mut term);
        }
        if out.word_terms.len() != all {
            return Err(reader.wrong("it has another number of words than it says"));
        }
        out.terms.bytes.shrink_to_fit();
        out.words.bytes.shrink_to_fit();
        Ok(out)
    }
}

/// Where the search for a hash begins in a table.
#[inline]
fn slot(hash: u64, slots: usize) -> usize {
    usize::try_from(((hash >> 32) * slots as u64) >> 32).unwrap_or(0)
}

/// What is at the place of a table where the search for a hash begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot(u32);

/// Reads that place, and decides nothing.
#[inline]
pub(crate) fn slot_at(table: &[u32], hash: u64) -> Slot {
    Slot(table.get(slot(hash, table.len())).copied().unwrap_or(FREE))
}

impl Slot {
    /// The number of the term that has the hash, if there is one: of another one only rarely.
    #[inline]
    pub fn candidate(self, table: &[u32], hash: u64) -> Option<u16> {
        if self.0 == FREE {
            return None;
        }
        let (mut found, mut at) = (self.0, slot(hash, table.len()));
        while found >> 16 != tag(hash) {
            at = if at + 1 == table.len() { 0 } else { at + 1 };
            found = *table.get(at)?;
            if found == FREE {
                return None;
            }
        }
        Some(u16::try_from(found & 0xffff).unwrap_or(BREAK))
    }
}

fn below(reader: &mut Reader<'_>, count: usize) -> Result<u32, StoredError> {
    let number = reader.number(u32::MAX as usize)?;
    if number < count { Ok(narrow(number)) } else { Err(reader.wrong("a number names nothing")) }
}

fn tag(hash: u64) -> u32 {
    u32::try_from(hash & 0xffff).unwrap_or(0)
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
