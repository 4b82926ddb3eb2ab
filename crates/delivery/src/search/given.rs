//! Vectors that a model makes.
//!
//! A text is embedded once: a chunk that an earlier release has keeps its vector, also when its segment or the rules are others. What was
//! made before a model failed is remembered, so the next try goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ashlar_model::{Digest, EntryKey, EntryRecord};
use ashlar_retrieval::{
    Document,
    basis::{Basis, SegmentVectors},
    chunk::ChunkId,
    fusion::Calibration,
    models::Model,
    segment::{ChunkRef, Segment},
    text::Analyzer,
    trust,
};
use ashlar_store::{Batch, ReadObjects, Tree};

use super::{
    key::{SegmentValue, basis_prefix, taught_prefix, vector_key, vector_prefix},
    made::Made,
    meaning::{CHUNKS_MIN, Maker, PIECE_BYTES, Segments, Taught, digest_in, number},
};
use crate::{error::DeliveryError, lookup::fields};

/// The most bytes of a text that are embedded.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Chunks that a model is tried with, to see how far its vectors are trusted.
const TRIED_MAX: usize = 10_000;
/// Chunks that are asked about then, and texts that each of them costs.
const ASKED_MAX: u64 = 300;
const ASKED_TEXTS: u64 = 4;

/// A chunk of an earlier release: its vectors, and its place among them.
type Earlier = (Arc<SegmentVectors>, usize);

/// The vectors that an earlier release has of a shelf.
#[derive(Default)]
struct Old {
    /// Segment → its vectors.
    segments: BTreeMap<Digest, Digest>,
    /// What names a chunk with its text → its vector, for segments that are no more. Made when it is needed.
    chunks: Option<HashMap<Digest, Earlier>>,
}

/// Names what is embedded of a chunk. Its id follows from its text.
fn name_of(chunk: &ChunkRef<'_>) -> Digest {
    let mut bytes = chunk.id.as_bytes().to_vec();
    bytes.extend_from_slice(lead(chunk).as_bytes());
    Digest::of(&bytes)
}

/// Title and headings of a chunk.
fn lead(chunk: &ChunkRef<'_>) -> String {
    let lines: Vec<&str> = std::iter::once(chunk.title).chain(chunk.headings.iter().copied()).collect();
    lines.join("\n")
}

fn open_vectors(content: &dyn ReadObjects, digest: &Digest) -> Result<Arc<SegmentVectors>, DeliveryError> {
    Ok(Arc::new(SegmentVectors::open(&content.get(digest)?)?))
}

impl Old {
    fn read(tree: &Tree, (index, locale): (&str, &str)) -> Result<Self, DeliveryError> {
        let prefix = vector_prefix(index, locale);
        let mut segments = BTreeMap::new();
        for item in tree.prefix(&prefix) {
            let (key, value) = item?;
            segments.insert(digest_in(&key[prefix.len()..])?, digest_in(&value)?);
        }
        Ok(Self { segments, chunks: None })
    }

    /// The vector of a chunk whose segment is no more.
    fn chunk(
        &mut self,
        chunk: &ChunkRef<'_>,
        values: &Segments,
        content: &dyn ReadObjects,
    ) -> Option<Earlier> {
        let segments = &self.segments;
        let chunks = self.chunks.get_or_insert_with(|| {
            let here: BTreeSet<Digest> = values.iter().map(|value| value.digest).collect();
            let mut out = HashMap::new();
            for (segment, vectors) in segments.iter().filter(|(segment, _)| !here.contains(*segment)) {
                // What was collected meanwhile is embedded again.
                let read = || -> Result<(Segment, Arc<SegmentVectors>), DeliveryError> {
                    Ok((Segment::open(&content.get(segment)?)?, open_vectors(content, vectors)?))
                };
                let Ok((segment, vectors)) = read() else { continue };
                for (place, chunk) in segment.chunks().enumerate().filter(|(at, _)| vectors.is_known(*at)) {
                    out.insert(name_of(&chunk), (vectors.clone(), place));
                }
            }
            out
        });
        chunks.get(&name_of(chunk)).cloned()
    }
}

/// Where the vector of a chunk comes from.
enum Origin {
    Earlier(Earlier),
    Text(usize),
    /// The text must not leave the node.
    Nowhere,
}

