//! A small corpus as a shelf.

#![allow(dead_code, clippy::unwrap_used, reason = "not every test uses all of it, and a test may fail")]

use std::{collections::BTreeMap, sync::Arc};

use ashlar_retrieval::{
    access::{Allowed, Attributes, Filter, Readers},
    basis::{Basis, SegmentVectors},
    chunk::{Chunk, ChunkId},
    search::{Part, Shelf},
    segment::{Passage, Segment, SegmentWriter},
    text::Analyzer,
};

/// A chunk before it is indexed.
#[derive(Debug, Clone)]
pub struct Source {
    pub entry: String,
    pub title: String,
    pub headings: Vec<String>,
    pub text: String,
    /// The audience that may see it; everybody when it is empty.
    pub audience: &'static str,
}

impl Source {
    pub fn new(entry: &str, text: &str) -> Self {
        Self {
            entry: entry.to_owned(),
            title: String::new(),
            headings: Vec::new(),
            text: text.to_owned(),
            audience: "",
        }
    }

    pub fn attributes(&self) -> Attributes {
        let audience = Some(("audience".to_owned(), vec![self.audience.to_owned()]));
        Attributes::new(audience.filter(|_| !self.audience.is_empty()), None, None, None)
    }

    pub fn chunk(&self, number: usize) -> Chunk {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(number as u64).to_be_bytes());
        Chunk {
            id: ChunkId::from_bytes(id),
            field: "/body".to_owned(),
            range: 0..u32::try_from(self.text.len()).unwrap(),
            headings: self.headings.clone(),
            anchor: None,
            boost: 1.0,
        }
    }
}

/// Segments of at most so many chunks. The number of a chunk among all is its id.
pub fn segments(analyzer: &Analyzer, sources: &[(usize, Source)], most: usize) -> Vec<Arc<Segment>> {
    let open = |sources: &[(usize, Source)]| Arc::new(Segment::open(&written(analyzer, sources)).unwrap());
    sources.chunks(most).map(open).collect()
}

/// The bytes of one segment.
pub fn written(analyzer: &Analyzer, sources: &[(usize, Source)]) -> Vec<u8> {
    let mut writer = SegmentWriter::new(analyzer);
    for (number, source) in sources {
        let passage = Passage {
            entry: source.entry.as_bytes(),
            title: &source.title,
            chunk: &source.chunk(*number),
            text: &source.text,
            attributes: &source.attributes(),
        };
        assert!(writer.push(&passage));
    }
    writer.finish()
}

pub fn shelf(analyzer: &Arc<Analyzer>, segments: &[Arc<Segment>], basis: Option<&Arc<Basis>>) -> Shelf {
    let part = |segment: &Arc<Segment>| Part {
        segment: Arc::clone(segment),
        vectors: basis.map(|basis| Arc::new(SegmentVectors::of(segment, basis))),
    };
    Shelf::new(segments.iter().map(part).collect(), basis.cloned(), Arc::clone(analyzer))
}

/// What a reader may see that lists one audience.
pub fn allowed(audience: &str) -> Allowed {
    let values = BTreeMap::from([("audience".to_owned(), vec![audience.to_owned()])]);
    let readers = Readers::new(&BTreeMap::from([("reader".to_owned(), values)]));
    Allowed::new(Filter::default(), readers.reader(Some("reader")), 0)
}

pub fn public() -> Allowed {
    Allowed::public(&Readers::default(), 0)
}
