//! Building the tree of meaning: what terms mean in each index, and the vectors of its segments.
//!
//! A basis is learned from the chunks that everybody may see, and then kept for release after release: vectors follow from it and from
//! one segment, so a changed entry costs the vectors of its segment. When more than a tenth of the chunks are others than those
//! it was learned from, a new one is learned. Vectors that a model makes are built in [`super::given`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_model::Digest;
use ashlar_retrieval::{
    basis::{Basis, SegmentVectors},
    chunk::ChunkId,
    config::{Embedder, IndexRules},
    models::{Model, Models},
    segment::Segment,
};
use ashlar_store::{Batch, ReadObjects, Tree};
use serde_json::json;

use super::{
    build::rules_of,
    key::{
        RULES, SegmentValue, ShelfName, basis_prefix, names, shelf_of, taught_prefix, vector_key,
        vector_prefix,
    },
    made::Made,
    rules::SearchRules,
};
use crate::error::DeliveryError;

/// The form of what is stored; part of what the tree is bound to.
const FORMAT: &str = "meaning 1";
/// What names the model among what the tree depends on.
const MODEL: &str = "model";
/// With fewer chunks, nothing can be learned of how words are used.
pub(super) const CHUNKS_MIN: u64 = 24;
/// What may be learned from while a candidate is made, in chunks: about a tenth of a second.
const QUICK_LEARNED_MAX: u64 = 200;
/// Chunks whose vectors may be made while a candidate is made.
pub(super) const QUICK_EMBEDDED_MAX: u64 = 5_000;
/// Another basis is learned when one chunk in so many is another than when it was learned.
const DRIFT: u64 = 10;
/// Chunks that stand for all in the record of what a basis was learned from.
const SAMPLE: u64 = 10_000;
/// Segments whose chunks are remembered as counted, for each basis.
const FRESH_MAX: usize = 1 << 16;
/// Pieces of a stored record, in bytes.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Bases that are remembered.
const LEARNED_MAX: usize = 16;
/// Trees whose shelves are remembered as counted.
const COUNTED_MAX: usize = 64;

/// What was learned, remembered by the digests of its pieces: a change of one entry must not read megabytes.
#[derive(Default)]
pub struct Learned {
    bases: Mutex<VecDeque<(Digest, Arc<Basis>, Arc<Taught>)>>,
    /// Counts by the roots of a search tree and of the tree of meaning that was built from it.
    counts: Mutex<VecDeque<((Digest, Digest), Arc<Counts>)>>,
    pub(super) made: Mutex<Made>,
}

/// What the tree of meaning is built from.
pub struct MeaningInput<'a> {
    /// The search tree of the release.
    pub search: &'a Tree,
    /// What it was built with.
    pub rules: &'a SearchRules<'a>,
    /// The entries of the release.
    pub snapshot: &'a Tree,
    /// The models of this node.
    pub models: &'a dyn Models,
    /// The tree of meaning of an earlier release.
    pub earlier: Option<&'a Tree>,
    /// The search tree of that release.
    pub earlier_search: Option<&'a Tree>,
    /// Whether it may only be built when that is quick.
    pub quick: bool,
    /// What was learned before.
    pub learned: &'a Learned,
}

/// The segments of one index in one locale.
pub(super) type Segments = Vec<SegmentValue>;

/// How many chunks a shelf has, and how many of them are others than those that its basis was learned from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: u64,
    pub(super) fresh: u64,
}

/// The counts of shelves with a basis that was learned from them.
pub(super) type Counts = BTreeMap<ShelfName, Count>;

/// What a basis was learned from: segments, and a sample of their chunks.
pub(super) struct Taught {
    segments: BTreeSet<Digest>,
    /// One chunk in so many is part of the sample.
    every: u64,
    sample: BTreeSet<u64>,
    /// How many chunks of a newer segment are others, once it was counted: a publish must not read again what earlier ones changed.
    fresh: Mutex<BTreeMap<Digest, u64>>,
}

