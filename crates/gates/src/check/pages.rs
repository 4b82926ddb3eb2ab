//! The pages of a project, rendered from its files as a candidate would render them: its content becomes objects in a temporary
//! directory.

use std::collections::BTreeMap;

use ashlar_delivery::{Caches, ReleaseView, lookup};
use ashlar_model::{EntryRecord, Locale, TenantId, canonical_json};
use ashlar_project::content;
use ashlar_store::{Objects, Tree};
use serde_json::Value;

use super::{entries::contract_of, loaded::Loaded, memory::MemorySite};
use crate::{GateError, candidate::Candidate, findings::Findings, world::EachPage};

/// Pages that one check renders. A candidate renders all.
const PAGES_MAX: usize = 5_000;
/// New objects are written out whenever this many bytes have gathered.
const PACK_BYTES: usize = 64 << 20;

/// Renders the pages of what can be read. What only follows from an entry that is not valid, or from a reference that leads
/// nowhere, is left out: other gates tell it.
pub(super) fn render(
    project: &Loaded<'_>,
    site: &MemorySite<'_>,
    locales: &[Locale],
    judge: &mut EachPage<'_>,
) -> Result<(Findings, usize), GateError> {
    let rows = &site.by_key;
    let (mut findings, mut checked) = (Findings::default(), 0);
    if project.definitions.site.site.is_none() {
        return Ok((findings, checked));
    }
    let failed = |e: std::io::Error| GateError::Temporary(e);
    let dir = tempfile::tempdir().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
    let objects = Objects::open(dir.path(), None)?.tenant(&TenantId::main());
    let mut batch = objects.batch();
    let mut edits: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for file in &project.files {
        // What cannot be read is reported where content is read.
        let Ok(bytes) = content::read(project.dir, &file.path) else { continue };
        let entries: Vec<_> = match content::is_lines(&file.path) {
            true => {
                content::parse_lines(&file.path, &bytes, &project.options).filter_map(Result::ok).collect()
            }
            false => content::parse(&file.path, &bytes, &project.options).unwrap_or_default(),
        };
        for entry in entries {
            let row = rows.get(&entry.key).filter(|row| row.source == entry.source);
            let contract = contract_of(&project.definitions, &entry.key, entry.contract.as_ref());
            let (Some(_), Some(contract)) = (row, contract) else { continue };
            let Ok(bytes) = canonical_json(&Value::Object(entry.fields)) else { continue };
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let record = EntryRecord { digest: batch.put(bytes), major: contract.name.major, len };
            edits.insert(entry.key.to_bytes(), Some(record.to_bytes().to_vec()));
            if batch.bytes() > PACK_BYTES {
                runtime.block_on(objects.commit(std::mem::replace(&mut batch, objects.batch())))?;
            }
        }
    }
    let edits: Vec<_> = edits.into_iter().collect();
    let snapshot = Tree::empty().apply(&edits, &mut batch)?;
    runtime.block_on(objects.commit(std::mem::replace(&mut batch, objects.batch())))?;
    let rules = Candidate::lookup_rules(&project.definitions);
    let lookup = lookup::build(&rules, &objects, &snapshot, &mut batch)?;
    runtime.block_on(objects.commit(batch))?;
    let definitions = &project.definitions;
    let delivered = definitions.delivered(definitions.digest, &project.definition_files)?;
    let label = "check".to_owned();
    let view = ReleaseView::new(objects, label, snapshot, lookup, delivered, Caches::default());
    for at in view.pages().take(PAGES_MAX) {
        let at = at?;
        let row = at.entry.as_ref().and_then(|key| rows.get(key));
        let place = row.map_or_else(|| at.path.clone(), |row| row.source.clone());
        let mut own = Findings::default();
        judge(&view, &at, &place, &mut own);
        checked += 1;
        let reported = || match &at.entry {
            Some(key) => site.reported_elsewhere(key, locales),
            // A list shows any of its entries.
            None => site.is_unsound(),
        };
        if own.total() > 0 && !reported() {
            findings.merge(own);
        }
    }
    Ok((findings, checked))
}
