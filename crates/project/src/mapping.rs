use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{ContractName, EntryId, EntryKey, Fields, Finding, Locale, TypeName, read_toml};
use serde::Deserialize;
use serde_json::Value;

use crate::{glob::Globs, text::sentence};

/// How files of another system become entries: the mapping file of `ashlar import`.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The type of every entry.
    pub type_name: TypeName,
    /// The contract, when it is not the newest active one of the type.
    pub contract: Option<ContractName>,
    /// Where the locale comes from.
    pub locale: LocaleSource,
    /// Put before the id that is made from the path: `docs.`.
    pub id_prefix: String,
    /// The field that is the id, instead of the path.
    pub id_field: Option<String>,
    /// The name of files that stand for their folder: `index`.
    pub index: String,
    /// The field that takes the path without locale, ending and index name: `guides/deploy`.
    pub path_field: Option<String>,
    /// The field that takes the Markdown after the front matter.
    pub body: String,
    /// Files that are read; those that end with `.md` or `.mdx` when absent.
    pub include: Option<Globs>,
    /// Files that are left out although they are included.
    pub exclude: Globs,
    /// Front matter name → field; dots lead into objects on both sides.
    pub fields: BTreeMap<String, String>,
    /// Front matter names that are dropped.
    pub drop: BTreeSet<String>,
    /// Whether names that `fields` does not list are kept under their own name.
    pub keep_unknown: bool,
    /// Values of fields that are still absent after mapping; dots lead into objects.
    pub defaults: Fields,
}

/// Where the locale of an imported entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocaleSource {
    /// All entries are of this locale.
    Fixed(Locale),
    /// The n-th segment of the path, from 0; it is no part of the id.
    Segment(usize),
    /// A field; the locale given here when it is absent.
    Field(String, Locale),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "type")]
    type_name: TypeName,
    contract: Option<ContractName>,
    locale: Option<Locale>,
    locale_segment: Option<usize>,
    locale_field: Option<String>,
    #[serde(default)]
    id_prefix: String,
    id_field: Option<String>,
    index: Option<String>,
    path_field: Option<String>,
    body: Option<String>,
    include: Option<Vec<String>>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    drop: BTreeSet<String>,
    #[serde(default)]
    unknown: Unknown,
    #[serde(default)]
    defaults: toml::Table,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Unknown {
    #[default]
    Keep,
    Drop,
}

impl Mapping {
    /// The mapping that is used without a mapping file: every name is kept, the id is the path.
    pub fn simple(type_name: TypeName, locale: LocaleSource) -> Self {
        Self {
            type_name,
            contract: None,
            locale,
            id_prefix: String::new(),
            id_field: None,
            index: "index".to_owned(),
            path_field: None,
            body: "body".to_owned(),
            include: None,
            exclude: Globs::default(),
            fields: BTreeMap::new(),
            drop: BTreeSet::new(),
            keep_unknown: true,
            defaults: Fields::new(),
        }
    }

