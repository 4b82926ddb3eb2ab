//! Documents as one shelf, in memory.

use std::sync::Arc;

use crate::{
    access::{Allowed, Attributes, Readers},
    basis::{Basis, SegmentVectors},
    chunk::{Chunk, ChunkId},
    embedder::{self, Embedder},
    fusion::Calibration,
    search::{Ask, Mode, Part, Shelf},
    segment::{Passage, Segment, SegmentWriter, StoredError},
    text::Analyzer,
    vector::Random,
};

/// A text with its title, which may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// What it is called.
    pub title: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl Document<'_> {
    /// Title and text as an embedder reads them.
    #[must_use]
    pub fn whole(&self) -> String {
        if self.title.is_empty() { self.text.to_owned() } else { format!("{}\n\n{}", self.title, self.text) }
    }
}

/// A document that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The number of the document.
    pub document: u32,
    /// How well it answers the query. Scores of different queries or modes do not compare.
    pub score: f32,
}

/// Documents that everybody may see, each one chunk of a shelf.
#[derive(Debug)]
pub struct Index {
    shelf: Shelf,
    allowed: Allowed,
}

impl Index {
    /// Indexes documents in the language of a locale. Unless words alone are searched, it learns what they mean and how to weigh both.
    ///
    /// # Errors
    /// Never for documents of a usual size; a segment that cannot be read again is a bug.
    pub fn build(locale: &str, documents: &[Document<'_>], mode: Mode) -> Result<Self, StoredError> {
        Self::build_with(locale, documents, mode, None)
    }

    /// As [`Index::build`], with the vectors of an embedder where there is one. What is asked then needs its vector, see
    /// [`Index::search_with`].
    ///
    /// # Errors
    /// As [`Index::build`].
    pub fn build_with(
        locale: &str,
        documents: &[Document<'_>],
        mode: Mode,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Self, StoredError> {
        let analyzer = Arc::new(Analyzer::for_locale(locale));
        let attributes = Attributes::default();
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        let mut writer = SegmentWriter::new(&analyzer);
        for (number, document) in documents.iter().enumerate() {
            let key = (number as u64).to_be_bytes();
            let mut random = Random(number as u64);
            let id = [random.next().to_be_bytes(), random.next().to_be_bytes()].concat();
            let chunk = Chunk {
                id: ChunkId::from_bytes(id.try_into().unwrap_or_default()),
                field: String::new(),
                range: 0..u32::try_from(document.text.len()).unwrap_or(u32::MAX),
                headings: Vec::new(),
                anchor: None,
                boost: 1.0,
            };
            let passage = Passage {
                entry: &key,
                title: document.title,
                chunk: &chunk,
                text: document.text,
                attributes: &attributes,
            };
            if !writer.push(&passage) {
                let full = std::mem::replace(&mut writer, SegmentWriter::new(&analyzer));
                segments.push(Arc::new(Segment::open(&full.finish())?));
                let _added = writer.push(&passage);
            }
        }
        segments.push(Arc::new(Segment::open(&writer.finish())?));
        let (basis, mut given) = match embedder.filter(|_| mode != Mode::Bm25) {
            Some(embedder) => {
                let texts: Vec<String> = documents.iter().map(Document::whole).collect();
                let failed = |_| StoredError { what: "vectors", at: 0, message: "the model failed" };
                let vectors = embedder.embed_all(&texts).map_err(failed)?;
                let calibration =
                    embedder::trust(embedder, &analyzer, documents, &vectors).map_err(failed)?;
                let taught = u32::try_from(documents.len()).unwrap_or(u32::MAX);
                (Some(Basis::given(taught, calibration, String::new())), Some(vectors.into_iter()))
            }
            None => ((mode != Mode::Bm25).then(|| Basis::learn(&segments, &|_| true)), None),
        };
        let basis = basis.map(Arc::new);
        let parts = segments.into_iter().map(|segment| {
            let vectors = basis.as_ref().map(|basis| match &mut given {
                Some(given) => SegmentVectors::given(basis.dimensions(), given.take(segment.len())),
                None => SegmentVectors::of(&segment, basis),
            });
            Part { segment, vectors: vectors.map(Arc::new) }
        });
        let shelf = Shelf::new(parts.collect(), basis.clone(), Arc::clone(&analyzer));
        Ok(Self { shelf, allowed: Allowed::public(&Readers::default(), 0) })
    }

    /// What was learned from the corpus, unless words alone are searched.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.shelf.basis().map(|basis| basis.calibration())
    }

    /// The best documents for a query, the best first. A query without a known term finds nothing; with [`Mode::Vector`] neither does
    /// one whose terms are in one document each, because nothing is known of their company.
    #[must_use]
    pub fn search(&self, query: &str, mode: Mode, limit: usize) -> Vec<Match> {
        self.search_with(query, None, mode, limit)
    }

    /// As [`Index::search`], with the vector that an embedder made of the query.
    #[must_use]
    pub fn search_with(&self, query: &str, vector: Option<&[f32]>, mode: Mode, limit: usize) -> Vec<Match> {
        let ask = Ask { mode, limit, vector, ..Ask::new(query, &self.allowed) };
        let found = self.shelf.search(&ask);
        let document = |entry: &[u8]| entry.try_into().map_or(u64::MAX, u64::from_be_bytes);
        let hits = found.hits.iter().filter_map(|hit| {
            let entry = self.shelf.chunk(hit)?.entry;
            Some(Match { document: u32::try_from(document(entry)).ok()?, score: hit.score })
        });
        hits.collect()
    }
}
