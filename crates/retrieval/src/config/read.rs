//! From the file to rules, with everything that is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ashlar_model::{Files, Finding, did_you_mean, position, read_toml_as};

use super::{
    AttributeFields, CHUNK_TERMS_MAX, Config, EXAMPLES_MAX, Embedder, FILE, FieldPath, INDEXES_MAX,
    IndexRules, LOG_DAYS_MAX, Log, ModelRef, PARAMETERS, PINS_MAX, Pin, READERS_MAX, ROUTES_MAX, Rerank,
    SYNONYMS_MAX, TEXT_BYTES_MAX,
    raw::{Raw, RawEmbedder, RawIndex, RawPin, RawRerank, RawRoute},
};
use crate::{
    access::{ATTRIBUTES_MAX, Readers, VALUE_BYTES_MAX, VALUES_MAX},
    chunk::ChunkRules,
    models::{ModelKind, RERANKED_MAX},
    routing::{Example, Routes, Rule},
};

/// The longest name of an index, an attribute or a reader, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The most findings that are reported.
const FINDINGS_MAX: usize = 100;
/// Attributes that are not lists of values.
const SPECIAL: [&str; 3] = ["versions", "from", "until"];
/// The embedder that needs no model.
const LSA: &str = "lsa";
/// Hits that are ranked again when the file does not say.
const RERANKED: usize = 30;
/// The key of a reader that lists indexes.
const INDEXES: &str = "indexes";

impl Config {
    /// Reads `retrieval.toml`; without the file, everything is as usual.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn parse(files: &Files) -> Result<Self, Vec<Finding>> {
        let Some(bytes) = files.get(FILE) else { return Ok(Self::default()) };
        Self::read(bytes)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// Everything that is wrong, with its line.
    pub fn read(bytes: &[u8]) -> Result<Self, Vec<Finding>> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let raw: Raw = read_toml_as(FILE, "retrieval-config", bytes).map_err(|finding| vec![finding])?;
        let mut reading = Reading { bytes, findings: Vec::new(), names: BTreeSet::new() };
        let config = reading.config(raw);
        if reading.findings.is_empty() { Ok(config) } else { Err(reading.findings) }
    }
}

struct Reading<'a> {
    bytes: &'a [u8],
    findings: Vec<Finding>,
    /// The declared indexes.
    names: BTreeSet<String>,
}