impl Learned {
    /// What the tree of a release says was learned of a shelf.
    pub(super) fn at(
        &self,
        tree: &Tree,
        (index, locale): (&str, &str),
        content: &dyn ReadObjects,
    ) -> Result<Option<(Arc<Basis>, Arc<Taught>)>, DeliveryError> {
        let mut digests = Vec::new();
        for prefix in [basis_prefix(index, locale), taught_prefix(index, locale)] {
            for item in tree.prefix(&prefix) {
                digests.extend_from_slice(digest_in(&item?.1)?.as_bytes());
            }
        }
        if digests.is_empty() {
            return Ok(None);
        }
        let name = Digest::of(&digests);
        let known = {
            let learned = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
            learned
                .iter()
                .find(|(known, ..)| *known == name)
                .map(|(_, basis, taught)| (basis.clone(), taught.clone()))
        };
        if known.is_some() {
            return Ok(known);
        }
        let taught = Taught::decode(&pieces(tree, &taught_prefix(index, locale), content)?.concat());
        let basis = basis_of(tree, (index, locale), content)?;
        let Some((taught, basis)) = taught.zip(basis) else { return Ok(None) };
        let (basis, taught) = (Arc::new(basis), Arc::new(taught));
        let mut learned = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        learned.push_front((name, basis.clone(), taught.clone()));
        learned.truncate(LEARNED_MAX);
        Ok(Some((basis, taught)))
    }
}

impl Learned {
    /// What was counted when a tree of meaning was built from a search tree here.
    pub(super) fn counts(&self, search: &Tree, meaning: &Tree) -> Option<Arc<Counts>> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let roots = (search.root(), meaning.root());
        counts.iter().find(|(of, _)| *of == roots).map(|(_, counts)| counts.clone())
    }

    fn counted(&self, search: &Tree, meaning: &Tree, counts: Counts) {
        let roots = (search.root(), meaning.root());
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _)| *of != roots);
        all.push_front((roots, Arc::new(counts)));
        all.truncate(COUNTED_MAX);
    }
}

/// A number that is different for different chunks.
pub(super) fn number(id: &ChunkId) -> u64 {
    id.as_bytes().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
}

