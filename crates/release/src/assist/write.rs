//! Writing what a model wrote: as a draft, in a changeset of its own.

use std::collections::BTreeSet;

use ashlar_model::{EntryKey, Fields, Right};
use ashlar_store::sql::{ChangesetRow, ChangesetState, Rows};
use async_trait::async_trait;
use serde_json::json;

use super::{
    free::{check_changeset, check_free, check_writable},
    made::{Provenance, SOURCES_MAX},
    marks::MadeNow,
    switch::check_running,
    texts::fingerprints,
};
use crate::{
    Action, DraftView, ReleaseError, Scope,
    drafts::{
        fields::fields_of,
        ground::Ground,
        write::{Author, Write, Written, draft_view, write_entry},
    },
    engine::action::Record,
};

/// Writes fields of a draft that a model made. Nothing that a person has not published yet is overwritten, and the draft ships only with
/// a changeset of tasks.
#[derive(Debug, Clone)]
pub struct WriteAssisted {
    /// What names the entry.
    pub key: EntryKey,
    /// The fields that the task wrote. The others stay.
    pub fields: Fields,
    /// The other fields of an entry that does not exist yet.
    pub seed: Fields,
    /// The version of the draft that was read; 0 when there was none.
    pub expected_version: u64,
    /// The changeset; created when it does not exist.
    pub changeset: String,
    /// Where the text comes from. Who asks and when is filled in.
    pub provenance: Provenance,
}

/// Makes the changeset unless it exists. One that was published takes new drafts. Returns whether it was made.
async fn changeset_for(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    ground: &Ground,
    (name, task): (&str, &str),
) -> Result<bool, ReleaseError> {
    match check_changeset(rows, name).await? {
        Some(row) if row.state == ChangesetState::Published => {
            rows.put_changeset(&ChangesetRow { state: ChangesetState::Open, ..row }).await?;
            Ok(false)
        }
        Some(_) => Ok(false),
        None => {
            let row = ChangesetRow {
                name: name.to_owned(),
                title: format!("Written by the task {task}"),
                state: ChangesetState::Open,
                publish_at: None,
                unpublish_at: None,
                zone: "UTC".to_owned(),
                channel: ground.rules.config.channels.public.clone(),
                created_at: scope.at.clone(),
                created_by: scope.actor().to_owned(),
                message: String::new(),
                forecast: String::new(),
                assisted: true,
            };
            rows.put_changeset(&row).await?;
            Ok(true)
        }
    }
}

/// Digests of the texts of all sources. A source that is missing has none.
async fn quoted(scope: &Scope<'_>, made: &Provenance) -> Result<BTreeSet<String>, ReleaseError> {
    let (objects, sources) = (scope.objects(), made.sources.clone());
    let read = move || {
        let mut out = BTreeSet::new();
        for source in sources {
            let Ok(bytes) = objects.get(&source.digest) else { continue };
            let fields: Fields = serde_json::from_slice(&bytes)
                .map_err(|e| ReleaseError::Corrupt { what: source.key.to_string(), why: e.to_string() })?;
            out.extend(fingerprints(&fields).into_iter().map(|found| found.digest));
        }
        Ok(out)
    };
    scope.blocking(read).await
}

#[async_trait]
impl Action for WriteAssisted {
    type Output = DraftView;
    const NAME: &'static str = "assist.write";

    fn right(&self) -> Right {
        Right::Assist
    }

    async fn act(self, scope: &Scope<'_>) -> Result<DraftView, ReleaseError> {
        let mut made = self.provenance;
        made.sources.truncate(SOURCES_MAX);
        made.requested_by = scope.actor().to_owned();
        made.at.clone_from(&scope.at);
        made.fields = self.fields.keys().cloned().collect();
        let quoted = quoted(scope, &made).await?;
        let made = MadeNow { provenance: made, quoted };
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        check_running(&mut rows).await?;
        let ground = Ground::read(scope.engine, &mut rows).await?;
        let key = ground.spelled(self.key);
        ground.check_key(&key)?;
        let locales = rows.draft_locales(&key).await?;
        let before = locales.iter().find(|draft| draft.key == key);
        let mut fields = match before {
            Some(draft) => {
                check_writable(&mut rows, draft, &self.changeset).await?;
                fields_of(&mut rows, draft).await?
            }
            None => self.seed,
        };
        fields.extend(self.fields);
        let now = &made;
        let made = &made.provenance;
        let created = changeset_for(scope, &mut rows, &ground, (&self.changeset, &made.task)).await?;
        let note = format!("written by the task {} ({})", made.task, made.prompt);
        let by = Author { note: &note, made: Some(now), ..scope.author() };
        let write =
            Write { key: key.clone(), major: None, fields, expected_version: Some(self.expected_version) };
        let Written::Version { version, changed, shared_with, .. } =
            write_entry(&mut rows, &ground, write, &by).await?
        else {
            let message = format!("the task wrote what {key} says already");
            return Err(ReleaseError::refused("nothing-new", message, "there is nothing to do"));
        };
        for sibling in locales.iter().filter(|draft| shared_with.contains(&draft.key)) {
            check_free(sibling, &self.changeset)?;
        }
        for key in shared_with.iter().chain([&key]) {
            rows.set_draft_changeset(key, Some(&self.changeset)).await?;
        }
        let view = draft_view(&mut rows, &key, true).await?;
        let data = json!({
            "version": version, "fields": changed, "changeset": self.changeset, "task": made.task, "prompt": made.prompt,
            "model": made.model, "release": made.release, "shared_with": shared_with.iter().map(|k| &k.locale).collect::<Vec<_>>(),
        });
        let mut record = Record::one("assist.written", key.to_string(), data);
        if created {
            let data = json!({"title": format!("Written by the task {}", made.task)});
            record.events.insert(0, ("changeset.created", self.changeset, data));
        }
        scope.commit(tx, record).await?;
        Ok(view)
    }
}