impl Reading<'_> {
    fn line(&self, span: &std::ops::Range<usize>) -> usize {
        position(self.bytes, span.start).0
    }

    fn wrong(&mut self, span: &std::ops::Range<usize>, message: String, help: impl Into<String>) {
        if self.findings.len() == FINDINGS_MAX {
            return;
        }
        let place = format!("{FILE}:{}", self.line(span));
        self.findings.push(Finding::error("retrieval-config", place, message).help(help));
    }

    /// Refuses a list that is too long.
    fn bounded(&mut self, count: usize, max: usize, what: &str) -> bool {
        if count > max {
            self.wrong(
                &(0..0),
                format!("There are {count} {what}; at most {max} are possible."),
                "remove some",
            );
        }
        count <= max
    }

    fn name(&mut self, span: &std::ops::Range<usize>, what: &str, name: &str) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
            let help = format!("use at most {NAME_BYTES_MAX} lower-case letters, digits, `-` and `_`");
            self.wrong(span, format!("`{}` cannot be the name of {what}.", shown(name)), help);
        }
    }

    fn text(&mut self, span: &std::ops::Range<usize>, what: &str, text: &str) {
        if text.trim().is_empty() {
            self.wrong(span, format!("{what} is empty."), "write some words, or remove it");
        } else if text.len() > TEXT_BYTES_MAX {
            let message = format!("{what} has {} bytes; at most {TEXT_BYTES_MAX} are possible.", text.len());
            self.wrong(span, message, "shorten it");
        }
    }

    fn known_index(&mut self, span: &std::ops::Range<usize>, name: &str) {
        if !self.names.contains(name) {
            let known = self.names.iter().map(String::as_str);
            let help = did_you_mean(name, known, format!("add [indexes.{}]", shown(name)));
            self.wrong(span, format!("The index `{}` is not declared.", shown(name)), help);
        }
    }

    fn config(&mut self, raw: Raw) -> Config {
        let counts = [
            (raw.indexes.len(), INDEXES_MAX, "indexes"),
            (raw.attributes.len(), ATTRIBUTES_MAX, "attributes"),
            (raw.readers.len(), READERS_MAX, "readers"),
            (raw.routes.len(), ROUTES_MAX, "routes"),
            (raw.examples.len(), EXAMPLES_MAX, "examples"),
            (raw.pins.len(), PINS_MAX, "pins"),
        ];
        if counts.into_iter().filter(|(count, max, what)| !self.bounded(*count, *max, what)).count() > 0 {
            return Config::default();
        }
        self.names = raw.indexes.keys().map(|name| name.get_ref().clone()).collect();
        let some_default = raw.indexes.values().any(|index| index.default == Some(true));
        let mut indexes = BTreeMap::new();
        for (name, index) in raw.indexes {
            self.name(&name.span(), "an index", name.get_ref());
            let rules = self.index(self.line(&name.span()), &index, some_default);
            indexes.insert(name.into_inner(), rules);
        }
        let chunks =
            raw.chunks.map(|chunks| self.chunks(&chunks.span(), *chunks.get_ref())).unwrap_or_default();
        let mut attributes = AttributeFields::default();
        for (name, field) in raw.attributes {
            self.attribute(&name.span(), name.get_ref(), field.into_inner(), &mut attributes);
        }
        let readers = self.readers(raw.readers, &attributes);
        let mut routes = Routes::default();
        for route in raw.routes {
            let span = route.span();
            routes.rules.extend(self.route(&span, route.into_inner()));
        }
        for example in raw.examples {
            let span = example.span();
            let example = example.into_inner();
            self.text(&span, "The text of an example", &example.text);
            self.known_index(&example.index.span(), example.index.get_ref());
            let index = example.index.into_inner();
            routes.examples.push(Example { text: example.text, index, locale: example.locale });
        }
        let synonyms = self.synonyms(raw.synonyms);
        let mut pins = Vec::new();
        for pin in raw.pins {
            let span = pin.span();
            pins.extend(self.pin(&span, pin.into_inner()));
        }
        let embedder = self.embedder(raw.embedder);
        let rerank = raw.rerank.map(|rerank| self.rerank(&rerank.span(), rerank.into_inner()));
        let log = raw.log.map(|log| {
            let days = *log.days.get_ref();
            if !(1..=LOG_DAYS_MAX).contains(&days) {
                let message = format!("`days = {days}` is not possible.");
                let help = format!("write 1 to {LOG_DAYS_MAX}, or remove [log] to keep no searches");
                self.wrong(&log.days.span(), message, help);
            }
            Log { days }
        });
        let prepared = Default::default();
        Config {
            indexes,
            chunks,
            attributes,
            readers,
            routes,
            synonyms,
            pins,
            embedder,
            rerank,
            log,
            prepared,
        }
    }

    fn index(&mut self, line: usize, raw: &RawIndex, some_default: bool) -> IndexRules {
        let usual = IndexRules::usual();
        let mut freshness = usual.freshness;
        if let Some(text) = &raw.freshness {
            match duration(text.get_ref()) {
                Some(found) => freshness = found,
                None => {
                    let message = format!("`freshness = \"{}\"` is not a duration.", shown(text.get_ref()));
                    self.wrong(&text.span(), message, "write it like \"500ms\", \"5s\" or \"2m\"");
                }
            }
        }
        let lsa = raw.embedder.as_ref().is_some_and(|named| {
            if named.get_ref() != LSA {
                let message = format!("An index cannot use the embedder `{}`.", shown(named.get_ref()));
                let help = "write embedder = \"lsa\", or remove the line to use [embedder]";
                self.wrong(&named.span(), message, help);
            }
            true
        });
        IndexRules {
            title: raw.title.clone(),
            freshness,
            // When one index says that it is the default, the others are not unless they say so too.
            default: raw.default.unwrap_or(!some_default && !raw.alone),
            public: raw.public.unwrap_or(usual.public),
            alone: raw.alone,
            lsa,
            line,
        }
    }

    fn chunks(&mut self, span: &std::ops::Range<usize>, rules: ChunkRules) -> ChunkRules {
        let ChunkRules { target, most, overlap } = rules;
        if target == 0 || most < target || most > CHUNK_TERMS_MAX || overlap > most / 2 {
            let message = format!(
                "Chunks with target = {target}, most = {most} and overlap = {overlap} are not possible."
            );
            let help = format!("1 ≤ target ≤ most ≤ {CHUNK_TERMS_MAX}, and overlap at most half of most");
            self.wrong(span, message, help);
        }
        rules
    }

    fn attribute(
        &mut self,
        span: &std::ops::Range<usize>,
        name: &str,
        field: String,
        out: &mut AttributeFields,
    ) {
        if field.is_empty() || field.len() > VALUE_BYTES_MAX {
            self.wrong(span, format!("`{}` names no field.", shown(name)), "name a field of entries");
            return;
        }
        out.lines.insert(name.to_owned(), self.line(span));
        let field = FieldPath::new(field);
        match name {
            "versions" => out.versions = Some(field),
            "from" => out.from = Some(field),
            "until" => out.until = Some(field),
            _ => {
                self.name(span, "an attribute", name);
                if PARAMETERS.contains(&name) {
                    let message = format!("`{name}` cannot be an attribute: it is a parameter of search.");
                    self.wrong(span, message, "choose another name");
                }
                out.values.insert(name.to_owned(), field);
            }
        }
    }

    fn readers(
        &mut self,
        raw: super::raw::Named<super::raw::Named<Vec<String>>>,
        attributes: &AttributeFields,
    ) -> Readers {
        let (mut listed, mut indexes) = (BTreeMap::new(), BTreeMap::new());
        for (name, lists) in raw {
            self.name(&name.span(), "a reader", name.get_ref());
            let mut sees: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (key, values) in lists {
                let span = key.span();
                let long = values.iter().any(|value| value.len() > VALUE_BYTES_MAX);
                if values.len() > VALUES_MAX || long {
                    let message =
                        format!("`{}` has too many values, or too long ones.", shown(key.get_ref()));
                    self.wrong(
                        &span,
                        message,
                        format!("at most {VALUES_MAX} of {VALUE_BYTES_MAX} bytes each"),
                    );
                }
                if key.get_ref() == INDEXES {
                    values.iter().for_each(|index| self.known_index(&span, index));
                    indexes.insert(name.get_ref().clone(), values.into_iter().collect::<BTreeSet<String>>());
                    continue;
                }
                if !attributes.values.contains_key(key.get_ref()) {
                    self.unknown_attribute(&span, key.get_ref(), attributes);
                }
                sees.insert(key.into_inner(), values);
            }
            listed.insert(name.into_inner(), sees);
        }
        Readers::new(&listed).with_indexes(indexes)
    }

    fn unknown_attribute(&mut self, span: &std::ops::Range<usize>, name: &str, attributes: &AttributeFields) {
        if SPECIAL.contains(&name) {
            let message = format!("A reader cannot list `{name}`: it applies to all readers alike.");
            self.wrong(span, message, "remove it");
            return;
        }
        let known = attributes.values.keys().map(String::as_str).chain([INDEXES]);
        let help = did_you_mean(name, known, format!("add {} = \"FIELD\" to [attributes]", shown(name)));
        self.wrong(span, format!("`{}` is not an attribute.", shown(name)), help);
    }

    fn route(&mut self, span: &std::ops::Range<usize>, raw: RawRoute) -> Option<Rule> {
        if raw.when.is_none() && raw.words.is_empty() {
            let help = "add words = [\"price\"], or a regular expression as when = \"price|cost\"";
            self.wrong(span, "A route says nothing of queries.".to_owned(), help);
        }
        raw.words.iter().for_each(|word| self.text(span, "A word of a route", word));
        self.bounded(raw.words.len(), VALUES_MAX, "words in one route");
        if raw.indexes.is_empty() {
            self.wrong(span, "A route names no index.".to_owned(), "add indexes = { NAME = 1.0 }");
        }
        let mut indexes = Vec::new();
        for (name, weight) in raw.indexes {
            self.known_index(&name.span(), name.get_ref());
            if !(weight > 0.0 && weight <= 10.0) {
                let message = format!("The weight {weight} of `{}` is not possible.", shown(name.get_ref()));
                self.wrong(&name.span(), message, "choose one above 0 and at most 10");
            }
            indexes.push((name.into_inner(), weight));
        }
        if let Some(when) = &raw.when {
            self.text(&when.span(), "The pattern of a route", when.get_ref());
        }
        let pattern = match raw.when.filter(|when| when.get_ref().len() <= TEXT_BYTES_MAX) {
            None => None,
            Some(when) => match Rule::pattern(when.get_ref()) {
                Ok(pattern) => Some(pattern),
                Err(why) => {
                    let message = format!("`when` is not a regular expression: {why}");
                    self.wrong(&when.span(), message, "write it like \"price|cost\"");
                    return None;
                }
            },
        };
        Some(Rule { pattern, words: raw.words, locale: raw.locale, indexes, line: self.line(span) })
    }

    fn embedder(&mut self, raw: RawEmbedder) -> Embedder {
        let RawEmbedder { kind, model, restricted } = raw;
        let Some(kind) = kind.filter(|kind| kind.get_ref() != LSA) else {
            if let Some(model) = model {
                let help = "add kind = \"static\", \"transformer\" or \"endpoint\"";
                self.wrong(&model.span(), "[embedder] names a model and no kind.".to_owned(), help);
            }
            return Embedder::Lsa;
        };
        let known = match kind.get_ref().as_str() {
            "static" => ModelKind::Static,
            "transformer" => ModelKind::Transformer,
            "endpoint" => ModelKind::Endpoint,
            other => {
                let kinds = [LSA, "static", "transformer", "endpoint"];
                let help = did_you_mean(other, kinds, "kinds are lsa, static, transformer and endpoint");
                self.wrong(&kind.span(), format!("There is no embedder `{}`.", shown(other)), help);
                return Embedder::Lsa;
            }
        };
        let Some(model) = model else {
            let message = format!("The embedder `{known}` names no model.");
            self.wrong(&kind.span(), message, "add model = \"NAME\", as models.toml of the server calls it");
            return Embedder::Lsa;
        };
        self.name(&model.span(), "a model", model.get_ref());
        Embedder::Model(ModelRef { kind: known, name: model.into_inner(), restricted })
    }

    fn rerank(&mut self, span: &std::ops::Range<usize>, raw: RawRerank) -> Rerank {
        self.name(&raw.model.span(), "a model", raw.model.get_ref());
        let top = raw.top.unwrap_or(RERANKED);
        if !(2..=RERANKED_MAX).contains(&top) {
            let message = format!("[rerank] cannot rank {top} hits again.");
            self.wrong(span, message, format!("choose a number from 2 to {RERANKED_MAX}"));
        }
        Rerank { model: raw.model.into_inner(), top, restricted: raw.restricted }
    }

    fn synonyms(
        &mut self,
        raw: super::raw::Named<super::raw::Named<Vec<String>>>,
    ) -> BTreeMap<String, Vec<Vec<String>>> {
        let mut out = BTreeMap::new();
        for (locale, words) in raw {
            let count = words.values().map(|others| others.len() + 1).sum();
            if !self.bounded(count, SYNONYMS_MAX, "synonyms in one locale") {
                continue;
            }
            let mut groups = Vec::new();
            for (word, others) in words {
                let span = word.span();
                self.text(&span, "A word with synonyms", word.get_ref());
                others.iter().for_each(|other| self.text(&span, "A synonym", other));
                if others.is_empty() {
                    let message = format!("`{}` has no synonyms.", shown(word.get_ref()));
                    self.wrong(&span, message, "list some, or remove the line");
                }
                groups.push([word.into_inner()].into_iter().chain(others).collect());
            }
            out.insert(locale.into_inner(), groups);
        }
        out
    }

    fn pin(&mut self, span: &std::ops::Range<usize>, raw: RawPin) -> Option<Pin> {
        self.text(span, "The query of a pin", &raw.query);
        let mut until = None;
        if let Some(day) = &raw.until {
            let text = day.get_ref().text();
            until = text.get(..10).and_then(|day| day.parse().ok());
            if until.is_none() {
                let message = format!("`until = {}` is not a day.", shown(&text));
                self.wrong(&day.span(), message, "write a date such as 2027-01-01");
            }
        }
        let (span, entry) = (raw.entry.span(), raw.entry.into_inner());
        let parts =
            entry.split_once('/').filter(|(t, id)| !t.is_empty() && !id.is_empty() && !id.contains('/'));
        let Some((type_name, id)) = parts else {
            let message = format!("`entry = \"{}\"` does not name an entry.", shown(&entry));
            self.wrong(&span, message, "write it like \"page/home\"");
            return None;
        };
        let (type_name, id) = (type_name.to_owned(), id.to_owned());
        let line = self.line(&span);
        Some(Pin { query: raw.query, type_name, id, locale: raw.locale, until, line })
    }
}

/// `500ms`, `5s`, `2m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok().filter(|number| *number <= 1_000_000)?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number * unit)).filter(|duration| !duration.is_zero())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
