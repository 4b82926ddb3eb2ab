//! Changing some definition files of what is served, as a release of its own: content and everything else stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{CandidateId, Digest, Files, Right};
use ashlar_store::{Tree, sql::NewCandidate};
use async_trait::async_trait;
use serde_json::json;

use super::files::read_under;
use crate::{
    Action, Promote, Promoted, ReleaseError, Scope,
    candidates::{
        docket::{Docket, Facts, before, head_of, verdict},
        freeze::{Frozen, store},
    },
    drafts::{ground::no_definitions, settle::settle},
    engine::action::Record,
};

/// Earlier releases that are looked at.
const EARLIER_MAX: usize = 100;
/// How often the revision is put on top of what was released in between.
const TRIES_MAX: usize = 5;

/// What a revision may look at: the files whose paths begin with its prefix.
pub struct Revising<'a> {
    /// Those that are served.
    pub served: &'a Files,
    /// Those that were served before, each time they were others, the newest first.
    pub earlier: &'a [Files],
    /// Those that were pushed last.
    pub working: &'a Files,
}

/// The files that a revision writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    /// Files that are served from then on.
    pub served: BTreeMap<String, Vec<u8>>,
    /// Files of the working definitions, so that the next candidate does not undo the revision.
    pub working: BTreeMap<String, Vec<u8>>,
    /// What it does, for the logs.
    pub data: serde_json::Value,
}

/// Decides what a revision writes.
pub type Revise = Arc<dyn Fn(&Revising<'_>) -> Result<Revision, ReleaseError> + Send + Sync>;

/// Writes definition files into what the public channel serves, and releases that through the gates. Content is that of the release
/// before, and pending drafts stay pending.
#[derive(Clone)]
pub struct ReviseDefinitions {
    /// What it is about, such as `prompts/support-answer`.
    pub subject: String,
    /// The beginning of the paths that it may look at and write.
    pub prefix: &'static str,
    /// Decides what is written.
    pub revise: Revise,
    /// Why.
    pub note: String,
}

/// What a revision starts from, and what it comes to.
struct Revised {
    frozen: Frozen,
    /// The working definitions that it was made on.
    working: Digest,
    /// What they become.
    working_next: Digest,
    data: serde_json::Value,
}

#[async_trait]
impl Action for ReviseDefinitions {
    type Output = Promoted;
    const NAME: &'static str = "definitions.revise";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Promoted, ReleaseError> {
        settle(scope.engine, &scope.ctx.tenant).await?;
        let _hold = scope.rely().await?;
        let mut tries = 0;
        loop {
            let revised = self.revised(scope).await?;
            let (working, next) = (revised.working, revised.working_next);
            let candidate = self.create(scope, revised).await?;
            let promote = Promote { candidate, channel: None, note: self.note.clone() };
            tries += 1;
            match promote.promote_with(scope, (working, next)).await {
                // Something was released or pushed meanwhile: the revision is put on top of that.
                Err(ReleaseError::Superseded { .. }) if tries < TRIES_MAX => {}
                done => return done,
            }
        }
    }
}

impl ReviseDefinitions {
    async fn revised(&self, scope: &Scope<'_>) -> Result<Revised, ReleaseError> {
        let (engine, objects) = (scope.engine, scope.objects());
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        let mut rows = conn.rows();
        let working = rows.working_definitions().await?.ok_or_else(no_definitions)?.digest;
        let rules = engine.rules(&scope.ctx.tenant, &working).await?;
        let channel = rules.config.channels.public.clone();
        let head = head_of(&mut rows, &channel).await?.ok_or_else(|| {
            let help = "make a first release: `ashlar candidate create`, then `ashlar release promote`";
            ReleaseError::refused("nothing-released", "nothing is released yet", help)
        })?;
        let earlier = before(&mut rows, head.parent, EARLIER_MAX).await?;
        let (prefix, revise, served) = (self.prefix, self.revise.clone(), head.definitions);
        let of_work = objects.clone();
        let (definitions, working_next, data, batch) = scope
            .heavy(move || {
                let objects = of_work;
                let now = read_under(&objects, &served, prefix)?;
                let pushed = read_under(&objects, &working, prefix)?;
                let mut history: Vec<Files> = Vec::new();
                let mut last = served;
                for release in earlier {
                    if release.definitions == last {
                        continue;
                    }
                    last = release.definitions;
                    let files = read_under(&objects, &release.definitions, prefix)?;
                    if files != *history.last().unwrap_or(&now) {
                        history.push(files);
                    }
                }
                let revising = Revising { served: &now, earlier: &history, working: &pushed };
                let Revision { served: to_serve, working: to_work, data } = revise(&revising)?;
                let mut batch = objects.batch();
                let mut write = |root: &Digest, files: BTreeMap<String, Vec<u8>>| {
                    let edits: Vec<(Vec<u8>, Option<Vec<u8>>)> = files
                        .into_iter()
                        .filter(|(path, _)| path.starts_with(prefix))
                        .map(|(path, bytes)| (path.into_bytes(), Some(batch.put(bytes).as_bytes().to_vec())))
                        .collect();
                    Ok::<Digest, ReleaseError>(Tree::open(&objects, root)?.apply(&edits, &mut batch)?.root())
                };
                let definitions = write(&served, to_serve)?;
                // A project that was not pushed since keeps one set of definitions.
                let next = if working == served { definitions } else { write(&working, to_work)? };
                Ok((definitions, next, data, batch))
            })
            .await?;
        if definitions == head.definitions {
            return Err(ReleaseError::refused(
                "nothing-to-release",
                "nothing would change",
                "there is nothing to do",
            ));
        }
        objects.commit(batch).await?;
        let facts = Facts::read(scope, &mut rows, None, (definitions, None), Some(&head)).await?;
        let snapshot = Tree::open(&objects, &head.snapshot)?;
        let authors: BTreeSet<String> = [scope.actor().to_owned()].into();
        let row = NewCandidate {
            snapshot: head.snapshot,
            definitions,
            changes: Tree::empty().root(),
            derived: BTreeMap::new(),
            base: Some(head.id),
            channel,
            changeset: None,
            frozen_at_sequence: 0,
            definition_authors: authors.clone(),
            entries: snapshot.len(),
            changed: 0,
            note: self.note.chars().take(2000).collect(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
        };
        let docket = Docket::new(facts, snapshot, Tree::empty(), authors).with_runs(scope, &mut rows).await?;
        Ok(Revised { frozen: Frozen { row, head: Some(head), docket }, working, working_next, data })
    }

    /// Judges the revision and stores it as a candidate, so that its gates can be read whatever they say.
    async fn create(&self, scope: &Scope<'_>, revised: Revised) -> Result<CandidateId, ReleaseError> {
        let Frozen { mut row, docket, .. } = revised.frozen;
        let judgement = scope.heavy(move || docket.judge_new(BTreeMap::new())).await?;
        scope.objects().commit(judgement.objects).await?;
        row.derived = judgement.derived;
        let mut tx = scope.begin().await?;
        let stored = store(scope, &mut tx.rows(), row, &judgement.gates).await?;
        let data = json!({
            "revises": self.subject, "data": revised.data, "definitions": stored.frozen.definitions,
            "status": verdict(&judgement.gates).to_string(), "base": stored.frozen.base,
        });
        scope.commit(tx, Record::one("candidate.created", stored.id.to_string(), data)).await?;
        Ok(stored.id)
    }
}
