//! What was found, as the released entries have it: the sentences of an answer are quoted from here and from nothing else.

use std::ops::Range;

use ashlar_contracts::Contract;
use ashlar_model::{ContractName, EntryKey, Fields, Locale};
use ashlar_retrieval::{
    answer::Evidence,
    chunk::{ChunkId, TextForm, blank},
};
use serde_json::Value;

use super::facts::{Fact, facts};
use crate::{
    error::{DeliveryError, Failure},
    release::ReleaseView,
};

/// Passages whose sentences are looked at.
const PASSAGES_MAX: usize = 8;
/// Entries whose facts are looked at.
const ENTRIES_MAX: usize = 12;
/// The most facts that are looked at together.
const FACTS_MAX: usize = 96;

/// A chunk that a search found.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Its entry.
    pub key: EntryKey,
    /// Its id.
    pub chunk: ChunkId,
    /// JSON pointer to its field.
    pub field: String,
    /// The bytes of the field's text.
    pub range: Range<u32>,
    /// The headings above it.
    pub headings: Vec<String>,
    /// The fragment of the nearest heading.
    pub anchor: Option<String>,
    /// How well it was found.
    pub score: f32,
}

/// An entry as it is released.
pub(super) struct Entry {
    pub(super) key: EntryKey,
    pub(super) title: String,
    pub(super) path: Option<String>,
    /// What its type is called.
    kind: String,
    fields: Fields,
    facts: Vec<Fact>,
    /// Fields that are Markdown.
    markdown: Vec<String>,
}

impl Entry {
    fn read(view: &ReleaseView, key: &EntryKey) -> Result<Option<Self>, DeliveryError> {
        let Some(record) = view.record(key)? else { return Ok(None) };
        let name = ContractName { name: key.type_name.clone(), major: record.major };
        let Some(contract) = view.definitions.contracts.get(&name) else { return Ok(None) };
        let bytes = view.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        let texts = contract.texts(&fields);
        let markdown = texts.into_iter().filter(|text| text.markdown).map(|text| text.path).collect();
        Ok(Some(Self {
            key: key.clone(),
            title: title_of(contract, key, &fields).to_owned(),
            path: contract.facts(key, &fields).route,
            kind: contract.schema.get("title").and_then(Value::as_str).unwrap_or_default().to_owned(),
            facts: facts(contract, &fields),
            fields,
            markdown,
        }))
    }

    /// The text at a pointer.
    fn text(&self, field: &str) -> Option<&str> {
        let (first, rest) = field.strip_prefix('/')?.split_once('/').map_or((field.get(1..)?, ""), |(a, b)| (a, b));
        let first = first.replace("~1", "/").replace("~0", "~");
        let value = self.fields.get(&first)?;
        if rest.is_empty() { value.as_str() } else { value.pointer(&format!("/{rest}"))?.as_str() }
    }

    /// The value at a pointer, as it is written in JSON; a text without its quotes.
    fn written(&self, field: &str) -> String {
        match self.text(field) {
            Some(text) => text.to_owned(),
            None => {
                let top = Value::Object(self.fields.clone());
                top.pointer(field).map(Value::to_string).unwrap_or_default()
            }
        }
    }
}

/// The title of an entry, or its id.
fn title_of<'a>(contract: &Contract, entry: &'a EntryKey, fields: &'a Fields) -> &'a str {
    let named = contract.title_field.as_deref().and_then(|name| fields.get(name));
    let usual = || ["title", "name"].into_iter().find_map(|name| fields.get(name));
    named.or_else(usual).and_then(Value::as_str).unwrap_or_else(|| entry.id.as_str())
}

/// Something that may be quoted.
pub(super) struct Source {
    /// The number of its entry.
    pub(super) entry: usize,
    pub(super) field: String,
    pub(super) chunk: Option<ChunkId>,
    pub(super) anchor: Option<String>,
    /// Where in its field the text begins.
    from: u32,
    context: String,
    /// The text without markup, as long as in the field; or a statement.
    text: String,
    score: f32,
    /// The length of the value that a statement is made of, in bytes.
    stated: Option<u32>,
}

