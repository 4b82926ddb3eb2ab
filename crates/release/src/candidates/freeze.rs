//! Freezing drafts and definitions into a candidate.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{CandidateId, ChannelName, Digest, EntryRecord, GateReport, Right, canonical_json};
use ashlar_store::{
    Batch, TenantObjects, Tree,
    sql::{CandidateRow, DraftState, NewCandidate, ReleaseRow, Rows},
};
use async_trait::async_trait;
use serde_json::json;

use super::docket::{Docket, Facts, head_of, verdict};
use crate::{
    Action, CandidateView, ChangeRecord, ReleaseError, Scope,
    assist::marks::made_of_all,
    changesets::find::find,
    drafts::{ground::no_definitions, settle::settle},
    engine::action::Record,
};

/// New objects are written out whenever this many bytes have gathered.
const PACK_BYTES: usize = 64 << 20;
/// So many edits of a tree are made where they are asked for.
const EDITS_FEW: u64 = 16;
/// Drafts that are read at a time.
const PAGE: u32 = 2_000;

/// Freezes pending drafts and the working definitions on top of what the public channel serves, and judges the result.
#[derive(Debug, Clone, Default)]
pub struct CreateCandidate {
    /// Only the drafts of this changeset; otherwise all that belong to none.
    pub changeset: Option<String>,
    /// Why it is made.
    pub note: String,
}

/// Which definitions a candidate is frozen with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// Those that were pushed last.
    Working,
    /// Those that are served: what is taken down needs nothing new, and must not wait for a push to pass.
    Served,
}

/// A frozen candidate, and what it is judged by.
pub(crate) struct Frozen {
    pub row: NewCandidate,
    /// What its channel serves.
    pub head: Option<ReleaseRow>,
    pub docket: Docket,
}

/// What a candidate is frozen from, read once.
struct Sources {
    definitions: Digest,
    definition_authors: BTreeSet<String>,
    channel: ChannelName,
    head: Option<ReleaseRow>,
    base: Tree,
    pending: Pending,
    facts: Facts,
}

/// What pending drafts change: edits of the snapshot and of the tree of changes, with objects that are new.
struct Pending {
    /// The newest draft among them.
    sequence: u64,
    edits: Edits,
    changes: Edits,
    batch: Batch,
}

type Edits = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Pending {
    /// Reads pending drafts, a page at a time. Objects are written out when many have gathered.
    async fn read(
        rows: &mut Rows<'_>,
        changeset: Option<&str>,
        base: &Tree,
        objects: &TenantObjects,
    ) -> Result<Self, ReleaseError> {
        let mut pending =
            Self { sequence: 0, edits: Edits::new(), changes: Edits::new(), batch: objects.batch() };
        let assisted = rows.has_assisted().await?;
        loop {
            let page = rows.pending(changeset, pending.sequence, PAGE).await?;
            let Some((newest, _)) = page.last() else { break };
            pending.sequence = newest.sequence;
            let is_last = page.len() < PAGE as usize;
            let mut made = match assisted {
                true => {
                    made_of_all(rows, page.iter().map(|(draft, _)| draft), |draft| draft.clean_version)
                        .await?
                }
                false => BTreeMap::new(),
            };
            for (draft, fields) in page {
                let key = draft.key.to_bytes();
                let record = match draft.state {
                    DraftState::Live => {
                        let len = u32::try_from(fields.len()).unwrap_or(u32::MAX);
                        let digest = pending.batch.put(fields.into_bytes());
                        Some(EntryRecord { digest, major: draft.major, len }.to_bytes().to_vec())
                    }
                    DraftState::Unpublished | DraftState::Deleted => None,
                };
                if base.get(&key)?.as_deref() == record.as_deref() {
                    pending.edits.remove(&key);
                    pending.changes.remove(&key);
                    continue;
                }
                let authors = match draft.version == draft.clean_version + 1 {
                    true => [draft.updated_by.clone()].into(),
                    false => rows.draft_authors(&draft.key, draft.clean_version).await?,
                };
                let made = made.remove(&draft.key);
                let change = canonical_json(&ChangeRecord { authors, made })
                    .map_err(|e| ReleaseError::Corrupt { what: draft.key.to_string(), why: e.to_string() })?;
                pending.changes.insert(key.clone(), Some(change));
                pending.edits.insert(key, record);
                if pending.batch.bytes() > PACK_BYTES {
                    objects.commit(std::mem::replace(&mut pending.batch, objects.batch())).await?;
                }
            }
            if is_last {
                break;
            }
        }
        Ok(pending)
    }

    /// The snapshot on top of `base`, and the tree of changes.
    fn apply(mut self, base: &Tree) -> Result<(Tree, Tree, Batch), ReleaseError> {
        let list = |edits: Edits| edits.into_iter().collect::<Vec<_>>();
        let snapshot = base.apply(&list(self.edits), &mut self.batch)?;
        let changes = Tree::empty().apply(&list(self.changes), &mut self.batch)?;
        Ok((snapshot, changes, self.batch))
    }
}