impl Maker<'_> {
    /// Adds the edits of a shelf whose vectors a model makes. `same`: the earlier tree, when it depends on the same. `false` when it takes
    /// too long.
    pub(super) fn given(
        &mut self,
        model: &Model,
        same: Option<&Tree>,
        shelf: (&str, &str),
        values: &Segments,
        content: &Batch,
    ) -> Result<bool, DeliveryError> {
        let (index, locale) = shelf;
        let known = match self.input.earlier {
            Some(tree) => self.input.learned.at(tree, shelf, content)?.map(|known| (tree, known)),
            None => None,
        };
        let known = known.filter(|(_, (basis, _))| {
            basis.model() == model.id && basis.dimensions() == model.embedder.dimensions()
        });
        let mut old = match &known {
            Some((tree, _)) => Old::read(tree, shelf)?,
            None => Old::default(),
        };
        let prefixes = [basis_prefix(index, locale), taught_prefix(index, locale)];
        match (&known, same) {
            (None, _) => {
                for prefix in prefixes.iter().chain([&vector_prefix(index, locale)]) {
                    self.forget(same, prefix)?;
                }
            }
            (Some(_), Some(_)) => {
                let here: BTreeSet<Digest> = values.iter().map(|value| value.digest).collect();
                for segment in old.segments.keys().filter(|segment| !here.contains(*segment)) {
                    self.edits.insert(vector_key(index, locale, segment), None);
                }
            }
            (Some(_), None) => {}
        }
        let mut seen: BTreeSet<Digest> = BTreeSet::new();
        for value in values.iter().filter(|value| seen.insert(value.digest)) {
            let is_there = same.is_some() && old.segments.contains_key(&value.digest);
            if !is_there && !self.segment(model, shelf, (value, values), &mut old, content)? {
                return Ok(false);
            }
        }
        let mut open = |digest: &Digest| -> Result<Arc<Segment>, DeliveryError> {
            Ok(Arc::new(Segment::open(&content.get(digest)?)?))
        };
        if let Some((tree, (_, taught))) = &known
            && taught.count(values, &mut open)?.is_some()
        {
            if same.is_none() {
                for item in prefixes.iter().flat_map(|prefix| tree.prefix(prefix)) {
                    let (key, value) = item?;
                    self.edits.insert(key.to_vec(), Some(value.to_vec()));
                }
            }
            return Ok(true);
        }
        for prefix in &prefixes {
            self.forget(same, prefix)?;
        }
        let all: Vec<Arc<Segment>> =
            values.iter().map(|value| open(&value.digest)).collect::<Result<_, _>>()?;
        let Some(calibration) = self.calibrated(model, shelf, (values, &all), (same, &old), content)? else {
            return Ok(false);
        };
        let chunks: u64 = values.iter().map(|value| u64::from(value.chunks)).sum();
        let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
        let basis = Basis::given(chunks, calibration, model.id.clone());
        let [basis_prefix, taught_prefix] = prefixes;
        self.pieces(&basis_prefix, basis.encode());
        let taught = Taught::of(values, &all).encode();
        self.pieces(&taught_prefix, taught.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect());
        Ok(true)
    }

    /// Whether a model may be asked for so many texts more.
    fn may_ask(&mut self, model: &Model, texts: u64) -> bool {
        self.asked += texts;
        !self.input.quick || self.asked <= model.quick
    }

    /// Whether the text of a chunk may be given to a model.
    fn may_read(&self, model: &Model, index: &str, segment: &Segment, chunk: &ChunkRef<'_>) -> bool {
        let config = self.input.rules.config();
        let restricted = config.model_of(index).is_some_and(|named| named.restricted);
        let public = || {
            let attributes = segment.attributes().get(chunk.attributes);
            config.may_use(config.readers.public(), index)
                && attributes.is_some_and(|attributes| attributes.is_public(&config.readers))
        };
        !model.leaves || restricted || public()
    }

    /// Adds the vectors of a segment.
    fn segment(
        &mut self,
        model: &Model,
        (index, locale): (&str, &str),
        (value, values): (&SegmentValue, &Segments),
        old: &mut Old,
        content: &Batch,
    ) -> Result<bool, DeliveryError> {
        let name = [value.digest.as_bytes(), self.rules.as_bytes(), model.id.as_bytes()].concat();
        let (name, key) = (Digest::of(&name), vector_key(index, locale, &value.digest));
        self.made.push(name);
        if let Some(made) = Made::get(&self.input.learned.made, &name) {
            let made = self.put(made.to_vec());
            self.edits.insert(key, Some(made));
            return Ok(true);
        }
        let segment = Segment::open(&content.get(&value.digest)?)?;
        let same = match old.segments.get(&value.digest) {
            Some(vectors) => open_vectors(content, vectors).ok().filter(|v| v.len() == segment.len()),
            None => None,
        };
        let (mut from, mut wanted) = (Vec::with_capacity(segment.len()), Vec::new());
        for (place, chunk) in segment.chunks().enumerate() {
            let own = same.as_ref().filter(|vectors| vectors.is_known(place)).map(|v| (v.clone(), place));
            let earlier = match own {
                Some(own) => Some(own),
                None if old.segments.is_empty() => None,
                None => old.chunk(&chunk, values, content),
            };
            from.push(match earlier {
                Some(earlier) => Origin::Earlier(earlier),
                None if self.may_read(model, index, &segment, &chunk) => {
                    wanted.push(place);
                    Origin::Text(wanted.len() - 1)
                }
                None => Origin::Nowhere,
            });
        }
        if !self.may_ask(model, wanted.len() as u64) {
            return Ok(false);
        }
        let mut fresh = match wanted.is_empty() {
            true => Vec::new(),
            false => {
                let texts = self.texts(&segment, &wanted, locale, content)?;
                let whole: Vec<String> =
                    texts.iter().map(|(title, text)| bounded(Document { title, text }.whole())).collect();
                model.embedder.embed_all(&whole)?
            }
        };
        let mut vectors = SegmentVectors::none(model.embedder.dimensions());
        for from in from {
            match from {
                Origin::Earlier((earlier, place)) if vectors.push_from(&earlier, place) => {}
                Origin::Text(number) => {
                    vectors.push(fresh.get_mut(number).map(std::mem::take).unwrap_or_default());
                }
                Origin::Earlier(_) | Origin::Nowhere => vectors.push(Vec::new()),
            }
        }
        let encoded = Arc::new(vectors.encode());
        if !wanted.is_empty() {
            Made::keep(&self.input.learned.made, name, &encoded);
        }
        let made = self.put(encoded.to_vec());
        self.edits.insert(key, Some(made));
        Ok(true)
    }

    /// Title with headings, and text, of some chunks of a segment.
    fn texts(
        &self,
        segment: &Segment,
        places: &[usize],
        locale: &str,
        content: &dyn ReadObjects,
    ) -> Result<Vec<(String, String)>, DeliveryError> {
        let analyzer = Analyzer::for_locale(locale);
        let mut texts: HashMap<ChunkId, String> = HashMap::new();
        let mut read: BTreeSet<&[u8]> = BTreeSet::new();
        let mut out = Vec::with_capacity(places.len());
        for place in places {
            let Some(chunk) = segment.chunk(*place) else { return Err(DeliveryError::SearchTree("a chunk")) };
            if read.insert(chunk.entry) {
                let key = EntryKey::from_bytes(chunk.entry)?;
                let record = self.input.snapshot.get(chunk.entry)?;
                let record = record.ok_or(DeliveryError::SearchTree("an entry"))?;
                let record = EntryRecord::from_bytes(&record)?;
                let fields = fields(content, &record.digest)?;
                let document = self.input.rules.document(&key, &record, &fields, &analyzer);
                let chunks = document.map(|document| document.chunks).unwrap_or_default();
                texts.extend(chunks.into_iter().map(|(chunk, text)| (chunk.id, text)));
            }
            let text = texts.remove(&chunk.id).ok_or(DeliveryError::SearchTree("a chunk"))?;
            out.push((lead(&chunk), text));
        }
        Ok(out)
    }

    /// How far the vectors of a shelf are trusted; `None` when finding out takes too long. Only what everybody may see is asked about.
    fn calibrated(
        &mut self,
        model: &Model,
        (index, locale): (&str, &str),
        (values, all): (&Segments, &[Arc<Segment>]),
        (same, old): (Option<&Tree>, &Old),
        content: &Batch,
    ) -> Result<Option<Calibration>, DeliveryError> {
        let readers = &self.input.rules.config().readers;
        let dimensions = model.embedder.dimensions();
        let mut chosen: Vec<(u64, usize, usize)> = Vec::new();
        for (number_of, segment) in all.iter().enumerate() {
            for (place, chunk) in segment.chunks().enumerate() {
                let attributes = segment.attributes().get(chunk.attributes);
                let public = attributes.is_some_and(|attributes| attributes.is_public(readers));
                if public && self.may_read(model, index, segment, &chunk) {
                    chosen.push((number(&chunk.id), number_of, place));
                }
            }
        }
        if (chosen.len() as u64) < CHUNKS_MIN {
            return Ok(Some(Calibration { dimensions, ..Calibration::default() }));
        }
        if !self.may_ask(model, ASKED_TEXTS * ASKED_MAX.min(chosen.len() as u64)) {
            return Ok(None);
        }
        // The same chunks whatever segments they are in.
        chosen.sort_unstable();
        chosen.truncate(TRIED_MAX);
        let mut by_segment: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (_, segment, place) in chosen {
            by_segment.entry(segment).or_default().push(place);
        }
        let (mut texts, mut vectors) = (Vec::new(), Vec::new());
        for (number, places) in by_segment {
            let key = vector_key(index, locale, &values[number].digest);
            let digest = match self.edits.get(&key) {
                Some(Some(value)) => digest_in(value)?,
                _ => match old.segments.get(&values[number].digest).filter(|_| same.is_some()) {
                    Some(digest) => *digest,
                    None => return Err(DeliveryError::SearchTree("a vector")),
                },
            };
            let made = match self.object(&digest) {
                Some(bytes) => SegmentVectors::open(bytes)?,
                None => SegmentVectors::open(&content.get(&digest)?)?,
            };
            texts.extend(self.texts(&all[number], &places, locale, content)?);
            vectors.extend(places.iter().map(|place| made.vector(*place)));
        }
        let documents: Vec<Document<'_>> =
            texts.iter().map(|(title, text)| Document { title, text: cut(text) }).collect();
        let analyzer = Analyzer::for_locale(locale);
        Ok(Some(trust(&*model.embedder, &analyzer, &documents, &vectors)?))
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn bounded(mut text: String) -> String {
    text.truncate(cut(&text).len());
    text
}