/// Where a quote is in the released entry, and how it reads.
pub(super) struct Quoted {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The bytes of the field.
    pub(super) text: String,
    /// How it reads in an answer.
    pub(super) reads: String,
    /// Whether it is a statement made of a value.
    pub(super) stated: bool,
}

/// What was found in one locale.
pub(super) struct Found {
    pub(super) locale: Locale,
    pub(super) entries: Vec<Entry>,
    pub(super) sources: Vec<Source>,
}

impl Found {
    /// Reads the entries of passages from a release, by locale, the locale of the best passage first.
    pub(super) fn read(view: &ReleaseView, passages: &[Passage]) -> Result<Vec<Self>, Failure> {
        let mut out: Vec<Self> = Vec::new();
        for passage in passages {
            let at = out.iter().position(|found| found.locale == passage.key.locale);
            let at = at.unwrap_or_else(|| {
                out.push(Self { locale: passage.key.locale.clone(), entries: Vec::new(), sources: Vec::new() });
                out.len() - 1
            });
            out[at].add(view, passage)?;
        }
        for found in &mut out {
            found.add_facts();
        }
        Ok(out)
    }

    fn add(&mut self, view: &ReleaseView, passage: &Passage) -> Result<(), Failure> {
        let known = self.entries.iter().position(|entry| entry.key == passage.key);
        if known.is_none() && self.entries.len() >= ENTRIES_MAX {
            return Ok(());
        }
        let entry = match known {
            Some(known) => known,
            None => {
                let Some(entry) = Entry::read(view, &passage.key)? else { return Ok(()) };
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        if self.sources.len() >= PASSAGES_MAX {
            return Ok(());
        }
        let read = &self.entries[entry];
        let Some(whole) = read.text(&passage.field) else { return Ok(()) };
        let form =
            if read.markdown.contains(&passage.field) { TextForm::Markdown } else { TextForm::Plain };
        let blanked = blank(whole, form);
        let Some(text) = blanked.get(passage.range.start as usize..passage.range.end as usize) else { return Ok(()) };
        let mut context = read.title.clone();
        for heading in &passage.headings {
            context.push_str(" \u{b7} ");
            context.push_str(heading);
        }
        self.sources.push(Source {
            entry,
            field: passage.field.clone(),
            chunk: Some(passage.chunk),
            anchor: passage.anchor.clone(),
            from: passage.range.start,
            context,
            text: text.to_owned(),
            score: passage.score,
            stated: None,
        });
        Ok(())
    }

    fn add_facts(&mut self) {
        let mut left = FACTS_MAX;
        for (number, entry) in self.entries.iter().enumerate() {
            for fact in entry.facts.iter().take(left) {
                left -= 1;
                self.sources.push(Source {
                    entry: number,
                    field: fact.field.clone(),
                    chunk: None,
                    anchor: None,
                    from: 0,
                    context: format!("{} \u{b7} {} \u{b7} {}", entry.title, entry.kind, fact.about),
                    text: fact.statement.clone(),
                    score: 0.0,
                    stated: Some(fact.bytes),
                });
            }
        }
    }

    pub(super) fn evidence(&self) -> Vec<Evidence<'_>> {
        fn evidence(source: &Source) -> Evidence<'_> {
            Evidence {
            context: &source.context,
            text: &source.text,
            score: source.score,
            statement: source.stated.is_some(),
            }
        }
        self.sources.iter().map(evidence).collect()
    }

    /// A quote as the released entry has it.
    pub(super) fn quoted(&self, source: &Source, range: &Range<usize>) -> Option<Quoted> {
        let entry = self.entries.get(source.entry)?;
        if let Some(bytes) = source.stated {
            let reads = format!("{}: {}.", entry.title, source.text.trim_end_matches('.'));
            let text = entry.written(&source.field);
            return Some(Quoted { from: 0, to: bytes, text, reads, stated: true });
        }
        let from = source.from.checked_add(u32::try_from(range.start).ok()?)?;
        let to = source.from.checked_add(u32::try_from(range.end).ok()?)?;
        let text = entry.text(&source.field)?.get(from as usize..to as usize)?.to_owned();
        let words: Vec<&str> = source.text.get(range.clone())?.split_whitespace().collect();
        Some(Quoted { from, to, text, reads: words.join(" "), stated: false })
    }
}
