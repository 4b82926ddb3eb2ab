//! Freezing drafts and definitions into a candidate, judging it, approving and waiving.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{
    CandidateId, Digest, EntryRecord, Files, GateReport, ReleaseId, Right, Waiver, canonical_json,
};
use ashlar_store::{
    Tree,
    sql::{CandidateRow, CandidateStatus, DraftState, NewCandidate, ReleaseRow, Rows},
};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Action, Approval, Base, CandidateView, ChangeRecord, Engine, Judge, JudgeInput, Judgement, ReleaseError,
    RequiredApproval, Scope,
    artifacts::{
        derived::{self, DeriveInput, Earlier},
        late,
    },
    candidates::evidence::Reports,
    changesets::forecast::declared_end,
    drafts::write::no_definitions,
    engine::installation::Record,
    engine::judge::DeclaredEnd,
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

/// Gives a candidate up.
#[derive(Debug, Clone)]
pub struct DiscardCandidate {
    /// The candidate.
    pub candidate: CandidateId,
}

/// Runs the gates of a candidate again, against what the public channel serves now.
#[derive(Debug, Clone)]
pub struct Rejudge {
    /// The candidate.
    pub candidate: CandidateId,
}

/// Approves the changes of a candidate that need a right. The approval is tied to the digest of exactly these changes:
/// it is valid for every candidate that contains the same, and for none that contains others.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The candidate.
    pub candidate: CandidateId,
    /// The right: `pricing`, `legal`, `claim`, `owner:NAME`.
    pub right: String,
}

/// The outcome of an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalGiven {
    /// The right it was given under.
    pub right: String,
    /// Who gave it.
    pub by: String,
    /// The digest of what was approved.
    pub change: Digest,
    /// What was approved, for people.
    pub subjects: Vec<String>,
    /// The candidate in its current state.
    #[serde(flatten)]
    pub candidate: CandidateView,
}

/// Lets a failed gate of a candidate through, with a reason.
#[derive(Debug, Clone)]
pub struct Waive {
    /// The candidate.
    pub candidate: CandidateId,
    /// The gate.
    pub gate: String,
    /// Why.
    pub reason: String,
}

/// Everything a judgement is made from, owned, so that it can move to a thread that may block.
pub(crate) struct Docket {
    pub judge: Arc<dyn Judge>,
    pub objects: ashlar_store::TenantObjects,
    pub definitions: Arc<Files>,
    pub definitions_digest: Digest,
    pub snapshot: Tree,
    pub base: Option<Base>,
    /// When the base was released.
    pub released_at: jiff::Timestamp,
    pub history: Vec<Arc<Files>>,
    pub changes: Tree,
    pub definition_authors: BTreeSet<String>,
    pub approvals: Vec<Approval>,
    pub end: Option<DeclaredEnd>,
    pub waivers: Vec<(String, Waiver)>,
    /// How the candidate was judged before.
    pub judged: Vec<GateReport>,
    /// What may answer a gate; reports of the candidate itself come first.
    pub evidence: Reports,
    pub now: jiff::Timestamp,
}

