//! Many entries are written in batches, here or by a server.

use ashlar_project::SeedEntry;
use ashlar_release::{ImportEntries, Imported, IncomingEntry};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    backend::{Local, Remote},
    error::CliError,
};

/// An entry as the import action takes it.
pub fn incoming(entry: SeedEntry) -> IncomingEntry {
    IncomingEntry { key: entry.key, major: entry.contract.map(|c| c.major), fields: entry.fields }
}

/// Writes entries in batches.
pub async fn import_local(
    local: &Local,
    source: &str,
    entries: Vec<IncomingEntry>,
    each: &mut dyn FnMut(u64),
) -> Result<Imported, CliError> {
    let mut total = Imported::default();
    for batch in batches(entries) {
        let count = batch.len() as u64;
        let done = local.run(ImportEntries { source: source.to_owned(), entries: batch }).await?;
        total.written += done.written;
        total.unchanged += done.unchanged;
        each(count);
    }
    Ok(total)
}

/// Entries per transaction: what an interruption can cost.
const BATCH: usize = 500;

/// Entries in batches; the locales of an entry stay together, because some of their fields are shared.
pub fn batches(mut entries: Vec<IncomingEntry>) -> impl Iterator<Item = Vec<IncomingEntry>> {
    let of = |e: &IncomingEntry| (e.key.type_name.clone(), e.key.id.clone());
    entries.sort_by_cached_key(of);
    let mut entries = entries.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut batch: Vec<IncomingEntry> = entries.by_ref().take(BATCH).collect();
        let last = batch.last().map(of)?;
        while let Some(next) = entries.next_if(|e| of(e) == last && batch.len() < 2 * BATCH) {
            batch.push(next);
        }
        Some(batch)
    })
}

/// Sends entries to a server in batches.
pub async fn import_remote(
    remote: &Remote,
    source: &str,
    entries: Vec<IncomingEntry>,
    each: &mut dyn FnMut(u64),
) -> Result<Value, CliError> {
    let (mut written, mut unchanged) = (0, 0);
    for batch in batches(entries) {
        let body = json!({"source": source, "entries": batch});
        let answer = remote.call(rows::IMPORT_DRAFTS.call(), Some(body)).await?;
        written += answer["written"].as_u64().unwrap_or(0);
        unchanged += answer["unchanged"].as_u64().unwrap_or(0);
        each(batch.len() as u64);
    }
    Ok(json!({"written": written, "unchanged": unchanged}))
}
