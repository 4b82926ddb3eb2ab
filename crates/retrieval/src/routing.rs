//! Which indexes a query uses: what the caller asks for, else a rule, else what labelled examples teach, else the default.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use crate::{access::Reader, config::Config, text::Analyzer};

/// The largest compiled pattern of a route, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// How likely examples must find an index before they say anything: likelier than all others together.
const SURE: f64 = 0.5;
/// The least weight of an index that examples speak against.
const WEIGHT_MIN: f64 = 0.2;
/// The weight of an index that has no examples, beside ones that have.
const WEIGHT_UNKNOWN: f32 = 0.5;
/// What is added to each count of a term.
const SMOOTHING: f64 = 0.5;

/// Rules and examples.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// Rules, of which the first that matches decides.
    pub rules: Vec<Rule>,
    /// Labelled queries.
    pub examples: Vec<Example>,
}

/// A rule for queries.
#[derive(Debug, Clone)]
pub struct Rule {
    /// A regular expression that is looked for in the query, whatever the case.
    pub pattern: Option<Regex>,
    /// Words or phrases of which the query has one.
    pub words: Vec<String>,
    /// The locale or language of the queries; without one, all.
    pub locale: Option<String>,
    /// The indexes with their weights.
    pub indexes: Vec<(String, f32)>,
    /// Its line in `retrieval.toml`.
    pub line: usize,
}

impl Rule {
    /// Compiles a pattern. Matching takes a time that grows with the query alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn pattern(text: &str) -> Result<Regex, String> {
        let built = RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
        built.map_err(|e| e.to_string().lines().last().unwrap_or_default().trim().to_owned())
    }
}

/// A query whose index is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The query.
    pub text: String,
    /// Its index.
    pub index: String,
    /// Its locale or language; without one it counts for all.
    pub locale: Option<String>,
}

/// The indexes that a query uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Indexes with weights, by name.
    pub indexes: Vec<(String, f32)>,
    /// Why these.
    pub because: Because,
}

/// Why a query uses its indexes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Because {
    /// The caller named them.
    Asked,
    /// The rule on this line of `retrieval.toml` says so.
    Rule(usize),
    /// The examples say so, with this confidence from 0 to 1.
    Examples(f64),
    /// Nothing says otherwise.
    Default,
}

/// Why indexes that a caller named are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// An index does not exist, or is not for this reader: the two look alike.
    #[error("there is no index `{0}`")]
    Unknown(String),
    /// An index is never mixed with others.
    #[error("the index `{0}` is not searched together with others; ask for it alone")]
    Alone(String),
}

/// The rules and examples of one locale, ready for queries.
#[derive(Debug)]
pub struct Router {
    analyzer: Analyzer,
    rules: Vec<(Rule, Vec<Vec<String>>)>,
    examples: Option<Classifier>,
}

impl Router {
    /// Prepares routes for queries in a locale. The same routes and locale give the same router.
    #[must_use]
    pub fn new(routes: &Routes, locale: &str) -> Self {
        let analyzer = Analyzer::for_locale(locale);
        let fits = |own: &Option<String>| {
            own.as_deref().is_none_or(|own| own == locale || locale.split(['-', '_']).next() == Some(own))
        };
        let rules = routes.rules.iter().filter(|rule| fits(&rule.locale)).map(|rule| {
            let words = rule.words.iter().map(|word| analyzer.list(word)).filter(|terms| !terms.is_empty());
            (rule.clone(), words.collect())
        });
        let rules = rules.collect();
        let examples: Vec<&Example> =
            routes.examples.iter().filter(|example| fits(&example.locale)).collect();
        let examples = Classifier::learn(&analyzer, &examples);
        Self { analyzer, rules, examples }
    }

    /// The indexes for a query. `available` are those that the release has, `asked` those that the caller named. Indexes that the
    /// reader may not use are left out as if they did not exist.
    ///
    /// # Errors
    /// When the caller named indexes that cannot be used.
    pub fn choose(
        &self,
        config: &Config,
        reader: &Reader,
        available: &BTreeSet<&str>,
        asked: &[&str],
        query: &str,
    ) -> Result<Chosen, RouteError> {
        let usable: BTreeSet<&str> =
            available.iter().copied().filter(|index| config.may_use(reader, index)).collect();
        if !asked.is_empty() {
            return asked_for(config, &usable, asked);
        }
        let terms = self.analyzer.list(query);
        if let Some(rule) = self.rule(&terms, query) {
            let named = rule.indexes.iter().filter(|(name, _)| usable.contains(name.as_str()));
            let indexes: Vec<(String, f32)> = named.cloned().collect();
            if !indexes.is_empty() {
                return Ok(Chosen { indexes, because: Because::Rule(rule.line) });
            }
        }
        let usual: BTreeSet<&str> =
            usable.iter().copied().filter(|index| config.index(index).default).collect();
        Ok(self.by_examples(config, &usable, &usual, &terms).unwrap_or_else(|| by_default(config, &usual)))
    }

