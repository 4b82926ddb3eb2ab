//! What a model is shown of a release, noted as it is shown.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ashlar_assist::texts::said;
use ashlar_delivery::{Asked, Asker, ReleaseView};
use ashlar_gateway::{
    call::{Answer, BuiltIn, Question, Wanted},
    ground::Source,
    wire::{Fault, FaultKind},
};
use ashlar_isolate::Workers;
use ashlar_model::EntryKey;
use ashlar_release::SourceRef;
use async_trait::async_trait;
use serde_json::Value;

/// How long a search for passages may take.
const SEARCH_MAX: Duration = Duration::from_secs(20);

/// The release, and what was shown of it.
pub struct Shown {
    view: Arc<ReleaseView>,
    workers: Workers,
    /// Entries that are shown before what a search finds.
    first: Vec<EntryKey>,
    seen: Mutex<Vec<SourceRef>>,
}

/// A passage with where it comes from.
pub struct Passage {
    pub title: String,
    pub path: Option<String>,
    pub text: String,
    pub entry: EntryKey,
}

fn busy() -> Fault {
    let message = "the server has too much to do; try again in a moment";
    Fault::new(FaultKind::Overloaded, "busy", message).after(Duration::from_secs(1))
}

fn unreadable(why: impl std::fmt::Display) -> Fault {
    tracing::error!(%why, "a release cannot be read for a task");
    Fault::new(FaultKind::Overloaded, "unreadable", "the release cannot be read now")
}

impl Shown {
    pub fn new(view: Arc<ReleaseView>, workers: Workers, first: Vec<EntryKey>) -> Self {
        Self { view, workers, first, seen: Mutex::default() }
    }

    /// The fields of a released entry; it counts as shown.
    pub fn entry(&self, key: &EntryKey) -> Result<Option<Value>, Fault> {
        let found = self.view.fields_at(key).map_err(unreadable)?;
        Ok(found.map(|(record, fields)| {
            self.note(SourceRef { key: key.clone(), digest: record.digest });
            Value::Object(fields)
        }))
    }

    fn note(&self, source: SourceRef) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(&source) {
            seen.push(source);
        }
    }

    /// Everything that was shown, in the order in which it was.
    pub fn seen(&self) -> Vec<SourceRef> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passages for a text: those of named entries, then what everybody finds, at most `most`. They count as shown.
    pub async fn passages(&self, wanted: Wanted, most: usize) -> Result<Vec<Passage>, Fault> {
        let mut out = Vec::new();
        for key in &self.first {
            if let Some(fields) = self.entry(key)? {
                out.push(Passage {
                    title: key.to_string(),
                    path: None,
                    text: said(&fields),
                    entry: key.clone(),
                });
            }
        }
        let Wanted { query, indexes, chunks, locale } = wanted;
        let asked = Asked { question: query, locale, indexes, ..Asked::default() };
        let view = self.view.clone();
        let made =
            self.workers.run(self.view.tenant(), move || view.grounds(&asked, Asker::now(None), chunks));
        let made = tokio::time::timeout(SEARCH_MAX, made).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let found = match made {
            Ok(found) => found,
            // A project without an index has entries to name.
            Err(_) if !out.is_empty() => Vec::new(),
            Err(problem) => {
                let kind = if problem.status < 500 { FaultKind::Invalid } else { FaultKind::Overloaded };
                return Err(Fault::new(kind, problem.code.replace('-', "_"), problem.detail));
            }
        };
        for found in found.into_iter().take(most.saturating_sub(out.len())) {
            if let Some(record) = self.view.record(&found.entry).map_err(unreadable)? {
                self.note(SourceRef { key: found.entry.clone(), digest: record.digest });
            }
            out.push(Passage { title: found.title, path: found.path, text: found.text, entry: found.entry });
        }
        Ok(out)
    }
}

#[async_trait]
impl BuiltIn for Shown {
    async fn answer(&self, _: Question) -> Result<Answer, Fault> {
        let message = "the built-in model quotes released sentences; it cannot write";
        Err(Fault::new(FaultKind::Invalid, "assist_no_model", message))
    }

    fn audience(&self) -> String {
        self.view.label().to_owned()
    }

    async fn sources(&self, wanted: Wanted) -> Result<Vec<Source>, Fault> {
        let most = wanted.chunks;
        let passages = self.passages(wanted, most.max(self.first.len())).await?.into_iter();
        let source = |(at, passage): (usize, Passage)| Source {
            id: format!("s{}", at + 1),
            type_name: passage.entry.type_name.to_string(),
            entry: passage.entry.id.to_string(),
            title: passage.title,
            path: passage.path.unwrap_or_default(),
            text: passage.text,
        };
        Ok(passages.enumerate().map(source).collect())
    }
}
