//! Who may find what: attributes of entries, readers, and what a request asks for.
//!
//! An entry that says nothing of an attribute is for everybody. A value of an attribute that restricts is seen by readers that list it, and
//! by nobody else. What a request asks for narrows what its reader may see, and never widens it.

use std::collections::{BTreeMap, BTreeSet};

use semver::{Prerelease, Version, VersionReq};
use serde::{Deserialize, Serialize};

/// The reader that everybody is who has no other.
pub const PUBLIC: &str = "public";
/// Attributes that restrict even when no reader lists a value of them.
pub const ALWAYS_RESTRICTING: [&str; 2] = ["audience", "sensitivity"];
/// The most attributes of an entry, and of a filter.
pub const ATTRIBUTES_MAX: usize = 16;
/// The most values of an attribute, of an entry and of a filter.
pub const VALUES_MAX: usize = 64;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 200;

/// What an entry says of who it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Attribute → values, sorted. An attribute without values is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, Vec<String>>,
    /// The versions it applies to, as a semver range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    versions: Option<String>,
    /// From when on, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    /// Until when, in seconds since 1970; then no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl Attributes {
    /// Attributes of values, versions and times. Values are sorted, and attributes without values dropped, so that equal
    /// attributes are equal values.
    #[must_use]
    pub fn new(
        values: impl IntoIterator<Item = (String, Vec<String>)>,
        versions: Option<String>,
        from: Option<i64>,
        until: Option<i64>,
    ) -> Self {
        let mut out = BTreeMap::new();
        for (name, mut list) in values {
            list.sort_unstable();
            list.dedup();
            if !list.is_empty() {
                out.insert(name, list);
            }
        }
        Self { values: out, versions, from, until }
    }

    /// Attribute → values, sorted.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, Vec<String>> {
        &self.values
    }

    /// The values of an attribute; none when it is for everybody.
    #[must_use]
    pub fn values_of(&self, attribute: &str) -> &[String] {
        self.values.get(attribute).map_or(&[], Vec::as_slice)
    }

    /// The versions it applies to.
    #[must_use]
    pub fn versions(&self) -> Option<&str> {
        self.versions.as_deref()
    }

    /// From when and until when, in seconds since 1970.
    #[must_use]
    pub const fn times(&self) -> (Option<i64>, Option<i64>) {
        (self.from, self.until)
    }

    /// Whether everybody may see it, at any time. Only such text teaches what all readers share.
    #[must_use]
    pub fn is_public(&self, readers: &Readers) -> bool {
        self.from.is_none() && self.until.is_none() && readers.public().sees(self)
    }
}

/// What one kind of caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reader {
    name: String,
    /// Attributes that restrict, each with the values that the reader sees.
    sees: BTreeMap<String, BTreeSet<String>>,
    /// The indexes it may use; `None` for those that are public.
    indexes: Option<BTreeSet<String>>,
}

impl Reader {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The indexes that it lists. `None` when it lists none and uses those that are public.
    #[must_use]
    pub const fn indexes(&self) -> Option<&BTreeSet<String>> {
        self.indexes.as_ref()
    }

    /// Whether it may see what has these attributes, at whatever time.
    #[must_use]
    pub fn sees(&self, attributes: &Attributes) -> bool {
        self.sees.iter().all(|(name, listed)| {
            let values = attributes.values_of(name);
            values.is_empty() || values.iter().any(|value| listed.contains(value))
        })
    }
}

/// All readers of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readers {
    public: Reader,
    others: BTreeMap<String, Reader>,
}

impl Default for Readers {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

impl Readers {
    /// Readers by name, each with the values it lists by attribute. An attribute restricts when a reader lists values of it, or
    /// when it is one of [`ALWAYS_RESTRICTING`]. A reader that does not list an attribute sees of it what `public` sees.
    #[must_use]
    pub fn new(listed: &BTreeMap<String, BTreeMap<String, Vec<String>>>) -> Self {
        let mut restricting: BTreeSet<&str> = ALWAYS_RESTRICTING.into_iter().collect();
        restricting.extend(listed.values().flat_map(BTreeMap::keys).map(String::as_str));
        let nothing = BTreeMap::new();
        let of_public = listed.get(PUBLIC).unwrap_or(&nothing);
        let reader = |name: &str, lists: &BTreeMap<String, Vec<String>>| {
            let sees = restricting.iter().map(|attribute| {
                let values = lists.get(*attribute).or_else(|| of_public.get(*attribute));
                ((*attribute).to_owned(), values.into_iter().flatten().cloned().collect())
            });
            Reader { name: name.to_owned(), sees: sees.collect(), indexes: None }
        };
        let others = listed.iter().filter(|(name, _)| *name != PUBLIC);
        Self {
            public: reader(PUBLIC, of_public),
            others: others.map(|(name, lists)| (name.clone(), reader(name, lists))).collect(),
        }
    }

    /// With the indexes that each reader lists.
    #[must_use]
    pub fn with_indexes(mut self, mut listed: BTreeMap<String, BTreeSet<String>>) -> Self {
        self.public.indexes = listed.remove(PUBLIC);
        for (name, reader) in &mut self.others {
            reader.indexes = listed.remove(name).or_else(|| self.public.indexes.clone());
        }
        self
    }

