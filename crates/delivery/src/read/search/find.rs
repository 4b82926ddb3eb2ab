//! Searching a release.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use ashlar_contracts::Contract;
use ashlar_model::{ContractName, EntryKey, EntryRecord, Fields, Locale, TypeName, nearest_of};
use ashlar_retrieval::{
    access::{Allowed, Attributes, Reader},
    chunk::{TextForm, blank},
    routing::RouteError,
    search::{Ask, Hit, Mode, query::Query},
    text::Analyzer,
};
use jiff::Timestamp;

use super::{
    question::{Question, Wanted, bad, mode_name},
    results::{Facets, ResultHit, Results},
    snippet::{marks, snippet},
};
use crate::{
    error::{DeliveryError, Failure},
    http::{Problem, cut},
    release::ReleaseView,
    search::{OpenShelf, SearchRules, SearchTrees, attributes_of, indexes},
};

/// Chunks that are looked at for each hit: several may be of one entry.
const CHUNKS_PER_HIT: usize = 8;
/// What a hit counts that is not in the preferred locale, for each step of the fallback.
const FALLBACK_FACTOR: f32 = 0.9;
/// What a hit without a word of the query scores at least, compared with the best of its index. Everything is a little like everything else.
const MEANING_MIN: f32 = 0.35;
/// What the best hit of an index counts at least, when the index has nothing of the query's words.
const UNCOVERED_FACTOR: f32 = 0.3;

/// A chunk that was found, with what it is a part of.
#[derive(Clone)]
pub(crate) struct Passage {
    pub(crate) entry: EntryKey,
    pub(crate) index: String,
    pub(crate) title: String,
    /// The path of its page.
    pub(crate) path: Option<String>,
    /// The id of the chunk.
    pub(crate) chunk: String,
    /// The JSON pointer of the field.
    pub(crate) field: String,
    /// Where in the field it lies, in bytes.
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) headings: Vec<String>,
    pub(crate) anchor: Option<String>,
    /// What the field says there, without markup; as many bytes.
    pub(crate) text: String,
    pub(crate) score: f32,
    pub(crate) pinned: bool,
    /// Whether everybody may see it.
    pub(crate) public: bool,
}

/// What was found, before it becomes an answer.
pub(crate) struct Search {
    /// The best first; one of each entry unless all were asked for.
    pub(crate) passages: Vec<Passage>,
    /// The indexes that were searched.
    pub(crate) indexes: Vec<String>,
    /// The types that are in them.
    pub(crate) types: BTreeSet<TypeName>,
    pub(crate) vectors: bool,
    /// Whether a model did not say what the query means, so that an index with vectors was searched by words alone.
    pub(crate) unembedded: bool,
    /// How many entries were found.
    pub(crate) total: usize,
    pub(crate) facets: Facets,
    pub(crate) corrected: Option<String>,
    /// Whether there are more hits behind these.
    pub(crate) more: bool,
    /// Whether the answer changes without a release.
    pub(crate) passing: bool,
}

impl Search {
    /// A search of some indexes that has found nothing yet. `here` has the types of each index.
    pub(super) fn of(chosen: &[(String, f32)], here: &BTreeMap<String, BTreeSet<TypeName>>) -> Self {
        Self {
            passages: Vec::new(),
            indexes: chosen.iter().map(|(name, _)| name.clone()).collect(),
            types: chosen.iter().filter_map(|(name, _)| here.get(name)).flatten().cloned().collect(),
            vectors: false,
            unembedded: false,
            total: 0,
            facets: Facets::new(),
            corrected: None,
            more: false,
            passing: false,
        }
    }
}

/// A shelf with what was found on it.
struct Searched {
    open: Arc<OpenShelf>,
    index: String,
    hits: Vec<Hit>,
    /// What the scores are multiplied by.
    factor: f32,
}

