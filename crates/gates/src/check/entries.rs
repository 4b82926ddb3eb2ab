use std::{collections::BTreeMap, path::Path};

use ashlar_contracts::Contract;
use ashlar_model::{ContractName, Digest, EntryId, EntryKey, Finding, TypeName, canonical_json};
use ashlar_project::{ContentOptions, SeedEntry, content, markdown};
use serde_json::Value;

use crate::{
    definitions::Definitions,
    gate::{shared, validity},
    world::sensitive::sensitive_values,
};

/// What the gates need of one content file. It is kept in the cache as long as the file and the contracts stay.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct FileFacts {
    /// Why the file could not be read as entries.
    pub(super) findings: Vec<Finding>,
    /// Its entries.
    pub(super) rows: Vec<Row>,
}

/// What the gates need of one entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: EntryKey,
    /// The contract the file names.
    pub(super) named: Option<ContractName>,
    /// The digest of the contract that the facts were taken with; `None` when there is no such contract.
    pub(super) contract: Option<Digest>,
    /// `content/page/home.en.json:1`
    pub(super) source: String,
    /// The digest of the fields.
    pub(super) digest: Digest,
    pub(super) findings: Vec<Finding>,
    pub(super) refs: Vec<Ref>,
    pub(super) route: Option<String>,
    pub(super) links: Vec<LinkUse>,
    pub(super) sensitive: BTreeMap<(String, String), Digest>,
    /// Fields that all locales share, with the digests of their values; those that the file leaves out are absent.
    pub(super) shared: BTreeMap<String, Digest>,
}

/// A reference of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ref {
    pub(super) pointer: String,
    pub(super) type_name: TypeName,
    pub(super) id: EntryId,
}

/// A Markdown link of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkUse {
    pub(super) pointer: String,
    /// The line within the text, from 1.
    pub(super) line: usize,
    pub(super) target: String,
}

/// The contract an entry follows.
pub(super) fn contract_of<'d>(
    definitions: &'d Definitions,
    key: &EntryKey,
    named: Option<&ContractName>,
) -> Option<&'d Contract> {
    match named {
        Some(name) => definitions.contract(&name.name, name.major),
        None => definitions.newest(&key.type_name),
    }
}

/// Reads a content file.
pub(super) fn read_file(
    dir: &Path,
    path: &str,
    options: &ContentOptions,
    definitions: &Definitions,
) -> FileFacts {
    let bytes = match content::read(dir, path) {
        Ok(bytes) => bytes,
        Err(finding) => return FileFacts { findings: vec![finding], rows: Vec::new() },
    };
    if content::is_lines(path) {
        let mut facts = FileFacts::default();
        for entry in content::parse_lines(path, &bytes, options) {
            match entry {
                // The place of an entry is its line: the rest of the file is not looked at for it.
                Ok(entry) => facts.rows.push(row(entry, b"", options, definitions)),
                Err(finding) => facts.findings.push(finding),
            }
        }
        return facts;
    }
    match content::parse(path, &bytes, options) {
        Ok(entries) => FileFacts {
            findings: Vec::new(),
            rows: entries.into_iter().map(|e| row(e, &bytes, options, definitions)).collect(),
        },
        Err(findings) => FileFacts { findings, rows: Vec::new() },
    }
}

fn row(entry: SeedEntry, bytes: &[u8], options: &ContentOptions, definitions: &Definitions) -> Row {
    let SeedEntry { key, contract: named, fields, source } = entry;
    let contract = contract_of(definitions, &key, named.as_ref());
    let value = Value::Object(fields);
    let digest = Digest::of(&canonical_json(&value).unwrap_or_default());
    let mut out = Row {
        contract: contract.map(|c| c.digest),
        digest,
        findings: Vec::new(),
        refs: Vec::new(),
        route: None,
        links: Vec::new(),
        sensitive: BTreeMap::new(),
        shared: BTreeMap::new(),
        key,
        named,
        source,
    };
    let (Some(contract), Value::Object(fields)) = (contract, &value) else { return out };
    let problems = validity::fields(contract, &out.key, &value);
    if !problems.is_empty() {
        let text = String::from_utf8_lossy(bytes);
        let body = body_field(options, &out.key.type_name);
        out.findings = problems
            .into_iter()
            .map(|p| {
                let place = content::place(&text, &out.source, &p.pointer, body);
                p.at(place)
            })
            .collect();
    }
    let facts = contract.facts(&out.key, fields);
    out.refs = facts
        .refs
        .into_iter()
        .map(|r| Ref { pointer: r.path, type_name: r.target_type, id: r.target_id })
        .collect();
    for (pointer, text) in &facts.markdown {
        for link in markdown::links(text) {
            let base = facts.route.as_deref().or(link.target.starts_with('/').then_some("/"));
            let Some(target) = base.and_then(|b| markdown::resolve(b, &link.target)) else { continue };
            out.links.push(LinkUse { pointer: pointer.to_string(), line: link.line, target });
        }
    }
    out.route = facts.route;
    out.shared = shared::values(contract, fields);
    out.sensitive = sensitive_values(contract.sensitive_fields(), fields);
    out
}

/// The field that takes a Markdown file's body.
pub(super) fn body_field<'o>(options: &'o ContentOptions, type_name: &TypeName) -> &'o str {
    options.body_fields.get(type_name).map_or("body", String::as_str)
}

/// The place of a field of an entry. The file is read again: this happens only for what is wrong.
pub(super) fn place(dir: &Path, row: &Row, pointer: &str, line: usize, options: &ContentOptions) -> String {
    let path = row.source.rsplit_once(':').map_or(row.source.as_str(), |(path, _)| path);
    let body = body_field(options, &row.key.type_name);
    let place = content::place_in(dir, &row.source, pointer, body);
    let in_body = (path.ends_with(".md") || path.ends_with(".mdx")) && pointer == format!("/{body}");
    match place.strip_prefix(&format!("{path}:")).and_then(|rest| rest.split_once(' ')) {
        Some((start, shown)) if in_body && line > 1 => {
            let start: usize = start.parse().unwrap_or(1);
            format!("{path}:{} {shown}", start + line - 1)
        }
        _ => place,
    }
}
