//! What a request asks a search.

use std::{borrow::Cow, collections::BTreeSet, str::FromStr};

use ashlar_model::{Locale, TypeName, nearest_of};
use ashlar_retrieval::{
    access::{Filter, FilterError},
    search::Mode,
};

use crate::{
    error::Failure,
    http::{Problem, RequestParts, cut, query},
    read::content::wanted,
    release::ReleaseView,
    search::{LIMIT_DEFAULT, LIMIT_MAX},
};

/// The longest query, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 1_000;
/// How far a search can be paged through.
pub(super) const OFFSET_MAX: usize = 1_000;
/// Suggestions when the request does not say, and at most.
const SUGGESTIONS_DEFAULT: usize = 8;
const SUGGESTIONS_MAX: usize = 20;
/// Parameters that are not attributes.
const PARAMETERS: [&str; 11] =
    ["q", "locale", "index", "type", "limit", "version", "at", "offset", "mode", "diversity", "facets"];
/// The first of them are also those of suggestions.
const OF_SUGGESTIONS: usize = 7;
const MODES: [&str; 3] = ["hybrid", "words", "meaning"];

/// What is counted of what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) types: bool,
    pub(crate) indexes: bool,
    pub(crate) attributes: BTreeSet<String>,
}

/// A question to a search.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) text: String,
    /// The locales to look in, the preferred first.
    pub(crate) locales: Vec<Locale>,
    pub(crate) locale_named: bool,
    /// The indexes that are named.
    pub(crate) indexes: Vec<String>,
    /// The types that are named; all when empty.
    pub(crate) types: BTreeSet<TypeName>,
    pub(crate) filter: Filter,
    pub(crate) mode: Mode,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) facets: Wanted,
    /// How much hits that are unlike each other are preferred, from 0 to 1.
    pub(crate) diversity: f32,
    /// The reader that the caller's key names.
    pub(crate) reader: Option<String>,
    /// Whether a person typed it into a search box: quotes are phrases, `-word` excludes, misspelt words are corrected.
    pub(crate) people: bool,
    /// When it is asked, in seconds since 1970; now when absent.
    pub(crate) now: Option<i64>,
}

pub(super) fn bad(
    code: &'static str,
    title: &'static str,
    detail: String,
    help: impl Into<String>,
) -> Failure {
    Problem::new(400, code, title, detail).help(help).into()
}

/// The name of a mode in requests and answers.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Hybrid => "hybrid",
        Mode::Bm25 => "words",
        Mode::Vector => "meaning",
    }
}

fn mode(value: &str) -> Result<Mode, Failure> {
    match value {
        "hybrid" => Ok(Mode::Hybrid),
        "words" => Ok(Mode::Bm25),
        "meaning" => Ok(Mode::Vector),
        other => {
            let help = nearest_of(other, MODES, "mode is hybrid, words or meaning");
            Err(bad("unknown-mode", "Unknown mode", format!("`{}` is not a mode", cut(other)), help))
        }
    }
}

fn number(name: &str, value: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, Failure> {
    usize::from_str(value).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        let detail = format!("`{}` is not a value of {name}", cut(value));
        let help = format!("{name} is a number from {} to {}", range.start(), range.end());
        bad("bad-limit", "Bad limit", detail, help)
    })
}

fn share(name: &str, value: &str) -> Result<f32, Failure> {
    f32::from_str(value).ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
        let detail = format!("`{}` is not a value of {name}", cut(value));
        let help = format!("{name} is a number from 0 to 1, such as 0.3");
        bad("bad-diversity", "Bad diversity", detail, help)
    })
}

impl Question {
    /// A question in the default mode, without filters.
    pub(crate) fn new(text: &str, locales: Vec<Locale>) -> Self {
        Self {
            text: text.to_owned(),
            locales,
            locale_named: true,
            indexes: Vec::new(),
            types: BTreeSet::new(),
            filter: Filter::default(),
            mode: Mode::Hybrid,
            limit: LIMIT_DEFAULT,
            offset: 0,
            facets: Wanted::default(),
            diversity: 0.0,
            reader: None,
            people: true,
            now: None,
        }
    }

    /// What the query of a request asks; `suggestions` when it asks for endings of a word.
    pub(crate) fn parse(
        view: &ReleaseView,
        parts: &RequestParts<'_>,
        suggestions: bool,
    ) -> Result<Self, Failure> {
        let (wanted, locale_named) = wanted(view, parts)?;
        let mut out = Self::new("", wanted.as_slice().to_vec());
        out.locale_named = locale_named;
        out.reader = parts.reader.map(str::to_owned);
        out.read(view, query::pairs(parts.query.unwrap_or_default()), suggestions)
    }