/// One hit among all shelves.
struct Candidate {
    shelf: usize,
    rank: usize,
    hit: Hit,
    score: f32,
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

impl ReleaseView {
    /// Answers a question. Opens what it needs, so it is called where blocking is allowed.
    pub(crate) fn results(&self, question: &Question) -> Result<(Results, Search), Failure> {
        let (search, reranked) = self.ranked(question)?;
        let hits = search.passages.iter().map(|p| self.hit(question, &search, p)).collect();
        self.caches.searched.searched(search.total, search.passages.len());
        let next = question.offset + search.passages.len();
        let results = Results {
            query: question.text.clone(),
            locale: question.locales.first().map(Locale::to_string).unwrap_or_default(),
            indexes: search.indexes.clone(),
            mode: mode_name(question.mode).to_owned(),
            vectors: search.vectors,
            reranked,
            hits,
            total: search.total,
            facets: search.facets.clone(),
            did_you_mean: search.corrected.clone(),
            next_offset: search.more.then_some(next),
        };
        Ok((results, search))
    }

    fn hit(&self, question: &Question, search: &Search, passage: &Passage) -> ResultHit {
        let analyzer = Analyzer::for_locale(passage.entry.locale.as_str());
        let typed = search.corrected.as_deref().unwrap_or(&question.text);
        let query = Query::typed(&analyzer, typed);
        ResultHit {
            type_name: passage.entry.type_name.clone(),
            id: passage.entry.id.clone(),
            locale: passage.entry.locale.clone(),
            title: passage.title.clone(),
            path: passage.path.clone(),
            index: passage.index.clone(),
            title_marks: marks(&passage.title, &query, &analyzer),
            snippet: snippet(&passage.text, &query, &analyzer),
            headings: passage.headings.clone(),
            anchor: passage.anchor.clone(),
            score: passage.score,
            chunk: passage.chunk.clone(),
            field: passage.field.clone(),
            from: passage.from,
            to: passage.to,
            pinned: passage.pinned,
        }
    }

    /// Searches. `grouped`: only the best passage of each entry.
    pub(crate) fn search(&self, question: &Question, grouped: bool) -> Result<Search, Failure> {
        let config = &self.definitions.retrieval;
        let reader = config.readers.reader(question.reader.as_deref());
        let allowed = Allowed::new(question.filter.clone(), reader, question.now.unwrap_or_else(now));
        let here = indexes(&self.definitions.contracts, config);
        let chosen = self.chosen(question, reader, &here)?;
        let mut out = Search::of(&chosen, &here);
        let trees = self.search_trees()?;
        out.passing = trees.meaning.is_none();
        let wanted = question.offset + question.limit + 1;
        let mut shelves: Vec<Searched> = Vec::new();
        let mut corrections = Vec::new();
        for (index, weight) in &chosen {
            for (place, locale) in question.locales.iter().enumerate() {
                let name = (index.as_str(), locale.as_str());
                let Some(open) = self.caches.shelves.open(&self.objects, trees, name)? else { continue };
                out.passing |= open.timed;
                let skip = |key: &[u8]| self.is_left_out(question, place, key);
                let vector = self.query_vector(question, &open, &mut out);
                let synonyms = config.synonyms(locale.as_str(), open.shelf.analyzer());
                let ask = Ask {
                    mode: question.mode,
                    limit: wanted * CHUNKS_PER_HIT,
                    people: question.people,
                    skip: (place > 0 || !question.types.is_empty()).then_some(&skip),
                    synonyms: Some(&synonyms),
                    vector: vector.as_deref(),
                    diversity: question.diversity,
                    tally: true,
                    ..Ask::new(&question.text, &allowed)
                };
                let found = open.shelf.search(&ask);
                out.vectors |= found.vectors;
                for tally in &found.tallies {
                    out.total += tally.entries;
                    let segment = open.shelf.parts().get(tally.part).map(|part| &part.segment);
                    let attributes = segment.and_then(|s| s.attributes().get(tally.attributes));
                    if let Some(type_name) = open.type_of(tally.part) {
                        let of = (type_name, index.as_str(), attributes);
                        count(&mut out.facets, &question.facets, of, reader, tally.entries);
                    }
                }
                corrections.push((found.covered, found.matched, found.corrected));
                let covered = UNCOVERED_FACTOR + (1.0 - UNCOVERED_FACTOR) * found.covered.clamp(0.0, 1.0);
                let steps = i32::try_from(place).unwrap_or(i32::MAX);
                let factor = weight * covered * FALLBACK_FACTOR.powi(steps);
                shelves.push(Searched { open, index: index.clone(), hits: found.hits, factor });
            }
        }
        // A word that one index has is not misspelt.
        if corrections.iter().all(|(_, matched, corrected)| corrected.is_some() || *matched == 0) {
            corrections.sort_by(|a, b| b.0.total_cmp(&a.0));
            out.corrected = corrections.into_iter().find_map(|(_, _, corrected)| corrected);
        }
        self.collect(question, (&allowed, &here), &shelves, grouped, &mut out)?;
        Ok(out)
    }