    fn rule(&self, terms: &[String], query: &str) -> Option<&Rule> {
        let has = |phrase: &Vec<String>| terms.windows(phrase.len()).any(|window| window == phrase);
        let matches = |rule: &Rule, words: &[Vec<String>]| {
            rule.pattern.as_ref().is_some_and(|pattern| pattern.is_match(query)) || words.iter().any(has)
        };
        self.rules.iter().find(|(rule, words)| matches(rule, words)).map(|(rule, _)| rule)
    }

    fn by_examples(
        &self,
        config: &Config,
        usable: &BTreeSet<&str>,
        usual: &BTreeSet<&str>,
        terms: &[String],
    ) -> Option<Chosen> {
        let guesses = self.examples.as_ref()?.guess(terms, usable)?;
        let (best, sure) = guesses.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)))?;
        if *sure <= SURE {
            return None;
        }
        let because = Because::Examples(*sure);
        if config.index(best).alone {
            return Some(Chosen { indexes: vec![((*best).to_owned(), 1.0)], because });
        }
        let mixed = usual.iter().chain([best]).filter(|index| !config.index(index).alone);
        let weight = |index: &str| match guesses.get(index) {
            #[expect(clippy::cast_possible_truncation, reason = "a weight from 0.2 to 1")]
            Some(other) => (other / sure).sqrt().clamp(WEIGHT_MIN, 1.0) as f32,
            None => WEIGHT_UNKNOWN,
        };
        let indexes: BTreeSet<&str> = mixed.copied().collect();
        let indexes = indexes.into_iter().map(|index| (index.to_owned(), weight(index))).collect();
        Some(Chosen { indexes, because })
    }
}

fn asked_for(config: &Config, usable: &BTreeSet<&str>, asked: &[&str]) -> Result<Chosen, RouteError> {
    let names: BTreeSet<&str> = asked.iter().copied().collect();
    for name in &names {
        if !usable.contains(name) {
            return Err(RouteError::Unknown(name.chars().take(80).collect()));
        }
        if names.len() > 1 && config.index(name).alone {
            return Err(RouteError::Alone((*name).to_owned()));
        }
    }
    let indexes = names.into_iter().map(|name| (name.to_owned(), 1.0)).collect();
    Ok(Chosen { indexes, because: Because::Asked })
}

/// The default indexes; one that is never mixed only when it is the only one.
fn by_default(config: &Config, usual: &BTreeSet<&str>) -> Chosen {
    let mixed = usual.iter().filter(|index| usual.len() == 1 || !config.index(index).alone);
    Chosen { indexes: mixed.map(|index| ((*index).to_owned(), 1.0)).collect(), because: Because::Default }
}

/// Multinomial naive Bayes over the terms of labelled queries.
#[derive(Debug)]
struct Classifier {
    labels: BTreeMap<String, Label>,
    /// Different terms of all examples.
    vocabulary: BTreeSet<String>,
    examples: usize,
}

#[derive(Debug, Default)]
struct Label {
    examples: usize,
    counts: BTreeMap<String, u32>,
    terms: u32,
}

impl Classifier {
    fn learn(analyzer: &Analyzer, examples: &[&Example]) -> Option<Self> {
        let mut out = Self { labels: BTreeMap::new(), vocabulary: BTreeSet::new(), examples: examples.len() };
        for example in examples {
            let label = out.labels.entry(example.index.clone()).or_default();
            label.examples += 1;
            analyzer.terms(&example.text, |term| {
                label.terms += 1;
                *label.counts.entry(term.to_owned()).or_default() += 1;
                out.vocabulary.insert(term.to_owned());
            });
        }
        (out.labels.len() > 1).then_some(out)
    }

    /// How likely each index is that may be used. `None` when no example has a term of the query.
    fn guess(&self, terms: &[String], usable: &BTreeSet<&str>) -> Option<BTreeMap<&str, f64>> {
        let known: Vec<&String> = terms.iter().filter(|term| self.vocabulary.contains(*term)).collect();
        if known.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
        let (size, all) = (self.vocabulary.len() as f64, self.examples as f64);
        let mut guesses: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, label) in self.labels.iter().filter(|(name, _)| usable.contains(name.as_str())) {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
            let prior = (label.examples as f64 / all).ln();
            let below = f64::from(label.terms) + SMOOTHING * size;
            let count = |term: &String| f64::from(label.counts.get(term).copied().unwrap_or(0));
            let likely = known.iter().map(|term| ((count(term) + SMOOTHING) / below).ln()).sum::<f64>();
            guesses.insert(name, prior + likely);
        }
        let most = guesses.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = guesses.values().map(|score| (score - most).exp()).sum();
        guesses.values_mut().for_each(|score| *score = (*score - most).exp() / sum);
        (!guesses.is_empty()).then_some(guesses)
    }
}