    /// Reads a mapping file. `path` names it in findings; `default_locale` is used where the file says nothing.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(path: &str, text: &str, default_locale: &Locale) -> Result<Self, Finding> {
        let raw: Raw = crate::toml_text::typed_text(path, text)?;
        let wrong = |message: &str, help: &str| Finding::error("mapping", path, sentence(message)).help(help);
        if raw.contract.as_ref().is_some_and(|c| c.name != raw.type_name) {
            return Err(wrong("`contract` is not a contract of `type`", "name a version of the type"));
        }
        let locale = match (raw.locale, raw.locale_segment, raw.locale_field) {
            (Some(l), None, None) => LocaleSource::Fixed(l),
            (None, Some(n), None) => LocaleSource::Segment(n),
            (l, None, Some(f)) => LocaleSource::Field(f, l.unwrap_or_else(|| default_locale.clone())),
            (None, None, None) => LocaleSource::Fixed(default_locale.clone()),
            _ => {
                return Err(wrong(
                    "`locale_segment` cannot be combined with `locale` or `locale_field`",
                    "keep one of them",
                ));
            }
        };
        let mut targets = BTreeSet::new();
        for (from, to) in &raw.fields {
            if to.is_empty() || to.split('.').any(str::is_empty) {
                return Err(wrong(&format!("`fields.{from}` names no field"), "write a field such as title"));
            }
            if !targets.insert(to) {
                return Err(wrong(
                    &format!("two names are mapped to the field `{to}`"),
                    "map each field once",
                ));
            }
        }
        let globs = |name: &str, patterns: &[String]| {
            let help = "`*` matches within a name, `**` any number of directories";
            Globs::new(patterns).map_err(|e| wrong(&format!("`{name}` has an invalid pattern: {e}"), help))
        };
        let include = raw.include.as_deref().map(|patterns| globs("include", patterns)).transpose()?;
        let exclude = globs("exclude", &raw.exclude)?;
        let defaults = read_toml(path, 1, &raw.defaults.to_string())?;
        let simple = Self::simple(raw.type_name, locale);
        Ok(Self {
            contract: raw.contract,
            id_prefix: raw.id_prefix,
            id_field: raw.id_field,
            index: raw.index.unwrap_or(simple.index),
            path_field: raw.path_field,
            body: raw.body.unwrap_or(simple.body),
            include,
            exclude,
            fields: raw.fields,
            drop: raw.drop,
            keep_unknown: raw.unknown == Unknown::Keep,
            defaults: match defaults {
                Value::Object(map) => map,
                _ => Fields::new(),
            },
            type_name: simple.type_name,
            locale: simple.locale,
        })
    }

    /// Whether a file (path relative to the imported folder) is read.
    pub fn reads(&self, path: &str) -> bool {
        let included = match &self.include {
            Some(globs) => globs.matches(path),
            None => path.ends_with(".md") || path.ends_with(".mdx"),
        };
        included && !self.exclude.matches(path)
    }

    /// The fields of an entry from what a file contains.
    pub(crate) fn map(&self, place: &str, mut source: Fields) -> Result<Fields, Finding> {
        let mut out = Fields::new();
        let clash = |name: &str| {
            Finding::error("mapping", place, format!("The field `{name}` gets two values."))
                .help("drop one of the names, or map it to another field")
        };
        for name in &self.drop {
            take(&mut source, name);
        }
        for (from, to) in &self.fields {
            if let Some(value) = take(&mut source, from)
                && !put(&mut out, to, value)
            {
                return Err(clash(to));
            }
        }
        if self.keep_unknown {
            for (name, value) in source {
                // An object whose members were all mapped elsewhere says nothing any more.
                let emptied = value.as_object().is_some_and(serde_json::Map::is_empty)
                    && self.fields.keys().any(|f| f.starts_with(&format!("{name}.")));
                if !emptied && !put_key(&mut out, &name, value) {
                    return Err(clash(&name));
                }
            }
        }
        for (name, value) in &self.defaults {
            default(&mut out, name, value);
        }
        Ok(out)
    }

    /// Type, id and locale of the entry in a file, and the path without locale, ending and index name.
    pub(crate) fn key(
        &self,
        place: &str,
        path: &str,
        fields: &mut Fields,
    ) -> Result<(EntryKey, String), Finding> {
        let wrong =
            |message: String, help: &str| Finding::error("import-path", place, message).help(help.to_owned());
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let mut segments: Vec<&str> = stem.split('/').collect();
        let locale = match &self.locale {
            LocaleSource::Fixed(l) => l.clone(),
            LocaleSource::Segment(n) => {
                if *n + 1 >= segments.len() {
                    return Err(wrong(
                        format!("The path has no folder at position {n} that names the locale."),
                        "check `locale_segment`, or leave the file out through `exclude`",
                    ));
                }
                let segment = segments.remove(*n);
                Locale::any_case(segment).map_err(|e| {
                    wrong(format!("Segment {n}: {e}."), "check `locale_segment`, or exclude the folder")
                })?
            }
            LocaleSource::Field(name, default) => match take(fields, name) {
                None => default.clone(),
                Some(Value::String(l)) => Locale::any_case(&l)
                    .map_err(|e| wrong(format!("`{name}`: {e}."), "write a locale such as en"))?,
                Some(other) => {
                    return Err(wrong(
                        format!("`{name}` is {other}, not a locale."),
                        "write a locale such as en",
                    ));
                }
            },
        };
        if segments.len() > 1 && segments.last() == Some(&self.index.as_str()) {
            segments.pop();
        }
        let short = segments.join("/");
        let id = match &self.id_field {
            Some(name) => match take(fields, name) {
                Some(Value::String(id)) => id,
                Some(Value::Number(n)) => n.to_string(),
                _ => {
                    return Err(wrong(
                        format!("The id is taken from `{name}`, which is absent or no text."),
                        "add it, or remove `id_field`",
                    ));
                }
            },
            None => {
                let clean =
                    |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
                let id: String = segments.join(".").chars().map(clean).collect();
                format!("{}{}", self.id_prefix, id.trim_start_matches(['.', '_', '-']))
            }
        };
        let id = EntryId::new(&id).map_err(|e| {
            wrong(format!("{}.", e), "rename the file, or take the id from a field (`id_field`)")
        })?;
        Ok((EntryKey { type_name: self.type_name.clone(), id, locale }, short))
    }
}

/// Takes the value at a dotted name out of an object. A name that contains a dot itself is found first.
fn take(fields: &mut Fields, name: &str) -> Option<Value> {
    if let Some(value) = fields.remove(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    match fields.get_mut(first)? {
        Value::Object(inner) => take(inner, rest),
        _ => None,
    }
}

/// Puts a value at a dotted name; false when something else is there.
pub(crate) fn put(fields: &mut Fields, name: &str, value: Value) -> bool {
    match name.split_once('.') {
        None => put_key(fields, name, value),
        Some((first, rest)) => {
            match fields.entry(first.to_owned()).or_insert_with(|| Value::Object(Fields::new())) {
                Value::Object(inner) => put(inner, rest, value),
                _ => false,
            }
        }
    }
}

fn put_key(fields: &mut Fields, name: &str, value: Value) -> bool {
    match (fields.get_mut(name), value) {
        (None, value) => {
            fields.insert(name.to_owned(), value);
            true
        }
        (Some(Value::Object(there)), Value::Object(new)) => {
            new.into_iter().all(|(name, value)| put_key(there, &name, value))
        }
        (Some(_), _) => false,
    }
}

fn default(fields: &mut Fields, name: &str, value: &Value) {
    match (fields.get_mut(name), value) {
        (None, _) => {
            put(fields, name, value.clone());
        }
        (Some(Value::Object(there)), Value::Object(new)) => {
            for (name, value) in new {
                default(there, name, value);
            }
        }
        (Some(_), _) => {}
    }
}