    /// The vector of a query for a shelf whose vectors a model made. Only the same model makes one.
    fn query_vector(&self, question: &Question, open: &OpenShelf, out: &mut Search) -> Option<Arc<[f32]>> {
        let basis = open.shelf.basis().filter(|basis| !basis.model().is_empty())?;
        if question.mode == Mode::Bm25 {
            return None;
        }
        let vector = self.caches.models.query(basis.model(), &question.text);
        let vector = vector.filter(|vector| vector.len() == basis.dimensions());
        if vector.is_none() {
            // The next answer may be another.
            (out.unembedded, out.passing) = (true, true);
            self.caches.searched.not_embedded();
        }
        vector
    }

    /// What of the release is searched.
    pub(super) fn search_trees(&self) -> Result<&SearchTrees, Failure> {
        self.search.as_ref().ok_or_else(not_ready)
    }

    /// The indexes that are searched, with their weights.
    pub(super) fn chosen(
        &self,
        question: &Question,
        reader: &Reader,
        here: &BTreeMap<String, BTreeSet<TypeName>>,
    ) -> Result<Vec<(String, f32)>, Failure> {
        let config = &self.definitions.retrieval;
        let locale = question.locales.first().map(Locale::as_str).unwrap_or_default();
        let available: BTreeSet<&str> = here.keys().map(String::as_str).collect();
        let asked: Vec<&str> = question.indexes.iter().map(String::as_str).collect();
        let router = self.definitions.router(locale);
        let chosen = router.choose(config, reader, &available, &asked, &question.text);
        chosen.map(|chosen| chosen.indexes).map_err(|error| match &error {
            RouteError::Unknown(name) => {
                // Only those that the caller may use are named.
                let known: Vec<&str> =
                    available.iter().copied().filter(|index| config.may_use(reader, index)).collect();
                let there_is = match known.as_slice() {
                    [] => "this release has no index that you may search".to_owned(),
                    known => format!("indexes are {}", known.join(", ")),
                };
                let help = nearest_of(name, known.iter().copied(), &there_is);
                bad("unknown-index", "Unknown index", format!("there is no index `{}`", cut(name)), help)
            }
            RouteError::Alone(_) => {
                bad("index-alone", "Index is not mixed", error.to_string(), "name one index")
            }
        })
    }

    /// Whether an entry is left out on the shelf of a locale: it is of another type than wanted, or exists in a locale that
    /// is preferred.
    pub(super) fn is_left_out(&self, question: &Question, place: usize, key: &[u8]) -> bool {
        let Ok(key) = EntryKey::from_bytes(key) else { return true };
        if !question.types.is_empty() && !question.types.contains(&key.type_name) {
            return true;
        }
        question.locales[..place].iter().any(|locale| {
            let preferred = EntryKey { locale: locale.clone(), ..key.clone() };
            // What cannot be read is not found twice.
            self.record(&preferred).map_or(true, |record| record.is_some())
        })
    }