impl CreateCandidate {
    async fn sources(&self, scope: &Scope<'_>, with: With) -> Result<Sources, ReleaseError> {
        let (engine, objects) = (scope.engine, scope.objects());
        let changeset = self.changeset.as_deref();
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        let mut rows = conn.rows();
        if let Some(name) = changeset {
            find(&mut rows, name).await?;
        }
        let working = rows.working_definitions().await?.ok_or_else(no_definitions)?.digest;
        let rules = engine.rules(&scope.ctx.tenant, &working).await?;
        let channel = rules.config.channels.public.clone();
        let head = head_of(&mut rows, &channel).await?;
        let served = head.as_ref().map(|h| h.definitions);
        let (definitions, pushes) = match (with, served) {
            (With::Served, Some(served)) => (served, Vec::new()),
            // What was pushed last is what is served.
            _ if served == Some(working) => (working, Vec::new()),
            _ => (working, rows.pushes_since(served.as_ref()).await?),
        };
        let base = match &head {
            Some(head) => Tree::open(&objects, &head.snapshot)?,
            None => Tree::empty(),
        };
        Ok(Sources {
            definitions,
            definition_authors: pushes.into_iter().map(|p| p.author).collect(),
            channel,
            pending: Pending::read(&mut rows, changeset, &base, &objects).await?,
            facts: Facts::read(scope, &mut rows, None, (definitions, changeset), head.as_ref()).await?,
            base,
            head,
        })
    }

    /// Freezes: objects are written, nothing in SQL changes.
    pub(crate) async fn freeze(&self, scope: &Scope<'_>, with: With) -> Result<Frozen, ReleaseError> {
        let Sources { definitions, definition_authors, channel, head, base, pending, facts } =
            self.sources(scope, with).await?;
        let (frozen_at_sequence, changed) = (pending.sequence, pending.edits.len() as u64);
        let apply = move || pending.apply(&base);
        // A few entries are not worth a turn.
        let (snapshot, changes, batch) = match changed <= EDITS_FEW {
            true => apply()?,
            false => scope.heavy(apply).await?,
        };
        scope.objects().commit(batch).await?;
        let row = NewCandidate {
            snapshot: snapshot.root(),
            definitions,
            changes: changes.root(),
            derived: BTreeMap::new(),
            base: head.as_ref().map(|h| h.id),
            channel,
            changeset: self.changeset.clone(),
            frozen_at_sequence,
            definition_authors: definition_authors.clone(),
            entries: snapshot.len(),
            changed,
            note: self.note.chars().take(2000).collect(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
        };
        let docket = Docket::new(facts, snapshot, changes, definition_authors);
        let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
        let docket = docket.with_runs(scope, &mut conn.rows()).await?;
        Ok(Frozen { row, head, docket })
    }
}

#[async_trait]
impl Action for CreateCandidate {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.create";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        self.create(scope, With::Working).await
    }
}

impl CreateCandidate {
    /// Freezes, judges and stores.
    pub(crate) async fn create(&self, scope: &Scope<'_>, with: With) -> Result<CandidateView, ReleaseError> {
        settle(scope.engine, &scope.ctx.tenant).await?;
        // Until the candidate's row names its objects, nothing else does.
        let _hold = scope.rely().await?;
        let Frozen { row: mut frozen, head, docket } = self.freeze(scope, with).await?;
        let nothing_to_release =
            head.as_ref().is_some_and(|h| h.definitions == frozen.definitions && frozen.changed == 0);
        let judgement = scope.heavy(move || docket.judge_new(BTreeMap::new())).await?;
        scope.objects().commit(judgement.objects).await?;
        frozen.derived = judgement.derived;

        let mut tx = scope.begin().await?;
        let row = store(scope, &mut tx.rows(), frozen, &judgement.gates).await?;
        let frozen = &row.frozen;
        let data = json!({
            "snapshot": frozen.snapshot, "definitions": frozen.definitions, "status": row.status.to_string(),
            "changed": frozen.changed, "base": frozen.base,
            "gates": judgement.gates.iter().map(|g| json!({"gate": g.gate, "status": g.status})).collect::<Vec<_>>(),
        });
        scope.commit(tx, Record::one("candidate.created", row.id.to_string(), data)).await?;
        Ok(CandidateView { nothing_to_release, ..CandidateView::of(row, judgement.gates) })
    }
}

/// Stores a candidate that was judged.
pub(crate) async fn store(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    frozen: NewCandidate,
    gates: &[GateReport],
) -> Result<CandidateRow, ReleaseError> {
    let number = rows.next("candidates").await?;
    let number = u32::try_from(number).map_err(|_| ReleaseError::Task("too many candidates".to_owned()))?;
    let row = CandidateRow { id: CandidateId(number), status: verdict(gates), frozen, release: None };
    rows.insert_candidate(row.id, row.status, &row.frozen).await?;
    rows.put_reports(row.id, gates, &scope.at).await?;
    scope.engine.evidence().learn(&scope.ctx.tenant, gates);
    Ok(row)
}