impl Taught {
    pub(super) fn of(values: &Segments, opened: &[Arc<Segment>]) -> Self {
        let chunks: u64 = values.iter().map(|v| u64::from(v.chunks)).sum();
        let every = chunks.div_ceil(SAMPLE).max(1);
        let ids = opened.iter().flat_map(|segment| segment.chunks().map(|chunk| number(&chunk.id)));
        Self {
            segments: values.iter().map(|v| v.digest).collect(),
            every,
            sample: ids.filter(|id| id.is_multiple_of(every)).collect(),
            fresh: Mutex::default(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.every.to_le_bytes().to_vec();
        out.extend((self.segments.len() as u64).to_le_bytes());
        self.segments.iter().for_each(|digest| out.extend(digest.as_bytes()));
        self.sample.iter().for_each(|id| out.extend(id.to_le_bytes()));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (every, rest) = bytes.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (segments, sample) = rest.split_at_checked(count.checked_mul(32)?)?;
        let (digests, _) = segments.as_chunks::<32>();
        let (ids, _) = sample.as_chunks::<8>();
        Some(Self {
            segments: digests.iter().map(|d| Digest::from_bytes(*d)).collect(),
            every: u64::from_le_bytes(*every).max(1),
            sample: ids.iter().map(|id| u64::from_le_bytes(*id)).collect(),
            fresh: Mutex::default(),
        })
    }

    /// How many chunks are others than those that were learned from; `None` when they are too many.
    pub(super) fn count(
        &self,
        values: &Segments,
        open: &mut dyn FnMut(&Digest) -> Result<Arc<Segment>, DeliveryError>,
    ) -> Result<Option<Count>, DeliveryError> {
        let mut count = Count { all: values.iter().map(|v| u64::from(v.chunks)).sum(), fresh: 0 };
        for value in values {
            count.fresh += self.fresh_in(&value.digest, open)?;
            // They are too many whatever follows.
            if count.fresh * DRIFT > count.all {
                return Ok(None);
            }
        }
        Ok((!self.is_outgrown(count)).then_some(count))
    }

    /// Whether too many chunks are others than those that were learned from.
    pub(super) fn is_outgrown(&self, count: Count) -> bool {
        // What was learned from twice as much says little of what is left.
        count.fresh * DRIFT > count.all || self.sample.len() as u64 * self.every > count.all * 2
    }

    /// How many chunks of a segment are others, if that is known.
    pub(super) fn known_fresh_in(&self, digest: &Digest) -> Option<u64> {
        if self.segments.contains(digest) {
            return Some(0);
        }
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    /// How many chunks of a segment are others than those that were learned from.
    pub(super) fn fresh_in(
        &self,
        digest: &Digest,
        open: &mut dyn FnMut(&Digest) -> Result<Arc<Segment>, DeliveryError>,
    ) -> Result<u64, DeliveryError> {
        if let Some(known) = self.known_fresh_in(digest) {
            return Ok(known);
        }
        let segment = open(digest)?;
        let ids = segment.chunks().map(|chunk| number(&chunk.id));
        let other = |id: &u64| id.is_multiple_of(self.every) && !self.sample.contains(id);
        let count = ids.filter(other).count() as u64 * self.every;
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.len() >= FRESH_MAX {
            fresh.clear();
        }
        fresh.insert(*digest, count);
        Ok(count)
    }
}

/// All shelves of a search tree with their segments.
fn shelves(search: &Tree) -> Result<BTreeMap<ShelfName, Segments>, DeliveryError> {
    let mut out: BTreeMap<ShelfName, Segments> = BTreeMap::new();
    for item in search.prefix(b"s\0") {
        let (key, value) = item?;
        let (index, locale) = shelf_of(&key)?;
        out.entry((index.to_owned(), locale.to_owned())).or_default().push(SegmentValue::from_bytes(&value)?);
    }
    Ok(out)
}

pub(super) fn digest_in(value: &[u8]) -> Result<Digest, DeliveryError> {
    let bytes = value.first_chunk::<32>().ok_or(DeliveryError::SearchTree("a value"))?;
    Ok(Digest::from_bytes(*bytes))
}

/// The objects that the entries under a prefix name, in order.
pub(super) fn pieces(
    tree: &Tree,
    prefix: &[u8],
    content: &dyn ReadObjects,
) -> Result<Vec<bytes::Bytes>, DeliveryError> {
    tree.prefix(prefix).map(|item| Ok(content.get(&digest_in(&item?.1)?)?)).collect()
}

/// The basis of a shelf; `None` when it has none.
pub(super) fn basis_of(
    tree: &Tree,
    (index, locale): (&str, &str),
    content: &dyn ReadObjects,
) -> Result<Option<Basis>, DeliveryError> {
    let pieces = pieces(tree, &basis_prefix(index, locale), content)?;
    if pieces.is_empty() {
        return Ok(None);
    }
    Ok(Some(Basis::open(&pieces)?))
}

/// Builds the tree. `None` when that takes long and only what is quick was asked for; then nothing is in `batch`.
///
/// # Errors
/// When something it is built from cannot be read.
pub fn derive_meaning(input: &MeaningInput<'_>, batch: &mut Batch) -> Result<Option<Tree>, DeliveryError> {
    let model = model_for(input, &names(input.search)?)?;
    let rules = rules(input, model.as_ref())?;
    let rules_digest = Digest::of(&rules);
    let earlier = match input.earlier {
        Some(tree) if rules_of(tree)? == Some(rules_digest) => Some(tree),
        _ => None,
    };
    let mut maker = Maker {
        input,
        edits: BTreeMap::new(),
        opened: BTreeMap::new(),
        objects: BTreeMap::new(),
        learned: 0,
        embedded: 0,
        asked: 0,
        made: Vec::new(),
        rules: rules_digest,
        counts: Counts::new(),
    };
    let advanced = earlier.map(|earlier| maker.advance(earlier, batch)).transpose()?;
    if advanced != Some(true) && !maker.look_at_all(earlier, model.as_ref(), batch)? {
        return Ok(None);
    }
    let Maker { mut edits, objects, made, counts, .. } = maker;
    for object in objects.into_values() {
        batch.put(object);
    }
    edits.insert(RULES.to_vec(), Some(batch.put(rules).as_bytes().to_vec()));
    let edits: Vec<_> = edits.into_iter().collect();
    let tree = earlier.cloned().unwrap_or_else(Tree::empty);
    let tree = tree.apply(&edits, batch)?;
    if !made.is_empty() {
        Made::forget(&input.learned.made, &made);
    }
    input.learned.counted(input.search, &tree, counts);
    Ok(Some(tree))
}

/// The model that some of the shelves use.
fn model_for(input: &MeaningInput<'_>, now: &BTreeSet<ShelfName>) -> Result<Option<Model>, DeliveryError> {
    let config = input.rules.config();
    let named = now.iter().find_map(|(index, _)| config.model_of(index));
    Ok(named.map(|named| input.models.model(named.kind, &named.name)).transpose()?)
}

/// What the tree depends on besides segments.
fn rules(input: &MeaningInput<'_>, model: Option<&Model>) -> Result<Vec<u8>, DeliveryError> {
    let search = rules_of(input.search)?.map(|digest| digest.to_string());
    let config = input.rules.config();
    let public = format!("{:?}", config.readers.public());
    let mut rules = json!({"format": FORMAT, "search": search, "public": public});
    if let Some(model) = model {
        let unlike = |of: fn(&IndexRules) -> bool| -> Vec<&String> {
            config.indexes.iter().filter(|(_, rules)| of(rules)).map(|(name, _)| name).collect()
        };
        rules[MODEL] = json!(model.id);
        rules["learned"] = json!(unlike(|rules| rules.lsa));
        if model.leaves {
            rules["restricted"] =
                json!(matches!(&config.embedder, Embedder::Model(named) if named.restricted));
            rules["hidden"] = json!(unlike(|rules| !rules.public));
        }
    }
    Ok(rules.to_string().into_bytes())
}

/// The id of the model whose vectors a tree of meaning contains; `None` when all of them were learned from the content.
///
/// # Errors
/// When the tree cannot be read.
pub fn model_in(tree: &Tree, content: &dyn ReadObjects) -> Result<Option<String>, DeliveryError> {
    let Some(rules) = rules_of(tree)? else { return Ok(None) };
    let rules: serde_json::Value = serde_json::from_slice(&content.get(&rules)?)
        .map_err(|_| DeliveryError::SearchTree("what the tree depends on"))?;
    Ok(rules.get(MODEL).and_then(serde_json::Value::as_str).map(str::to_owned))
}

pub(super) struct Maker<'a> {
    pub(super) input: &'a MeaningInput<'a>,
    pub(super) edits: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    opened: BTreeMap<Digest, Arc<Segment>>,
    /// What goes into the batch when the tree is built.
    objects: BTreeMap<Digest, Vec<u8>>,
    /// Chunks that were learned from and embedded so far.
    learned: u64,
    embedded: u64,
    /// Texts that a model was asked for.
    pub(super) asked: u64,
    /// The segments whose vectors were made by a model, as [`Made`] names them.
    pub(super) made: Vec<Digest>,
    /// The digest of what the tree depends on besides segments.
    pub(super) rules: Digest,
    /// What is on the shelves now.
    pub(super) counts: Counts,
}

/// Reads a segment that was not read before.
pub(super) fn open_once(
    opened: &mut BTreeMap<Digest, Arc<Segment>>,
    content: &dyn ReadObjects,
    digest: &Digest,
) -> Result<Arc<Segment>, DeliveryError> {
    if let Some(known) = opened.get(digest) {
        return Ok(known.clone());
    }
    let segment = Arc::new(Segment::open(&content.get(digest)?)?);
    opened.insert(*digest, segment.clone());
    Ok(segment)
}

impl Maker<'_> {
    /// Adds the edits of all shelves. `false` when it takes too long.
    fn look_at_all(
        &mut self,
        earlier: Option<&Tree>,
        model: Option<&Model>,
        batch: &Batch,
    ) -> Result<bool, DeliveryError> {
        let now = shelves(self.input.search)?;
        for ((index, locale), values) in &now {
            let shelf = (index.as_str(), locale.as_str());
            let made = match model.filter(|_| self.input.rules.config().model_of(index).is_some()) {
                Some(model) => self.given(model, earlier, shelf, values, batch)?,
                None => self.shelf(earlier, shelf, values, batch)?,
            };
            if !made {
                return Ok(false);
            }
        }
        if let Some(earlier) = earlier {
            self.forget_others(earlier, &now)?;
        }
        Ok(true)
    }

    pub(super) fn put(&mut self, object: Vec<u8>) -> Vec<u8> {
        let digest = Digest::of(&object);
        self.objects.insert(digest, object);
        digest.as_bytes().to_vec()
    }

    /// What was put under a digest.
    pub(super) fn object(&self, digest: &Digest) -> Option<&[u8]> {
        self.objects.get(digest).map(Vec::as_slice)
    }

    /// Adds the edits of one shelf. `false` when it takes too long.
    fn shelf(
        &mut self,
        earlier: Option<&Tree>,
        (index, locale): (&str, &str),
        values: &Segments,
        batch: &Batch,
    ) -> Result<bool, DeliveryError> {
        let chunks: u64 = values.iter().map(|v| u64::from(v.chunks)).sum();
        let content: &dyn ReadObjects = batch;
        let opened = &mut self.opened;
        let mut open = |digest: &Digest| open_once(opened, content, digest);
        let mut kept = None;
        if let Some(earlier) = earlier
            && let Some((basis, taught)) = self.input.learned.at(earlier, (index, locale), content)?
            && let Some(count) = taught.count(values, &mut open)?
        {
            kept = Some((basis, count));
        }
        let inherited = kept.is_some();
        let learned_from_all = Count { all: chunks, fresh: 0 };
        let (basis, count) = match kept {
            Some(kept) => kept,
            None if chunks < CHUNKS_MIN => {
                // What was there says nothing of what is.
                for prefix in [basis_prefix, taught_prefix, vector_prefix] {
                    self.forget(earlier, &prefix(index, locale))?;
                }
                return Ok(true);
            }
            None => {
                self.learned += chunks;
                if self.input.quick && self.learned > QUICK_LEARNED_MAX {
                    return Ok(false);
                }
                let all: Vec<Arc<Segment>> =
                    values.iter().map(|v| open(&v.digest)).collect::<Result<_, _>>()?;
                let readers = &self.input.rules.config().readers;
                let basis = Arc::new(Basis::learn(&all, &|attributes| attributes.is_public(readers)));
                for prefix in [basis_prefix, taught_prefix, vector_prefix] {
                    self.forget(earlier, &prefix(index, locale))?;
                }
                self.pieces(&basis_prefix(index, locale), basis.encode());
                let taught = Taught::of(values, &all).encode();
                let taught = taught.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect();
                self.pieces(&taught_prefix(index, locale), taught);
                (basis, learned_from_all)
            }
        };
        self.counts.insert((index.to_owned(), locale.to_owned()), count);
        let earlier = earlier.filter(|_| inherited);
        self.vectors(earlier, (index, locale), (values, &basis), content)
    }

    /// Adds the edits of vectors: of the segments that are there, and of no others. `false` when it takes too long.
    fn vectors(
        &mut self,
        earlier: Option<&Tree>,
        (index, locale): (&str, &str),
        (values, basis): (&Segments, &Basis),
        content: &dyn ReadObjects,
    ) -> Result<bool, DeliveryError> {
        let mut known: BTreeSet<Digest> = BTreeSet::new();
        let mut gone = Vec::new();
        if let Some(earlier) = earlier {
            let prefix = vector_prefix(index, locale);
            let wanted: BTreeSet<Digest> = values.iter().map(|v| v.digest).collect();
            for item in earlier.prefix(&prefix) {
                let (key, _) = item?;
                let digest = digest_in(&key[prefix.len()..])?;
                match wanted.contains(&digest) {
                    true => drop(known.insert(digest)),
                    false => gone.push((key.to_vec(), None)),
                }
            }
        }
        let mut made = Vec::new();
        for value in values {
            if !known.insert(value.digest) {
                continue;
            }
            self.embedded += u64::from(value.chunks);
            if self.input.quick && self.embedded > QUICK_EMBEDDED_MAX {
                return Ok(false);
            }
            let segment = match self.opened.remove(&value.digest) {
                Some(opened) => opened,
                None => Arc::new(Segment::open(&content.get(&value.digest)?)?),
            };
            made.push((
                vector_key(index, locale, &value.digest),
                SegmentVectors::of(&segment, basis).encode(),
            ));
        }
        for (key, vectors) in made {
            let value = self.put(vectors);
            self.edits.insert(key, Some(value));
        }
        self.edits.extend(gone);
        self.opened.clear();
        Ok(true)
    }

    pub(super) fn pieces(&mut self, prefix: &[u8], pieces: Vec<Vec<u8>>) {
        for (part, piece) in pieces.into_iter().enumerate() {
            let value = self.put(piece);
            self.edits.insert([prefix, format!("{part:08x}").as_bytes()].concat(), Some(value));
        }
    }

    /// Takes what was there under a prefix out. What is written there afterwards counts.
    pub(super) fn forget(&mut self, earlier: Option<&Tree>, prefix: &[u8]) -> Result<(), DeliveryError> {
        if let Some(earlier) = earlier {
            for item in earlier.prefix(prefix) {
                self.edits.insert(item?.0.to_vec(), None);
            }
        }
        Ok(())
    }

    /// Takes out what belongs to shelves that are no more.
    fn forget_others(
        &mut self,
        earlier: &Tree,
        now: &BTreeMap<ShelfName, Segments>,
    ) -> Result<(), DeliveryError> {
        for kind in [&b"b\0"[..], b"t\0", b"v\0"] {
            for item in earlier.prefix(kind) {
                let (key, _) = item?;
                let mut parts = key[kind.len()..].splitn(3, |b| *b == 0).map(String::from_utf8_lossy);
                let shelf = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if !now.contains_key(&(shelf.0.into_owned(), shelf.1.into_owned())) {
                    self.edits.insert(key.to_vec(), None);
                }
            }
        }
        Ok(())
    }
}
