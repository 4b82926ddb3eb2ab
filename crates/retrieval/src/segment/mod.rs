//! Segments: the chunks of a run of entries with their terms, as bytes that never change.
//!
//! A segment depends on its own chunks only. What depends on others, such as in how many chunks a term is, is summed when a query runs,
//! over the chunks that the caller may see. So one segment serves every release that has its entries, and every reader.
//!
//! Stored are the words, sorted by their terms, and each chunk as a sequence of words with breaks between sentences. Postings are made from the
//! sequences when a segment is opened, so they cannot contradict them.

mod read;
mod write;

pub(crate) use self::read::{Slot, posting, slot_at};
pub use self::{
    read::{ChunkRef, Segment},
    write::{Copied, Passage, SEGMENT_BYTES_MAX, SegmentWriter},
};
pub use crate::bytes::StoredError;

/// How a segment begins. The last byte is the version of the format.
const MARK: &[u8] = b"ashlseg\x01";
/// Chunks of one segment.
pub const CHUNKS_MAX: usize = 512;
/// Different words of one segment.
const WORDS_MAX: usize = 0xfffe;
/// Terms of one chunk that are indexed.
const CHUNK_TERMS_MAX: usize = 50_000;
/// Headings of one chunk that are kept.
const HEADINGS_MAX: usize = 16;
/// The end of a sentence among words.
pub(crate) const BREAK: u16 = u16::MAX;
/// Bits of a posting that say how often a chunk has the term.
const COUNT_BITS: u32 = 7;
