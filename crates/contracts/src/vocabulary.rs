//! The words of `x-ashlar` on a schema and on a property.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ashlar_model::{ContractName, TypeName, did_you_mean};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A semantic version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Breaking changes.
    pub major: u32,
    /// Additions.
    pub minor: u32,
    /// Changes that no reader or writer can notice.
    pub patch: u32,
}

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version such as `1.4.0`")]
pub struct VersionError(String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(s: &str) -> Result<Self, VersionError> {
        let err = || VersionError(s.chars().take(40).collect());
        let mut parts = s.split('.').map(|p| match p.len() > 1 && p.starts_with('0') {
            true => None,
            false => p.bytes().all(|b| b.is_ascii_digit()).then(|| p.parse::<u32>().ok()).flatten(),
        });
        match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
            (Some(major), Some(minor), Some(patch), None) => Ok(Self { major, minor, patch }),
            _ => Err(err()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What a contract describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Entries of a content type.
    #[default]
    Type,
    /// A block inside an entry.
    Block,
    /// The props of a component.
    Props,
    /// The payload of a tool.
    Tool,
    /// The output of a model.
    Output,
}

/// The place of a contract in its life cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// To be replaced.
    Deprecated,
}

/// `x-ashlar` on a schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct OnSchema {
    pub version: Option<Version>,
    pub owner: String,
    pub kind: Kind,
    pub status: Status,
    pub sunset: Option<Date>,
    pub replaced_by: Option<ContractName>,
    pub route: Option<String>,
    pub index: Option<String>,
    pub title_field: Option<String>,
    pub taxonomy: bool,
}

/// The most that a field can count in a search.
const BOOST_MAX: f64 = 100.0;

/// `x-ashlar` on a property.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OnProperty {
    pub localized: Option<bool>,
    pub refs: Vec<TypeName>,
    pub sensitivity: BTreeSet<String>,
    pub indexed: bool,
    pub search: Option<Search>,
}

/// What a search makes of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Search {
    /// It is not looked through.
    Off,
    /// It counts this much more than others, whatever kind of string it is.
    Boost(f32),
}

pub(crate) const SCHEMA_WORDS: &[&str] = &[
    "version",
    "owner",
    "kind",
    "status",
    "sunset",
    "replaced_by",
    "route",
    "index",
    "title_field",
    "taxonomy",
];
pub(crate) const PROPERTY_WORDS: &[&str] =
    &["localized", "ref", "sensitivity", "presentation", "reason", "semantics", "unit", "search", "indexed"];
const SENSITIVITIES: &[&str] = &["claim", "pricing", "legal", "pii"];

/// A word that is wrong: where below `x-ashlar`, what, and how to fix it.
pub(crate) type Wrong = (String, String, String);

fn unknown(word: &str, words: &[&str]) -> Wrong {
    let help = did_you_mean(word, words.iter().copied(), format!("the words are: {}", words.join(", ")));
    (format!("/{word}"), format!("`{word}` is not a word of x-ashlar here"), help)
}

fn one_of(word: &str, value: &Value, words: &[&str]) -> Result<String, Wrong> {
    let help = format!("one of: {}", words.join(", "));
    match value.as_str() {
        Some(text) if words.contains(&text) => Ok(text.to_owned()),
        _ => Err((format!("/{word}"), format!("`{word}` is {value}"), help)),
    }
}

fn text(word: &str, value: &Value) -> Result<String, Wrong> {
    match value.as_str().filter(|t| !t.is_empty() && t.len() <= 1000) {
        Some(text) => Ok(text.to_owned()),
        None => Err((format!("/{word}"), format!("`{word}` must be text"), "write it in quotes".to_owned())),
    }
}

fn parsed<T: FromStr>(word: &str, value: &Value, help: &str) -> Result<T, Wrong>
where
    T::Err: fmt::Display,
{
    text(word, value)?.parse().map_err(|e: T::Err| (format!("/{word}"), e.to_string(), help.to_owned()))
}

fn flag(word: &str, value: &Value) -> Result<bool, Wrong> {
    let wrong =
        || (format!("/{word}"), format!("`{word}` must be true or false"), "without quotes".to_owned());
    value.as_bool().ok_or_else(wrong)
}

