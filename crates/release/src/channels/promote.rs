//! Making a release of a candidate, and pointing a channel at it.

use ashlar_model::{CandidateId, ChannelName, Digest, GateReport, GateStatus, ReleaseId, Right};
use ashlar_store::{
    TenantObjects, Tree,
    sql::{CandidateRow, CandidateStatus, ChangesetState, DefinitionsRow, ReleaseRow, Rows, WriteTx},
};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::moves::{move_to, public_channel, publish_pointer, settle_now, unsettle};
use crate::{
    Action, ReleaseError, Scope,
    artifacts::manifest,
    candidates::{
        docket::{candidate, head_of, judge_staged, judge_stored},
        view::name_candidate,
    },
    changesets::step::Step,
    definitions::adopt::adopt,
    drafts::settle::settle_in,
    engine::action::Record,
};

/// Makes a release of a candidate, when it is not one yet, and points a channel at it. The exact frozen snapshot is
/// judged again inside the promoting transaction; a candidate that is a release already, such as a staged one, is judged
/// again when it goes to the public channel.
#[derive(Debug, Clone)]
pub struct Promote {
    /// The candidate.
    pub candidate: CandidateId,
    /// The channel; the public one when absent.
    pub channel: Option<ChannelName>,
    /// Why.
    pub note: String,
}

/// The outcome of a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promoted {
    /// The release.
    pub release: ReleaseId,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The channel that serves it now.
    pub channel: ChannelName,
    /// What the channel served before.
    pub from: Option<ReleaseId>,
    /// The candidate it was.
    pub candidate: CandidateId,
    /// Whether the release is new. A candidate that is a release already keeps its number on every channel.
    #[serde(skip)]
    pub created: bool,
}

#[async_trait]
impl Action for Promote {
    type Output = Promoted;
    const NAME: &'static str = "release.promote";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Promoted, ReleaseError> {
        self.promote(scope, None, None).await
    }
}

/// Promotes as a step of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct PromoteStep {
    pub promote: Promote,
    pub step: Step,
}

#[async_trait]
impl Action for PromoteStep {
    type Output = Promoted;
    const NAME: &'static str = "release.promote";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Promoted, ReleaseError> {
        self.promote.promote(scope, Some(self.step), None).await
    }
}

/// How many changes that reached the channel after the candidate's base would be undone by it.
fn undone(
    objects: &TenantObjects,
    base: Option<&ReleaseRow>,
    head: &ReleaseRow,
    row: &CandidateRow,
) -> Result<usize, ReleaseError> {
    let old = match base {
        Some(base) => Tree::open(objects, &base.snapshot)?,
        None => Tree::empty(),
    };
    let now = Tree::open(objects, &head.snapshot)?;
    let new = Tree::open(objects, &row.frozen.snapshot)?;
    let mut count = 0;
    for change in old.diff(&now) {
        let change = change?;
        if new.get(&change.key)?.as_deref() != change.new.as_deref() {
            count += 1;
        }
    }
    let definitions_moved = base.is_none_or(|b| b.definitions != head.definitions);
    if definitions_moved && row.frozen.definitions != head.definitions && row.id < head.candidate {
        count += 1;
    }
    Ok(count)
}

/// What a promotion is decided on, read once.
struct Going {
    candidate: CandidateRow,
    /// The release it is already, such as a staged one.
    release: Option<ReleaseRow>,
    channel: ChannelName,
    /// Whether the channel is the public one.
    public: bool,
    /// What the channel serves now.
    head: Option<ReleaseRow>,
    /// The working definitions.
    working: Option<Digest>,
}