impl Docket {
    fn with<T>(
        &self,
        work: impl FnOnce(&dyn Judge, &JudgeInput<'_>) -> Result<T, ReleaseError>,
    ) -> Result<T, ReleaseError> {
        let evidence = |gate: &str, inputs: &Digest| {
            let known = self.evidence.iter().find(|r| r.gate == gate && r.inputs == *inputs);
            known.map(|r| r.as_ref().clone())
        };
        let input = JudgeInput {
            objects: &self.objects,
            definitions: &self.definitions,
            definitions_digest: self.definitions_digest,
            snapshot: &self.snapshot,
            base: self.base.clone(),
            history: self.history.clone(),
            changes: &self.changes,
            definition_authors: &self.definition_authors,
            approvals: &self.approvals,
            end: self.end.as_ref(),
            waivers: &self.waivers,
            evidence: &evidence,
            now: self.now,
        };
        work(self.judge.as_ref(), &input)
    }

    pub(crate) fn judge(&self) -> Result<Judgement, ReleaseError> {
        let mut judgement = self.with(|judge, input| judge.judge(input))?;
        if let Some(why) = self.damaged()?
            && let Some(report) = judgement.gates.first_mut()
        {
            *report = GateReport::could_not_run(&report.gate, report.inputs, why);
        }
        Ok(judgement)
    }

    /// Judges a candidate that is new, and builds what is derived from it. `imported`: what a bundle brought.
    pub(crate) fn judge_new(&self, imported: BTreeMap<String, Digest>) -> Result<Judgement, ReleaseError> {
        let mut judgement = self.judge()?;
        let earlier = self.base.as_ref().map(|base| Earlier {
            definitions: &base.definitions,
            snapshot: &base.snapshot,
            released_at: self.released_at,
            derived: &base.derived,
        });
        let (objects, at) = (&self.objects, self.now);
        let input =
            DeriveInput { objects, definitions: &self.definitions, snapshot: &self.snapshot, earlier, at };
        for kind in late::kinds(self.judge.as_ref()).map(|kind| kind.about()).filter(|kind| kind.imported) {
            if derived::open(objects, &imported, &kind)?.is_some() {
                judgement.derived.insert(kind.name.to_owned(), imported[kind.name]);
            }
        }
        let kinds = late::kinds(self.judge.as_ref());
        derived::build_missing(kinds, &input, &mut judgement.derived, &mut judgement.objects)?;
        Ok(judgement)
    }

    /// What is wrong when an entry is known to be damaged that was not changed: no gate reads it again. Looks at all entries
    /// only when there is damage.
    fn damaged(&self) -> Result<Option<String>, ReleaseError> {
        let damaged = self.objects.damaged();
        if damaged.is_empty() {
            return Ok(None);
        }
        for item in self.snapshot.prefix(b"") {
            let (key, value) = item?;
            let digest = EntryRecord::from_bytes(&value)?.digest;
            if damaged.contains(&digest) {
                let key = ashlar_model::EntryKey::from_bytes(&key)?;
                return Ok(Some(format!(
                    "The gate could not run: object {} of the entry {key} is damaged. \
                     Import a release that contains it, or restore its pack from a backup.",
                    digest.short()
                )));
            }
        }
        Ok(None)
    }

    fn required(&self) -> Result<Vec<RequiredApproval>, ReleaseError> {
        self.with(|judge, input| judge.required_approvals(input))
    }
}

/// What the public channel serves, as a judge needs it.
pub(crate) async fn base_of(
    engine: &Engine,
    rows: &mut Rows<'_>,
    head: Option<&ReleaseRow>,
) -> Result<Option<Base>, ReleaseError> {
    let Some(head) = head else { return Ok(None) };
    let tenant = rows.tenant().clone();
    let gates = engine.verdicts(rows, head).await?;
    Ok(Some(Base {
        release: head.id,
        definitions: engine.files(&tenant, &head.definitions)?,
        definitions_digest: head.definitions,
        snapshot: Tree::open(&engine.tenant_objects(&tenant), &head.snapshot)?,
        derived: head.derived.clone(),
        gates,
    }))
}

/// The release that a channel serves.
pub(crate) async fn head_of(
    rows: &mut Rows<'_>,
    channel: &ashlar_model::ChannelName,
) -> Result<Option<ReleaseRow>, ReleaseError> {
    match rows.head(channel).await? {
        Some((at, release)) => release.map(Some).ok_or_else(|| ReleaseError::Corrupt {
            what: format!("the channel {channel}"),
            why: format!("it points at {}, which does not exist", at.release),
        }),
        None => Ok(None),
    }
}

/// Gathers what a judgement of a frozen candidate is made from, in the present transaction.
pub(crate) async fn docket(
    engine: &Engine,
    rows: &mut Rows<'_>,
    id: Option<CandidateId>,
    frozen: &NewCandidate,
    head: Option<&ReleaseRow>,
    now: jiff::Timestamp,
) -> Result<Docket, ReleaseError> {
    let tenant = rows.tenant().clone();
    let objects = engine.tenant_objects(&tenant);
    let definitions = engine.files(&tenant, &frozen.definitions)?;
    let rules = engine.rules(&tenant, &frozen.definitions).await?;
    let mut history = Vec::new();
    if rules.config.gates.transitive {
        let mut seen: BTreeSet<Digest> = head.map(|h| h.definitions).into_iter().collect();
        for release in rows.releases(u32::MAX, 100).await? {
            if seen.insert(release.definitions) {
                history.push(engine.files(&tenant, &release.definitions)?);
            }
        }
    }
    let end = match &frozen.changeset {
        Some(name) => declared_end(rows, name).await?,
        None => None,
    };
    let judged = match id {
        Some(id) => rows.reports(id).await?,
        None => Vec::new(),
    };
    let own = judged.iter().filter(|r| r.waiver.is_none()).cloned().map(Arc::new);
    let evidence = own.chain(engine.recent_evidence(rows).await?).collect();
    Ok(Docket {
        judge: engine.judge().clone(),
        definitions,
        definitions_digest: frozen.definitions,
        snapshot: Tree::open(&objects, &frozen.snapshot)?,
        base: base_of(engine, rows, head).await?,
        released_at: head.and_then(|h| h.created_at.parse().ok()).unwrap_or(now),
        history,
        changes: Tree::open(&objects, &frozen.changes)?,
        definition_authors: frozen.definition_authors.clone(),
        approvals: rows
            .approvals()
            .await?
            .into_iter()
            .map(|(right, change, by, at)| Approval { right, change, by, at })
            .collect(),
        end,
        waivers: match id {
            Some(id) => rows.waivers(id).await?,
            None => Vec::new(),
        },
        judged,
        evidence,
        objects,
        now,
    })
}

pub(crate) fn verdict(gates: &[GateReport]) -> CandidateStatus {
    match gates.iter().all(|g| g.status.lets_through()) {
        true => CandidateStatus::Passed,
        false => CandidateStatus::Failed,
    }
}

/// Which definitions a candidate is frozen with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// Those that were pushed last.
    Working,
    /// Those that are served: what is taken down needs nothing new, and must not wait for a push to pass.
    Served,
}