    fn collect(
        &self,
        question: &Question,
        (allowed, here): (&Allowed, &BTreeMap<String, BTreeSet<TypeName>>),
        shelves: &[Searched],
        grouped: bool,
        out: &mut Search,
    ) -> Result<(), Failure> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for (shelf, searched) in shelves.iter().enumerate() {
            // The best of a shelf has 1: scores of two shelves mean different things.
            let best = searched.hits.first().map_or(1.0, |hit| hit.score.max(f32::MIN_POSITIVE));
            let scored = searched.hits.iter().enumerate();
            let scored = scored.map(|(rank, hit)| (rank, hit, (hit.score / best).clamp(0.0, 1.0)));
            let near = scored.filter(|(_, hit, score)| hit.worded || *score >= MEANING_MIN);
            candidates.extend(near.map(|(rank, hit, score)| Candidate {
                shelf,
                rank,
                hit: *hit,
                score: score * searched.factor,
            }));
        }
        candidates.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| (a.shelf, a.rank).cmp(&(b.shelf, b.rank)))
        });
        let mut found = self.pinned(question, allowed, here, &out.indexes)?;
        let mut seen: HashSet<Vec<u8>> = found.iter().map(|p| p.entry.to_bytes()).collect();
        found.truncate(question.offset + question.limit + 1);
        let skipped = question.offset;
        let mut number = found.len();
        // Only what is shown is read.
        let mut passages: Vec<Passage> = found.into_iter().skip(skipped).collect();
        for Candidate { shelf, hit, score, .. } in candidates {
            if passages.len() > question.limit {
                break;
            }
            let searched = &shelves[shelf];
            let Some(chunk) = searched.open.shelf.chunk(&hit) else { continue };
            if grouped && !seen.insert(chunk.entry.to_vec()) {
                continue;
            }
            number += 1;
            if number <= skipped {
                continue;
            }
            let readers = &self.definitions.retrieval.readers;
            let segment = searched.open.shelf.parts().get(hit.part).map(|part| &part.segment);
            let attributes = segment.and_then(|s| s.attributes().get(chunk.attributes));
            let place = (chunk.field, chunk.range.start, chunk.range.end);
            let key = EntryKey::from_bytes(chunk.entry)?;
            let Some(read) = self.read(&key, place)? else {
                self.caches.searched.found_stale();
                tracing::error!(entry = %key, field = chunk.field, "an index names a text that the release does not have");
                continue;
            };
            passages.push(Passage {
                entry: key,
                index: searched.index.clone(),
                title: chunk.title.to_owned(),
                path: read.path,
                chunk: chunk.id.to_string(),
                field: chunk.field.to_owned(),
                from: chunk.range.start,
                to: chunk.range.end,
                headings: chunk.headings.iter().map(|h| (*h).to_owned()).collect(),
                anchor: chunk.anchor.map(str::to_owned),
                text: read.text,
                score,
                pinned: false,
                public: attributes.is_some_and(|attributes| attributes.is_public(readers)),
            });
        }
        out.more = passages.len() > question.limit;
        passages.truncate(question.limit);
        out.total = out.total.max(skipped + passages.len() + usize::from(out.more));
        out.passages = passages;
        Ok(())
    }

    /// The text of a chunk; `None` when the field does not have it.
    fn read(
        &self,
        key: &EntryKey,
        (field, from, to): (&str, u32, u32),
    ) -> Result<Option<Read>, DeliveryError> {
        let Some((contract, record)) = self.contract_of(key)? else { return Ok(None) };
        let fields = self.fields_of(&record)?;
        let texts = contract.texts(&fields);
        let Some(fact) = texts.iter().find(|fact| fact.path == field) else { return Ok(None) };
        let form = if fact.markdown { TextForm::Markdown } else { TextForm::Plain };
        let range = from as usize..to as usize;
        let blanked = blank(fact.text, form);
        let Some(text) = blanked.get(range) else { return Ok(None) };
        Ok(Some(Read { text: text.to_owned(), path: contract.facts(key, &fields).route }))
    }

    fn contract_of(&self, key: &EntryKey) -> Result<Option<(&Contract, EntryRecord)>, DeliveryError> {
        let Some(record) = self.record(key)? else { return Ok(None) };
        let name = ContractName { name: key.type_name.clone(), major: record.major };
        Ok(self.definitions.contracts.get(&name).map(|contract| (contract, record)))
    }

    pub(crate) fn fields_of(&self, record: &EntryRecord) -> Result<Fields, DeliveryError> {
        let bytes = self.caches.entry(&self.objects, &record.digest)?;
        serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))
    }

    /// Entries that the query always finds. Who may not see one does not find it here either.
    fn pinned(
        &self,
        question: &Question,
        allowed: &Allowed,
        here: &BTreeMap<String, BTreeSet<TypeName>>,
        indexes: &[String],
    ) -> Result<Vec<Passage>, Failure> {
        let config = &self.definitions.retrieval;
        let Some(locale) = question.locales.first() else { return Ok(Vec::new()) };
        let analyzer = Analyzer::for_locale(locale.as_str());
        let at = Timestamp::from_second(question.now.unwrap_or_else(now)).unwrap_or_default();
        let today = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let pins = config.pinned(&analyzer, locale.as_str(), &question.text, today);
        if pins.is_empty() {
            return Ok(Vec::new());
        }
        let rules = SearchRules::new(&self.definitions.contracts, config);
        let mut out = Vec::new();
        for pin in pins {
            let (Ok(type_name), Ok(id)) = (pin.type_name.parse::<TypeName>(), pin.id.parse()) else {
                continue;
            };
            let Some(index) = indexes.iter().find(|i| here.get(*i).is_some_and(|t| t.contains(&type_name)))
            else {
                continue;
            };
            if !question.types.is_empty() && !question.types.contains(&type_name) {
                continue;
            }
            let Some((key, record)) = self.entry(&type_name, &id, &question.locales)? else { continue };
            let fields = self.fields_of(&record)?;
            if !allowed.allows(&attributes_of(&fields, &config.attributes)) {
                continue;
            }
            let analyzer = Analyzer::for_locale(key.locale.as_str());
            let Some(document) = rules.document(&key, &record, &fields, &analyzer) else { continue };
            let Some((chunk, text)) = document.chunks.into_iter().next() else { continue };
            let read = self.read(&key, (&chunk.field, chunk.range.start, chunk.range.end))?;
            let Some(read) = read else { continue };
            out.push(Passage {
                entry: key,
                index: index.clone(),
                title: document.title,
                path: read.path,
                chunk: chunk.id.to_string(),
                field: chunk.field,
                from: chunk.range.start,
                to: chunk.range.end,
                headings: chunk.headings,
                anchor: chunk.anchor,
                text,
                score: 1.0,
                pinned: true,
                public: false,
            });
        }
        Ok(out)
    }

    /// Opens what is searched, so that no reader waits for it: what is small, and what was open of the release before. Reads objects
    /// and blocks.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn warm_search(&self, before: Option<&Self>) -> Result<(), DeliveryError> {
        let Some(trees) = &self.search else { return Ok(()) };
        let before = before.and_then(|before| before.search.as_ref());
        for index in indexes(&self.definitions.contracts, &self.definitions.retrieval).keys() {
            for locale in self.definitions.locales.all() {
                let name = (index.as_str(), locale.as_str());
                self.caches.shelves.warm(&self.objects, trees, before, name)?;
                if let Some(model) = self.caches.shelves.model(trees, name) {
                    self.caches.models.prepare(&model);
                }
            }
        }
        Ok(())
    }
}

/// The text of a chunk.
struct Read {
    text: String,
    path: Option<String>,
}

fn not_ready() -> Failure {
    Problem::new(503, "index-not-ready", "Not searchable yet", "this release has no search index yet")
        .help("try again in a moment")
        .into()
}

/// Counts entries. Of attributes, only values that the reader sees are counted.
fn count(
    facets: &mut Facets,
    wanted: &Wanted,
    (type_name, index, attributes): (&TypeName, &str, Option<&Attributes>),
    reader: &Reader,
    entries: usize,
) {
    let mut add = |name: &str, value: &str| {
        *facets.entry(name.to_owned()).or_default().entry(value.to_owned()).or_default() += entries;
    };
    if wanted.types {
        add("type", type_name.as_str());
    }
    if wanted.indexes {
        add("index", index);
    }
    for name in &wanted.attributes {
        for value in attributes.map_or(&[][..], |attributes| attributes.values_of(name)) {
            let only = Attributes::new([(name.clone(), vec![value.clone()])], None, None, None);
            if reader.sees(&only) {
                add(name, value);
            }
        }
    }
}