impl Going {
    /// Reads it, and refuses a candidate that cannot go to the channel at all.
    async fn read(scope: &Scope<'_>, rows: &mut Rows<'_>, promote: &Promote) -> Result<Self, ReleaseError> {
        let row = candidate(rows, promote.candidate).await?;
        let working = rows.working_definitions().await?.map(|d| d.digest);
        let imported = Some(row.frozen.definitions);
        let (channel, public) = public_channel(scope, promote.channel.clone(), working, imported).await?;
        if matches!(row.status, CandidateStatus::Discarded | CandidateStatus::Superseded) {
            let message = format!("{} is {}", row.id, row.status);
            let help = "create a new candidate: `ashlar candidate create`";
            return Err(ReleaseError::refused("candidate-closed", message, help));
        }
        let head = head_of(rows, &channel).await?;
        let release = match row.release {
            Some(release) if head.as_ref().is_some_and(|h| h.id == release) => {
                let message = format!("{} is {release}, and {channel} serves it already", row.id);
                return Err(ReleaseError::refused("already-promoted", message, "there is nothing to do"));
            }
            Some(release) => rows.release(release).await?,
            None => None,
        };
        Ok(Self { candidate: row, release, channel, public, head, working })
    }

    /// What the channel serves, when that or the working definitions are others than those that a revision was made on.
    fn outdated(&self, working: Digest) -> Option<ReleaseId> {
        let head = self.head.as_ref()?.id;
        (self.candidate.frozen.base != Some(head) || self.working != Some(working)).then_some(head)
    }

    /// How many changes that were released meanwhile it would undo, and the release that has them.
    async fn undoes(
        &self,
        objects: &TenantObjects,
        rows: &mut Rows<'_>,
    ) -> Result<Option<(usize, ReleaseId)>, ReleaseError> {
        let frozen_on = self.candidate.frozen.base;
        let Some(head) = self.head.as_ref().filter(|head| self.public && frozen_on != Some(head.id)) else {
            return Ok(None);
        };
        let base = match frozen_on {
            Some(base) => rows.release(base).await?,
            None => None,
        };
        let undone = undone(objects, base.as_ref(), head, &self.candidate)?;
        Ok((undone > 0).then_some((undone, head.id)))
    }