impl OnSchema {
    pub fn parse(value: &Value) -> (Self, Vec<Wrong>) {
        let (mut out, mut wrong) = (Self::default(), Vec::new());
        let Some(map) = value.as_object() else {
            return (out, vec![(String::new(), "x-ashlar must be an object".to_owned(), String::new())]);
        };
        for (word, value) in map {
            let result = (|| {
                match word.as_str() {
                    "version" => out.version = Some(parsed(word, value, "write `1.0.0`")?),
                    "owner" => out.owner = text(word, value)?,
                    "kind" => {
                        out.kind = match one_of(word, value, &["type", "block", "props", "tool", "output"])?
                            .as_str()
                        {
                            "block" => Kind::Block,
                            "props" => Kind::Props,
                            "tool" => Kind::Tool,
                            "output" => Kind::Output,
                            _ => Kind::Type,
                        };
                    }
                    "status" => {
                        out.status = match one_of(word, value, &["active", "deprecated"])?.as_str() {
                            "deprecated" => Status::Deprecated,
                            _ => Status::Active,
                        };
                    }
                    "sunset" => out.sunset = Some(parsed(word, value, "write a date such as `2027-06-30`")?),
                    "replaced_by" => {
                        out.replaced_by = Some(parsed(word, value, "name a contract such as `page.v2`")?)
                    }
                    "route" => out.route = Some(text(word, value)?),
                    "index" => out.index = Some(text(word, value)?),
                    "title_field" => out.title_field = Some(text(word, value)?),
                    "taxonomy" => out.taxonomy = flag(word, value)?,
                    // A whole schema may also be a property of another; its words stand beside these.
                    other if PROPERTY_WORDS.contains(&other) => {}
                    other => return Err(unknown(other, SCHEMA_WORDS)),
                }
                Ok(())
            })();
            wrong.extend(result.err());
        }
        (out, wrong)
    }
}

impl OnProperty {
    pub fn parse(value: &Value) -> (Self, Vec<Wrong>) {
        let (mut out, mut wrong) = (Self::default(), Vec::new());
        let Some(map) = value.as_object() else {
            return (out, vec![(String::new(), "x-ashlar must be an object".to_owned(), String::new())]);
        };
        let list = |word: &str, value: &Value| -> Result<Vec<String>, Wrong> {
            match value {
                Value::String(s) => Ok(vec![s.clone()]),
                Value::Array(items) if items.len() <= 100 => items.iter().map(|v| text(word, v)).collect(),
                _ => Err((
                    format!("/{word}"),
                    format!("`{word}` must be a name or a list of names"),
                    String::new(),
                )),
            }
        };
        for (word, value) in map {
            let result = (|| {
                match word.as_str() {
                    "localized" => out.localized = Some(flag(word, value)?),
                    "indexed" => out.indexed = flag(word, value)?,
                    "ref" => {
                        for name in list(word, value)? {
                            let name = TypeName::new(&name).map_err(|e| {
                                (
                                    format!("/{word}"),
                                    e.to_string(),
                                    "name content types without their version".to_owned(),
                                )
                            })?;
                            out.refs.push(name);
                        }
                    }
                    "sensitivity" => {
                        for name in list(word, value)? {
                            out.sensitivity.insert(one_of(word, &Value::String(name), SENSITIVITIES)?);
                        }
                    }
                    "presentation" => {
                        let justified = map.get("reason").is_some_and(|r| text("reason", r).is_ok());
                        if flag(word, value)? && !justified {
                            let message = "a presentation field inside content needs a reason".to_owned();
                            let help = "add `reason`, or move the choice to the component".to_owned();
                            return Err((format!("/{word}"), message, help));
                        }
                    }
                    "semantics" | "unit" | "reason" => drop(text(word, value)?),
                    "search" => match value {
                        Value::Number(n) if n.as_f64().is_some_and(|n| (0.0..=BOOST_MAX).contains(&n)) => {
                            let boost = n.as_f64().unwrap_or(1.0);
                            // Boosts have few digits.
                            out.search =
                                Some(if boost > 0.0 { Search::Boost(boost as f32) } else { Search::Off });
                        }
                        Value::Bool(true) => out.search = Some(Search::Boost(1.0)),
                        Value::Bool(false) => out.search = Some(Search::Off),
                        Value::String(s) if s == "off" => out.search = Some(Search::Off),
                        _ => {
                            let help = "write a boost such as `2`, or `\"off\"`".to_owned();
                            return Err((format!("/{word}"), format!("`search` is {value}"), help));
                        }
                    },
                    // The words of a whole schema, where a schema stands in as a property.
                    other if SCHEMA_WORDS.contains(&other) => {}
                    other => return Err(unknown(other, PROPERTY_WORDS)),
                }
                Ok(())
            })();
            wrong.extend(result.err());
        }
        (out, wrong)
    }
}
