//! What was found, as the released entries have it: the sentences of an answer are quoted from here and from nothing else.

use std::ops::Range;

use ashlar_model::{ContractName, EntryKey, Fields, Locale};
use ashlar_retrieval::answer::Evidence;
use serde_json::Value;

use crate::{
    error::DeliveryError,
    read::search::Passage,
    release::ReleaseView,
    search::{Fact, facts},
};

/// Passages that are looked at: the sentences of the first few one by one, the others for what their structure answers.
const PASSAGES_MAX: usize = 24;
/// Entries whose facts are looked at.
const ENTRIES_MAX: usize = 12;
/// The most facts that are looked at together.
const FACTS_MAX: usize = 96;

/// An entry as it is released.
pub(super) struct Entry {
    pub(super) key: EntryKey,
    pub(super) title: String,
    pub(super) path: Option<String>,
    /// What its type is called.
    kind: String,
    fields: Value,
    facts: Vec<Fact>,
}

impl Entry {
    fn read(view: &ReleaseView, passage: &Passage) -> Result<Option<Self>, DeliveryError> {
        let Some(record) = view.record(&passage.entry)? else { return Ok(None) };
        let name = ContractName { name: passage.entry.type_name.clone(), major: record.major };
        let Some(contract) = view.definitions.contracts.get(&name) else { return Ok(None) };
        let fields: Fields = view.fields_of(&record)?;
        Ok(Some(Self {
            key: passage.entry.clone(),
            title: passage.title.clone(),
            path: passage.path.clone(),
            kind: contract.schema.get("title").and_then(Value::as_str).unwrap_or_default().to_owned(),
            facts: facts(contract, &fields),
            fields: Value::Object(fields),
        }))
    }

    /// The value at a pointer, as it is written in JSON; a text without its quotes.
    fn written(&self, field: &str) -> String {
        match self.fields.pointer(field) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }
}

/// Something that may be quoted.
pub(super) struct Source<'a> {
    /// The number of its entry.
    pub(super) entry: usize,
    pub(super) field: String,
    pub(super) chunk: Option<String>,
    pub(super) anchor: Option<String>,
    context: String,
    of: Of<'a>,
}

/// What a source is.
enum Of<'a> {
    /// A chunk.
    Text(&'a Passage),
    /// A statement, with the length of the value that it is made of, in bytes.
    Fact(String, u32),
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
pub(super) struct Found<'a> {
    pub(super) locale: Locale,
    pub(super) entries: Vec<Entry>,
    pub(super) sources: Vec<Source<'a>>,
}

impl<'a> Found<'a> {
    /// Reads the entries of passages from a release, by locale, the locale of the best passage first.
    pub(super) fn read(view: &ReleaseView, passages: &'a [Passage]) -> Result<Vec<Self>, DeliveryError> {
        let mut out: Vec<Self> = Vec::new();
        for passage in passages {
            let locale = &passage.entry.locale;
            let at = match out.iter().position(|found| found.locale == *locale) {
                Some(at) => at,
                None => {
                    out.push(Self { locale: locale.clone(), entries: Vec::new(), sources: Vec::new() });
                    out.len() - 1
                }
            };
            out[at].add(view, passage)?;
        }
        for found in &mut out {
            found.add_facts();
        }
        Ok(out)
    }

    fn add(&mut self, view: &ReleaseView, passage: &'a Passage) -> Result<(), DeliveryError> {
        let entry = match self.entries.iter().position(|entry| entry.key == passage.entry) {
            Some(known) => known,
            None if self.entries.len() >= ENTRIES_MAX => return Ok(()),
            None => {
                let Some(entry) = Entry::read(view, passage)? else { return Ok(()) };
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        if self.sources.len() >= PASSAGES_MAX {
            return Ok(());
        }
        let mut context = passage.title.clone();
        for heading in &passage.headings {
            context.push_str(" \u{b7} ");
            context.push_str(heading);
        }
        self.sources.push(Source {
            entry,
            field: passage.field.clone(),
            chunk: Some(passage.chunk.clone()),
            anchor: passage.anchor.clone(),
            context,
            of: Of::Text(passage),
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
                    context: format!("{} \u{b7} {} \u{b7} {}", entry.title, entry.kind, fact.about),
                    of: Of::Fact(fact.statement.clone(), fact.bytes),
                });
            }
        }
    }

    pub(super) fn evidence(&self) -> Vec<Evidence<'_>> {
        let mut out = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let (text, score, statement) = match &source.of {
                Of::Text(passage) => (passage.text.as_str(), passage.score, false),
                Of::Fact(statement, _) => (statement.as_str(), 0.0, true),
            };
            out.push(Evidence { context: &source.context, text, score, statement });
        }
        out
    }

    /// What a source is about, and what it says.
    pub(super) fn said<'s>(&'s self, source: &'s Source<'_>) -> (&'s str, String) {
        match &source.of {
            Of::Text(passage) => (&source.context, passage.text.clone()),
            Of::Fact(statement, _) => {
                let title = self.entries.get(source.entry).map_or("", |entry| entry.title.as_str());
                (&source.context, format!("{title}: {}.", statement.trim_end_matches('.')))
            }
        }
    }

    /// A quote as the released entry has it.
    pub(super) fn quoted(&self, source: &Source<'_>, range: &Range<usize>) -> Option<Quoted> {
        let entry = self.entries.get(source.entry)?;
        match &source.of {
            Of::Fact(statement, bytes) => {
                let reads = format!("{}: {}.", entry.title, statement.trim_end_matches('.'));
                Some(Quoted { from: 0, to: *bytes, text: entry.written(&source.field), reads, stated: true })
            }
            Of::Text(passage) => {
                let from = passage.from.checked_add(u32::try_from(range.start).ok()?)?;
                let to = passage.from.checked_add(u32::try_from(range.end).ok()?)?;
                let field = entry.fields.pointer(&source.field)?.as_str()?;
                let text = field.get(from as usize..to as usize)?.to_owned();
                let words: Vec<&str> = passage.text.get(range.clone())?.split_whitespace().collect();
                Some(Quoted { from, to, text, reads: words.join(" "), stated: false })
            }
        }
    }
}