    /// Whether a reader has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        name == PUBLIC || self.others.contains_key(name)
    }

    /// The values of an attribute that readers see, each with the reader.
    pub fn values_of<'a>(&'a self, attribute: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = [&self.public].into_iter().chain(self.others.values());
        let values: Vec<(&str, &str)> = all
            .filter_map(|reader| Some((reader.name(), reader.sees.get(attribute)?)))
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value.as_str())))
            .collect();
        values.into_iter()
    }

    /// The names of all readers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [PUBLIC].into_iter().chain(self.others.keys().map(String::as_str))
    }

    /// The reader of a caller: the one that its key names. Without a name, and with a name that no reader has, `public`.
    #[must_use]
    pub fn reader(&self, name: Option<&str>) -> &Reader {
        name.and_then(|name| self.others.get(name)).unwrap_or(&self.public)
    }

    /// The reader of everybody.
    #[must_use]
    pub const fn public(&self) -> &Reader {
        &self.public
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    values: BTreeMap<String, BTreeSet<String>>,
    version: Option<Version>,
}

/// Why a filter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// There are too many.
    #[error("more than {ATTRIBUTES_MAX} attributes, or more than {VALUES_MAX} values of `{0}`")]
    Many(String),
    /// A value is too long.
    #[error("a value of `{0}` is longer than {VALUE_BYTES_MAX} bytes")]
    Long(String),
    /// A value that is not a version.
    #[error("`{0}` is not a version such as `2.3.1`")]
    Version(String),
    /// There are two versions.
    #[error("`version` is given twice")]
    Versions,
}

impl Filter {
    /// Asks for one more value of an attribute: one of its values is enough.
    ///
    /// # Errors
    /// When a bound is exceeded.
    pub fn add(&mut self, attribute: &str, value: &str) -> Result<(), FilterError> {
        if value.len() > VALUE_BYTES_MAX || attribute.len() > VALUE_BYTES_MAX {
            return Err(FilterError::Long(shown(attribute)));
        }
        let many = self.values.len() == ATTRIBUTES_MAX && !self.values.contains_key(attribute);
        let values = if many { None } else { Some(self.values.entry(attribute.to_owned()).or_default()) };
        match values {
            Some(values) if values.len() < VALUES_MAX || values.contains(value) => {
                values.insert(value.to_owned());
                Ok(())
            }
            _ => Err(FilterError::Many(shown(attribute))),
        }
    }

    /// Asks for what applies to a version. `2.3` means `2.3.0`.
    ///
    /// # Errors
    /// When it is not a version, or not the first.
    pub fn version(&mut self, version: &str) -> Result<(), FilterError> {
        if self.version.is_some() {
            return Err(FilterError::Versions);
        }
        self.version = Some(parse_version(version).ok_or_else(|| FilterError::Version(shown(version)))?);
        Ok(())
    }

    /// Whether it asks for nothing in particular.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.version.is_none()
    }

    fn matches(&self, attributes: &Attributes) -> bool {
        let values = self.values.iter().all(|(name, asked)| {
            let values = attributes.values_of(name);
            values.is_empty() || values.iter().any(|value| asked.contains(value))
        });
        values
            && match (&self.version, &attributes.versions) {
                (Some(version), Some(range)) => {
                    VersionRange::parse(range).is_some_and(|r| r.contains(version))
                }
                _ => true,
            }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn parse_version(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.len() > VALUE_BYTES_MAX {
        return None;
    }
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let rest = &text[numbers.len()..];
    let missing = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    Version::parse(&format!("{numbers}{missing}{rest}")).ok()
}

/// A semver range: comparisons that all must be true, separated by commas; alternatives by `||`.
#[derive(Debug, Clone)]
pub struct VersionRange(Vec<VersionReq>);

impl VersionRange {
    /// Reads a range such as `>=2.0, <3 || 4.1.x`. `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > VALUE_BYTES_MAX || text.trim().is_empty() {
            return None;
        }
        let alternatives = text.split("||").map(|part| VersionReq::parse(part.trim()).ok());
        alternatives.collect::<Option<_>>().map(Self)
    }

    /// Whether a version lies in it. A version such as `2.3.0-beta` also lies where `2.3.0` does.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        let released = Version { pre: Prerelease::EMPTY, ..version.clone() };
        self.0.iter().any(|range| range.matches(version) || range.matches(&released))
    }
}

/// What a caller may see of what it asks for, at one time.
#[derive(Debug, Clone)]
pub struct Allowed {
    filter: Filter,
    reader: Reader,
    now: i64,
}

impl Allowed {
    /// What a reader may see of what a filter asks for. `now` is in seconds since 1970.
    #[must_use]
    pub fn new(filter: Filter, reader: &Reader, now: i64) -> Self {
        Self { filter, reader: reader.clone(), now }
    }

    /// What everybody may see of everything.
    #[must_use]
    pub fn public(readers: &Readers, now: i64) -> Self {
        Self::new(Filter::default(), readers.public(), now)
    }

    /// Whether what has these attributes may be found.
    #[must_use]
    pub fn allows(&self, attributes: &Attributes) -> bool {
        attributes.from.is_none_or(|from| from <= self.now)
            && attributes.until.is_none_or(|until| self.now < until)
            && self.reader.sees(attributes)
            && self.filter.matches(attributes)
    }
}