    /// What parameters ask, at most as many as a query may have. `locale` and `at` are read by others.
    pub(crate) fn read<'p>(
        mut self,
        view: &ReleaseView,
        pairs: impl Iterator<Item = (Cow<'p, str>, Cow<'p, str>)>,
        suggestions: bool,
    ) -> Result<Self, Failure> {
        let out = &mut self;
        let (parameters, limit_max) = match suggestions {
            true => (&PARAMETERS[..OF_SUGGESTIONS], SUGGESTIONS_MAX),
            false => (&PARAMETERS[..], LIMIT_MAX),
        };
        if suggestions {
            out.limit = SUGGESTIONS_DEFAULT;
        }
        let attributes = &view.definitions.retrieval.attributes.values;
        for (name, value) in pairs {
            match name.as_ref() {
                "q" => out.text = value.into_owned(),
                "locale" | "at" => {}
                "index" => out.indexes.extend(value.split(',').map(|part| part.trim().to_owned())),
                "type" => {
                    for part in value.split(',') {
                        out.types.insert(type_named(view, part.trim())?);
                    }
                }
                "limit" => out.limit = number("limit", &value, 1..=limit_max)?,
                "offset" if !suggestions => out.offset = number("offset", &value, 0..=OFFSET_MAX)?,
                "mode" if !suggestions => out.mode = mode(&value)?,
                "diversity" if !suggestions => out.diversity = share("diversity", &value)?,
                "facets" if !suggestions => out.facet(view, &value)?,
                "version" => out.filter.version(&value).map_err(|e| filter_problem(&e))?,
                name if attributes.contains_key(name) => {
                    out.filter.add(name, &value).map_err(|e| filter_problem(&e))?;
                }
                name => {
                    let known = attributes.keys().map(String::as_str).chain(parameters.iter().copied());
                    let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
                    let there_is = match names.is_empty() {
                        true => "retrieval.toml declares no attributes to filter by".to_owned(),
                        false => {
                            format!("search can be filtered by type, index, version, {}", names.join(", "))
                        }
                    };
                    let detail = format!("`{}` is not a parameter of search", cut(name));
                    return Err(bad(
                        "unknown-filter",
                        "Unknown filter",
                        detail,
                        nearest_of(name, known, &there_is),
                    ));
                }
            }
        }
        self.checked()
    }

    /// Whether a name is that of a parameter, and so not one of an attribute.
    pub(crate) fn is_parameter(name: &str) -> bool {
        PARAMETERS.contains(&name)
    }

    /// The question, if it asks something of a bounded length.
    pub(crate) fn checked(self) -> Result<Self, Failure> {
        if self.text.trim().is_empty() {
            let detail = "the request does not say what to search for".to_owned();
            return Err(bad("missing-query", "Missing query", detail, "ask for /v1/search?q=WORDS"));
        }
        if self.text.len() > QUERY_BYTES_MAX {
            let detail = format!("the query has {} bytes", self.text.len());
            let help = format!("search for at most {QUERY_BYTES_MAX} bytes");
            return Err(bad("query-too-long", "Query too long", detail, help));
        }
        Ok(self)
    }

    fn facet(&mut self, view: &ReleaseView, value: &str) -> Result<(), Failure> {
        let attributes = &view.definitions.retrieval.attributes.values;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "type" => self.facets.types = true,
                "index" => self.facets.indexes = true,
                name if attributes.contains_key(name) => drop(self.facets.attributes.insert(name.to_owned())),
                name => {
                    let known: Vec<&str> =
                        ["type", "index"].into_iter().chain(attributes.keys().map(String::as_str)).collect();
                    let there_is = format!("facets are {}", known.join(", "));
                    let help = nearest_of(name, known.iter().copied(), &there_is);
                    let detail = format!("`{}` is not a facet", cut(name));
                    return Err(bad("unknown-facet", "Unknown facet", detail, help));
                }
            }
        }
        Ok(())
    }
}

fn type_named(view: &ReleaseView, name: &str) -> Result<TypeName, Failure> {
    let types = view.definitions.contracts.types();
    if let Some(known) = types.keys().find(|known| known.as_str() == name) {
        return Ok((*known).clone());
    }
    let names: Vec<&str> = types.keys().map(|t| t.as_str()).collect();
    let help = nearest_of(name, names.iter().copied(), &format!("types are {}", names.join(", ")));
    Err(bad("unknown-type", "Unknown type", format!("there is no content type `{}`", cut(name)), help))
}

pub(crate) fn filter_problem(error: &FilterError) -> Failure {
    let help = match error {
        FilterError::Version(_) => "write a version such as version=2.3.1",
        FilterError::Versions => "ask for one version",
        FilterError::Many(_) | FilterError::Long(_) => "ask for less at a time",
    };
    bad("bad-filter", "Bad filter", error.to_string(), help)
}
