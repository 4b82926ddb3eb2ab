//! What of an entry is indexed, and where.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::{Contract, ContractSet};
use ashlar_model::{ContractName, Digest, EntryKey, EntryRecord, Fields, Locale, TypeName};
use ashlar_retrieval::{
    access::Attributes,
    chunk::{Chunk, Text, TextForm, blank, chunks},
    config::Config,
    text::Analyzer,
};
use serde_json::{Value, json};

use super::attributes::attributes_of;

/// The form of segments and of what is in them; part of what a search tree is bound to. Raise it when the same entries give
/// other segments.
const FORMAT: &str = "search 3";
/// The longest name of an index, in bytes.
const INDEX_BYTES_MAX: usize = 100;

/// What of the definitions a search tree depends on.
pub struct SearchRules<'a> {
    contracts: &'a ContractSet,
    config: &'a Config,
    indexed: BTreeMap<ContractName, String>,
    written: Vec<u8>,
    digest: Digest,
}

/// An entry as it is indexed.
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) attributes: Attributes,
    /// Each chunk with its text, without markup.
    pub(crate) chunks: Vec<(Chunk, String)>,
    /// Bytes of text beyond the bounds of an entry.
    pub(crate) left_out: u64,
}

/// The index that entries of a contract are in.
fn index_of<'a>(contract: &'a Contract, config: &Config) -> Option<&'a str> {
    if !contract.is_type() {
        return None;
    }
    let named = config.index_of(contract.index.as_deref(), contract.route.is_some());
    named.filter(|name| name.len() <= INDEX_BYTES_MAX && !name.contains(char::is_control))
}

/// The names of the indexes of a project, with the types in each.
pub(crate) fn indexes(contracts: &ContractSet, config: &Config) -> BTreeMap<String, BTreeSet<TypeName>> {
    let mut out: BTreeMap<String, BTreeSet<TypeName>> = BTreeMap::new();
    for contract in contracts.iter() {
        if let Some(index) = index_of(contract, config) {
            out.entry(index.to_owned()).or_default().insert(contract.name.name.clone());
        }
    }
    out
}

impl<'a> SearchRules<'a> {
    /// The rules of a project.
    pub fn new(contracts: &'a ContractSet, config: &'a Config) -> Self {
        let mut indexed = BTreeMap::new();
        let mut named = Vec::new();
        for contract in contracts.iter() {
            let Some(index) = index_of(contract, config) else { continue };
            named.push(json!([contract.name.to_string(), contract.digest.to_string(), index]));
            indexed.insert(contract.name.clone(), index.to_owned());
        }
        let written = json!({
            "format": FORMAT,
            "config": config.indexing(),
            "contracts": named,
        });
        let written = written.to_string().into_bytes();
        let digest = Digest::of(&written);
        Self { contracts, config, indexed, written, digest }
    }

    /// Indexes, readers and what makes vectors.
    pub(super) fn config(&self) -> &'a Config {
        self.config
    }

    /// The same rules give the same digest, and the same search tree for the same snapshot.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the digest is of.
    pub(super) fn written(&self) -> &[u8] {
        &self.written
    }

    /// All indexes.
    pub(super) fn indexes(&self) -> BTreeSet<&str> {
        self.indexed.values().map(String::as_str).collect()
    }

    /// The index that an entry is in.
    pub(super) fn index(&self, entry: &EntryKey, record: &EntryRecord) -> Option<&str> {
        let name = ContractName { name: entry.type_name.clone(), major: record.major };
        self.indexed.get(&name).map(String::as_str)
    }

    /// What is indexed of an entry.
    pub(crate) fn document(
        &self,
        entry: &EntryKey,
        record: &EntryRecord,
        fields: &Fields,
        analyzer: &Analyzer,
    ) -> Option<Document> {
        let name = ContractName { name: entry.type_name.clone(), major: record.major };
        let contract = self.contracts.get(&name)?;
        let facts = contract.texts(fields);
        let texts: Vec<Text<'_>> = facts
            .iter()
            .map(|fact| Text {
                field: fact.path.as_str().into(),
                text: fact.text,
                form: if fact.markdown { TextForm::Markdown } else { TextForm::Plain },
                boost: fact.boost,
                heading: fact.heading,
                anchor: fact.anchor,
            })
            .collect();
        let cut = chunks(&entry.to_bytes(), &texts, analyzer, &self.config.chunks);
        let mut blanked: (usize, String) = (usize::MAX, String::new());
        let mut at = 0;
        let mut out = Vec::with_capacity(cut.chunks.len());
        for chunk in cut.chunks {
            // Chunks come in the order of the texts.
            while texts.get(at).is_some_and(|text| text.field != chunk.field) {
                at += 1;
            }
            let text = texts.get(at)?;
            if blanked.0 != at {
                blanked = (at, blank(text.text, text.form));
            }
            let slice = blanked.1.get(chunk.bytes()).unwrap_or_default().to_owned();
            out.push((chunk, slice));
        }
        Some(Document {
            title: title_of(contract, entry, fields).to_owned(),
            attributes: attributes_of(fields, &self.config.attributes),
            chunks: out,
            left_out: cut.left_out,
        })
    }
}

/// The title of an entry, or its id.
fn title_of<'a>(contract: &Contract, entry: &'a EntryKey, fields: &'a Fields) -> &'a str {
    let named = contract.title_field.as_deref().and_then(|name| fields.get(name));
    let usual = || ["title", "name"].into_iter().find_map(|name| fields.get(name));
    named.or_else(usual).and_then(Value::as_str).unwrap_or_else(|| entry.id.as_str())
}

/// The language of texts.
pub(super) fn analyzer(locale: &Locale) -> Analyzer {
    Analyzer::for_locale(locale.as_str())
}