    /// Judges the frozen snapshot against what is served now. A staged release is judged again only on its way to the public
    /// channel: what it was judged against may be long ago.
    async fn judge(
        &mut self,
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<Vec<GateReport>, ReleaseError> {
        if self.release.is_some() && !self.public {
            return Ok(Vec::new());
        }
        let base = match self.public {
            true => self.head.clone(),
            false => head_of(rows, &self.candidate.frozen.channel.clone()).await?,
        };
        match &self.release {
            Some(_) => judge_staged(scope, rows, &self.candidate, base.as_ref()).await,
            None => judge_stored(scope, rows, &mut self.candidate, base.as_ref()).await,
        }
    }

    /// Stores why the candidate is not promoted. Its state stays when it is a release.
    async fn give_up(
        &self,
        scope: &Scope<'_>,
        mut tx: WriteTx,
        status: CandidateStatus,
        record: Record,
    ) -> Result<(), ReleaseError> {
        if self.release.is_none() {
            let row = &self.candidate;
            tx.rows().update_candidate(row.id, status, &row.frozen.derived, None).await?;
        }
        scope.commit(tx, record).await
    }

    /// Makes a release of the candidate.
    async fn make_release(
        &self,
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
        gates: &[GateReport],
        note: &str,
    ) -> Result<ReleaseRow, ReleaseError> {
        let (objects, row, head) = (scope.objects(), &self.candidate, self.head.as_ref());
        let mut batch = objects.batch();
        let manifest = manifest::write(&objects, &mut batch, &row.frozen, gates, head.map(|h| h.manifest))?;
        objects.commit(batch).await?;
        let number = rows.next("releases").await?;
        let number = u32::try_from(number).map_err(|_| ReleaseError::Task("too many releases".to_owned()))?;
        let release = ReleaseRow {
            id: ReleaseId(number),
            candidate: row.id,
            manifest,
            snapshot: row.frozen.snapshot,
            definitions: row.frozen.definitions,
            derived: row.frozen.derived.clone(),
            parent: head.map(|h| h.id),
            entries: row.frozen.entries,
            note: match note.is_empty() {
                true => row.frozen.note.clone(),
                false => note.chars().take(2000).collect(),
            },
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
        };
        rows.insert_release(&release).await?;
        let promoted = CandidateStatus::Promoted;
        rows.update_candidate(row.id, promoted, &row.frozen.derived, Some(release.id)).await?;
        Ok(release)
    }

    /// What a move of the public channel means for drafts, the changeset and the definitions. Says whether all drafts are
    /// settled; otherwise they are compared with the release later.
    async fn settle_public(
        &self,
        scope: &Scope<'_>,
        rows: &mut Rows<'_>,
        release: &ReleaseRow,
        (scheduled, revised): (bool, Option<(Digest, Digest)>),
    ) -> Result<bool, ReleaseError> {
        let frozen = &self.candidate.frozen;
        let (frozen_at, changeset) = (frozen.frozen_at_sequence, frozen.changeset.as_deref());
        let from_drafts = frozen_at > 0 || frozen.changed == 0;
        let mut publishes = changeset.filter(|_| from_drafts);
        let mut settled = false;
        if from_drafts && self.release.is_none() {
            // A draft that was written since may be what was served before, and so differ again.
            settled = frozen.changed == 0 || rows.counter("drafts").await? == frozen_at;
            rows.settle_published(changeset, frozen_at).await?;
        } else if let Some(name) = publishes
            // A changeset that was staged first still waits; one that was published before does not.
            && !rows.has_drafts_until(name, frozen_at).await?
        {
            publishes = None;
        }
        if !settled {
            unsettle(rows, self.head.as_ref(), release, !from_drafts).await?;
        }
        // A step of a schedule says itself how the changeset ends.
        if let Some(name) = publishes.filter(|_| !scheduled) {
            publish_changeset(rows, name).await?;
        }
        match (revised, &self.head) {
            (Some(working), Some(head)) => {
                adopt(scope, rows, (head.definitions, frozen.definitions), working).await?;
            }
            _ => adopt_definitions(scope, rows, &self.candidate, self.working, self.head.as_ref()).await?,
        }
        Ok(settled)
    }
}

/// The error of a promotion that gates refuse.
fn refusal(id: CandidateId, against: &[&GateReport]) -> ReleaseError {
    let mut findings: Vec<_> = against.iter().flat_map(|g| g.findings.clone()).take(100).collect();
    findings.iter_mut().for_each(|f| name_candidate(&mut f.help, id));
    let mut groups: Vec<_> = against.iter().flat_map(|g| g.groups.clone()).collect();
    groups.iter_mut().for_each(|g| name_candidate(&mut g.help, id));
    let gates = against.iter().map(|g| g.gate.clone()).collect();
    ReleaseError::GatesFailed { candidate: id, gates, findings, groups }
}

impl Promote {
    /// Promotes revised definitions. `working`: the working definitions that the revision was made on, and what they become.
    pub(crate) async fn promote_with(
        self,
        scope: &Scope<'_>,
        working: (Digest, Digest),
    ) -> Result<Promoted, ReleaseError> {
        self.promote(scope, None, Some(working)).await
    }