impl CreateCandidate {
    /// Freezes in a read phase: objects are written, nothing in SQL changes.
    pub(crate) async fn freeze(
        &self,
        scope: &Scope<'_>,
        with: With,
    ) -> Result<(NewCandidate, Option<ReleaseRow>), ReleaseError> {
        let (engine, objects) = (scope.engine, scope.objects());
        let mut conn = engine.db().read(&scope.ctx.tenant).await?;
        let mut rows = conn.rows();
        if let Some(name) = &self.changeset {
            crate::changesets::edit::changeset(&mut rows, name).await?;
        }
        let working = rows.definitions().await?.ok_or_else(no_definitions)?;
        let rules = engine.rules(&scope.ctx.tenant, &working.digest).await?;
        let channel = rules.config.channels.public.clone();
        let head = head_of(&mut rows, &channel).await?;
        let base = match &head {
            Some(head) => Tree::open(&objects, &head.snapshot)?,
            None => Tree::empty(),
        };
        let (definitions, pushes) = match (with, &head) {
            (With::Served, Some(head)) => (head.definitions, Vec::new()),
            _ => {
                let base = head.as_ref().map(|h| &h.definitions);
                let pushes = match base == Some(&working.digest) {
                    // What was pushed last is what is served.
                    true => Vec::new(),
                    false => rows.pushes_since(base).await?,
                };
                (working.digest, pushes)
            }
        };
        let mut batch = objects.batch();
        let (mut edits, mut changes) = (BTreeMap::new(), BTreeMap::new());
        let mut last = 0;
        loop {
            let page = rows.pending(self.changeset.as_deref(), last, PAGE).await?;
            let Some((newest, _)) = page.last() else { break };
            last = newest.sequence;
            let is_last = page.len() < PAGE as usize;
            for (draft, fields) in page {
                let key = draft.key.to_bytes();
                let record = match draft.state {
                    DraftState::Live => {
                        let len = u32::try_from(fields.len()).unwrap_or(u32::MAX);
                        let digest = batch.put(fields.into_bytes());
                        Some(EntryRecord { digest, major: draft.major, len }.to_bytes().to_vec())
                    }
                    DraftState::Unpublished | DraftState::Deleted => None,
                };
                if base.get(&key)?.as_deref() == record.as_deref() {
                    edits.remove(&key);
                    changes.remove(&key);
                    continue;
                }
                let authors = match draft.version == draft.clean_version + 1 {
                    true => [draft.updated_by.clone()].into(),
                    false => rows.draft_authors(&draft.key, draft.clean_version).await?,
                };
                let change = canonical_json(&ChangeRecord { authors })
                    .map_err(|e| ReleaseError::Corrupt { what: draft.key.to_string(), why: e.to_string() })?;
                changes.insert(key.clone(), Some(change));
                edits.insert(key, record);
                if batch.bytes() > PACK_BYTES {
                    objects.commit(std::mem::replace(&mut batch, objects.batch())).await?;
                }
            }
            if is_last {
                break;
            }
        }
        drop(conn);
        let changed = edits.len() as u64;
        let (edits, changes): (Vec<_>, Vec<_>) = (edits.into_iter().collect(), changes.into_iter().collect());
        let apply = move || {
            let snapshot = base.apply(&edits, &mut batch)?;
            let changes = Tree::empty().apply(&changes, &mut batch)?;
            Ok::<_, ReleaseError>((snapshot, changes, batch))
        };
        // A few entries are not worth a turn.
        let (snapshot, changes, batch) = match changed <= EDITS_FEW {
            true => apply()?,
            false => scope.heavy(apply).await?,
        };
        objects.commit(batch).await?;
        let frozen = NewCandidate {
            snapshot: snapshot.root(),
            definitions,
            changes: changes.root(),
            derived: BTreeMap::new(),
            base: head.as_ref().map(|h| h.id),
            channel,
            changeset: self.changeset.clone(),
            frozen_at_sequence: last,
            definition_authors: pushes.into_iter().map(|p| p.author).collect(),
            entries: snapshot.len(),
            changed,
            note: self.note.chars().take(2000).collect(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
        };
        Ok((frozen, head))
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
        crate::drafts::settle::settle(scope.engine, &scope.ctx.tenant).await?;
        // Until the candidate's row names its objects, nothing else does.
        let _hold = scope.rely().await?;
        let (mut frozen, head) = self.freeze(scope, with).await?;
        let docket = {
            let mut conn = scope.engine.db().read(&scope.ctx.tenant).await?;
            docket(scope.engine, &mut conn.rows(), None, &frozen, head.as_ref(), scope.now).await?
        };
        let nothing_to_release =
            head.as_ref().is_some_and(|h| h.definitions == frozen.definitions && frozen.changed == 0);
        let judgement = scope.heavy(move || docket.judge_new(BTreeMap::new())).await?;
        scope.objects().commit(judgement.objects).await?;
        frozen.derived = judgement.derived;
        let status = verdict(&judgement.gates);

        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let number = rows.next("candidates").await?;
        let id = CandidateId(
            u32::try_from(number).map_err(|_| ReleaseError::Task("too many candidates".to_owned()))?,
        );
        rows.insert_candidate(id, status, &frozen).await?;
        rows.put_reports(id, &judgement.gates, &scope.at).await?;
        scope.engine.evidence().learn(&scope.ctx.tenant, &judgement.gates);
        let data = json!({
            "snapshot": frozen.snapshot, "definitions": frozen.definitions, "status": status.to_string(),
            "changed": frozen.changed, "base": frozen.base,
            "gates": judgement.gates.iter().map(|g| json!({"gate": g.gate, "status": g.status})).collect::<Vec<_>>(),
        });
        scope.commit(tx, Record::one("candidate.created", id.to_string(), data)).await?;
        let row = CandidateRow { id, status, frozen, release: None };
        Ok(CandidateView { nothing_to_release, ..CandidateView::of(row, judgement.gates) })
    }
}

pub(crate) async fn candidate(rows: &mut Rows<'_>, id: CandidateId) -> Result<CandidateRow, ReleaseError> {
    rows.candidate(id).await?.ok_or_else(|| {
        ReleaseError::not_found("candidate", id, "`ashlar candidate list` shows all candidates")
    })
}

fn check_open(row: &CandidateRow) -> Result<(), ReleaseError> {
    match row.status {
        CandidateStatus::Passed | CandidateStatus::Failed => Ok(()),
        CandidateStatus::Promoted => Err(ReleaseError::refused(
            "candidate-closed",
            format!(
                "{} was promoted already{}",
                row.id,
                row.release.map_or(String::new(), |r: ReleaseId| format!(" as {r}"))
            ),
            "create a new candidate for new changes",
        )),
        CandidateStatus::Superseded | CandidateStatus::Discarded => Err(ReleaseError::refused(
            "candidate-closed",
            format!("{} is {}", row.id, row.status),
            "create a new candidate: `ashlar candidate create`",
        )),
    }
}

/// Judges a stored candidate again inside the transaction and stores the outcome. Evidence keeps this cheap when nothing
/// the verdict depends on has changed.
pub(crate) async fn judge_again(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let gates = judge_stored(scope, rows, row, head).await?;
    rows.update_candidate(row.id, row.status, &row.frozen.derived, row.release).await?;
    Ok(gates)
}

/// As [`judge_again`], without the row of the candidate: the caller stores it.
pub(crate) async fn judge_stored(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let docket = docket(scope.engine, rows, Some(row.id), &row.frozen, head, scope.now).await?;
    let (judgement, judged) = scope.blocking(move || Ok((docket.judge()?, docket.judged))).await?;
    scope.objects().commit(judgement.objects).await?;
    // What is derived by judging is made anew; when entries were changed stays as it was frozen.
    row.frozen.derived.extend(judgement.derived);
    row.status = verdict(&judgement.gates);
    if !say_the_same(&judged, &judgement.gates) {
        rows.put_reports(row.id, &judgement.gates, &scope.at).await?;
        scope.engine.evidence().learn(&scope.ctx.tenant, &judgement.gates);
    }
    Ok(judgement.gates)
}

/// Whether gates say what is stored already, apart from how they came to it.
fn say_the_same(stored: &[GateReport], gates: &[GateReport]) -> bool {
    let same = |(stored, gate): (&GateReport, &GateReport)| {
        let (from_evidence, duration_ms) = (stored.from_evidence, stored.duration_ms);
        *stored == GateReport { from_evidence, duration_ms, ..gate.clone() }
    };
    stored.len() == gates.len() && stored.iter().zip(gates).all(same)
}

/// Judges a candidate that is a release already. Its verdicts stay those it became a release with.
pub(crate) async fn judge_staged(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    let docket = docket(scope.engine, rows, Some(row.id), &row.frozen, head, scope.now).await?;
    Ok(scope.blocking(move || docket.judge()).await?.gates)
}

/// As [`judge_again`], also for a candidate that is a release already: an approval or waiver may be what keeps it from the
/// public channel.
async fn judge_with(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    match row.status {
        CandidateStatus::Promoted => judge_staged(scope, rows, row, head).await,
        _ => judge_again(scope, rows, row, head).await,
    }
}

/// A candidate that can be approved or waived: it is open, or staged.
fn check_judged(row: &CandidateRow, head: Option<&ReleaseRow>) -> Result<(), ReleaseError> {
    match row.status {
        CandidateStatus::Promoted if row.release != head.map(|h| h.id) => Ok(()),
        _ => check_open(row),
    }
}

#[async_trait]
impl Action for Rejudge {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.gates";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        check_open(&row)?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        let before = row.status;
        let gates = judge_again(scope, &mut rows, &mut row, head.as_ref()).await?;
        let data = json!({"status": row.status.to_string(), "before": before.to_string()});
        scope.commit(tx, Record::one("candidate.judged", row.id.to_string(), data)).await?;
        Ok(CandidateView::of(row, gates))
    }
}