    async fn promote(
        self,
        scope: &Scope<'_>,
        step: Option<Step>,
        revised: Option<(Digest, Digest)>,
    ) -> Result<Promoted, ReleaseError> {
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        settle_in(scope.engine, &mut rows).await?;
        let mut going = Going::read(scope, &mut rows, &self).await?;
        let (id, channel) = (going.candidate.id, going.channel.clone());
        let outdated = revised.and_then(|(working, _)| going.outdated(working));
        let undoes = match outdated {
            Some(head) => Some((1, head)),
            None => going.undoes(&scope.objects(), &mut rows).await?,
        };
        if let Some((undone, head)) = undoes {
            // Another candidate has to be made, unless it is a release that can go to another channel.
            if going.release.is_none() {
                let data = json!({"channel": channel, "head": head, "undone": undone});
                let record = Record::one("candidate.superseded", id.to_string(), data);
                going.give_up(scope, tx, CandidateStatus::Superseded, record).await?;
            }
            return Err(ReleaseError::Superseded { candidate: id, channel, head, undone });
        }
        let gates = going.judge(scope, &mut rows).await?;
        let against: Vec<_> = gates.iter().filter(|g| !g.status.lets_through()).collect();
        if !against.is_empty() {
            let failed: Vec<_> = against.iter().map(|g| g.gate.as_str()).collect();
            let data = json!({"channel": channel, "gates": failed});
            let record = Record::one("candidate.refused", id.to_string(), data);
            going.give_up(scope, tx, going.candidate.status, record).await?;
            return Err(refusal(id, &against));
        }
        let release = match &going.release {
            Some(release) => release.clone(),
            None => going.make_release(scope, &mut rows, &gates, &self.note).await?,
        };
        let settled = match going.public {
            true => going.settle_public(scope, &mut rows, &release, (step.is_some(), revised)).await?,
            false => true,
        };
        let finished = match &step {
            Some(step) => Some(step.finish(&mut rows, release.id).await?),
            None => None,
        };
        let state = move_to(scope, &mut rows, &channel, &release, false).await?;
        let waived: Vec<_> =
            gates.iter().filter(|g| g.status == GateStatus::Waived).map(|g| g.gate.clone()).collect();
        let (from, created) = (going.head.as_ref().map(|h| h.id), going.release.is_none());
        let data = json!({
            "release": release.id, "digest": release.manifest, "channel": channel, "candidate": id, "from": from,
            "changed": going.candidate.frozen.changed, "entries": release.entries, "waived": waived,
        });
        let mut record = Record::one("release.promoted", release.id.to_string(), data);
        record.events.extend(finished);
        scope.commit(tx, record).await?;
        if created {
            scope.engine.evidence().promoted(&scope.ctx.tenant, &release, gates);
        }
        publish_pointer(scope, state).await;
        if !settled {
            settle_now(scope).await;
        }
        Ok(Promoted { release: release.id, digest: release.manifest, channel, from, candidate: id, created })
    }
}

/// Makes the definitions of a release from elsewhere the working ones, now that they are served. Definitions that were pushed
/// meanwhile stay, like drafts with changes.
async fn adopt_definitions(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &CandidateRow,
    working: Option<Digest>,
    head: Option<&ReleaseRow>,
) -> Result<(), ReleaseError> {
    let frozen = &row.frozen;
    if working == Some(frozen.definitions) || working.is_some_and(|w| head.is_none_or(|h| h.definitions != w))
    {
        return Ok(());
    }
    let from_elsewhere = frozen.frozen_at_sequence == 0
        && (frozen.changed > 0 || !rows.was_pushed(&frozen.definitions).await?);
    if !from_elsewhere {
        return Ok(());
    }
    let sequence = rows.next("definitions").await?;
    let pushed = DefinitionsRow {
        sequence,
        digest: frozen.definitions,
        author: frozen.created_by.clone(),
        pushed_at: scope.at.clone(),
    };
    Ok(rows.insert_definitions(&pushed).await?)
}

async fn publish_changeset(rows: &mut Rows<'_>, name: &str) -> Result<(), ReleaseError> {
    let Some(mut changeset) = rows.changeset(name).await? else { return Ok(()) };
    changeset.state = ChangesetState::Published;
    changeset.message = String::new();
    rows.put_changeset(&changeset).await?;
    // Drafts of a changeset that will be taken down stay in it until then.
    if changeset.unpublish_at.is_none() {
        rows.clear_changeset(name).await?;
    }
    Ok(())
}