#[async_trait]
impl Action for DiscardCandidate {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.discard";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        check_open(&row)?;
        row.status = CandidateStatus::Discarded;
        rows.update_candidate(row.id, row.status, &row.frozen.derived, None).await?;
        let gates = rows.reports(row.id).await?;
        scope.commit(tx, Record::one("candidate.discarded", row.id.to_string(), json!({}))).await?;
        Ok(CandidateView::of(row, gates))
    }
}

#[async_trait]
impl Action for Approve {
    type Output = ApprovalGiven;
    const NAME: &'static str = "candidate.approve";

    fn right(&self) -> Right {
        Right::Approve(self.right.clone())
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ApprovalGiven, ReleaseError> {
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        check_judged(&row, head.as_ref())?;
        let docket =
            docket(scope.engine, &mut rows, Some(row.id), &row.frozen, head.as_ref(), scope.now).await?;
        let required = scope.blocking(move || docket.required()).await?;
        let by = scope.actor();
        // One for what changes now, and one for what the changeset declares to end.
        let needed: Vec<_> = required.iter().filter(|r| r.right == self.right).collect();
        let Some(first) = needed.first() else {
            let rights: Vec<_> = required.iter().map(|r| r.right.as_str()).collect();
            let help = match rights.is_empty() {
                true => "it needs no approval at all".to_owned(),
                false => format!("it needs: {}", rights.join(", ")),
            };
            let message = format!("{} needs no approval under `{}`", row.id, self.right);
            return Err(ReleaseError::refused("approval-not-needed", message, help));
        };
        if needed.iter().any(|n| n.authors.contains(by)) {
            let message = format!("{by} is an author of these changes, and nobody approves their own change");
            let help = "ask somebody else who has the right";
            return Err(ReleaseError::refused("own-change", message, help));
        }
        let rules = scope.engine.rules(&scope.ctx.tenant, &row.frozen.definitions).await?;
        if let Some(holders) = rules.approvers.get(&self.right)
            && !holders.contains(by)
        {
            let names: Vec<_> = holders.iter().map(String::as_str).collect();
            let message = format!("{by} does not have the approval right `{}`", self.right);
            let help = format!("governance.toml names: {}", names.join(", "));
            return Err(ReleaseError::refused("not-an-approver", message, help));
        }
        let change = first.change;
        let subjects: Vec<String> = needed.iter().flat_map(|n| n.subjects.clone()).collect();
        for needed in &needed {
            rows.insert_approval(&self.right, &needed.change, by, &scope.at).await?;
        }
        let gates = judge_with(scope, &mut rows, &mut row, head.as_ref()).await?;
        let data = json!({"right": self.right, "change": change, "subjects": subjects, "status": row.status.to_string()});
        let by = by.to_owned();
        scope.commit(tx, Record::one("candidate.approved", row.id.to_string(), data)).await?;
        Ok(ApprovalGiven {
            right: self.right,
            by,
            change,
            subjects,
            candidate: CandidateView::of(row, gates),
        })
    }
}

#[async_trait]
impl Action for Waive {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.waive";

    fn right(&self) -> Right {
        Right::Waive
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > 2000 {
            return Err(ReleaseError::invalid(
                "a waiver needs a reason of 1 to 2000 characters",
                "give a reason",
            ));
        }
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        check_judged(&row, head.as_ref())?;
        let reports = rows.reports(row.id).await?;
        if !reports.iter().any(|r| r.gate == self.gate) {
            let names: Vec<_> = reports.iter().map(|r| r.gate.as_str()).collect();
            let all = format!("gates are: {}", names.join(", "));
            let help = ashlar_model::nearest_of(&self.gate, names.iter().copied(), &all);
            return Err(ReleaseError::not_found("gate", &self.gate, help));
        }
        let waiver = Waiver { by: scope.actor().to_owned(), reason: reason.to_owned(), at: scope.at.clone() };
        rows.put_waiver(row.id, &self.gate, &waiver).await?;
        let gates = judge_with(scope, &mut rows, &mut row, head.as_ref()).await?;
        let data = json!({"gate": self.gate, "reason": reason, "status": row.status.to_string()});
        scope.commit(tx, Record::one("candidate.waived", row.id.to_string(), data)).await?;
        Ok(CandidateView::of(row, gates))
    }
}
