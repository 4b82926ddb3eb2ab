//! Moving channels: promote and rollback.

use std::time::{Duration, Instant};

use ashlar_model::{CandidateId, ChannelName, Digest, GateStatus, ReleaseId, Right, nearest_of};
use ashlar_store::{
    TenantObjects, Tree,
    sql::{
        CandidateRow, CandidateStatus, ChangesetState, ChannelRow, DefinitionsRow, ReleaseRow, Rows,
        UnsettledRow,
    },
};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Action, ChannelState, ReleaseError, Scope,
    artifacts::manifest,
    candidates::freeze::{candidate, head_of, judge_staged, judge_stored},
    changesets::run::Step,
    engine::installation::Record,
};

/// How long a move of a channel waits for its pointer object to be written.
const WRITE_MAX: Duration = Duration::from_secs(10);

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

/// Points a channel at an earlier release, definitions and all.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The release.
    pub release: ReleaseId,
    /// The channel; the public one when absent.
    pub channel: Option<ChannelName>,
    /// Why.
    pub note: String,
}

/// The outcome of a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolledBack {
    /// What the channel serves now.
    pub release: ReleaseId,
    /// What it served before.
    pub from: Option<ReleaseId>,
    /// The channel.
    pub channel: ChannelName,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

/// The channel that is asked for, or the public one, and whether it is that. `working`: the working definitions.
async fn public_channel(
    scope: &Scope<'_>,
    asked: Option<ChannelName>,
    working: Option<Digest>,
    imported: Option<Digest>,
) -> Result<(ChannelName, bool), ReleaseError> {
    // The first release of an installation may be one from elsewhere.
    let definitions = working.or(imported).ok_or_else(crate::drafts::write::no_definitions)?;
    let rules = scope.engine.rules(&scope.ctx.tenant, &definitions).await?;
    let channels = &rules.config.channels;
    let channel = asked.unwrap_or_else(|| channels.public.clone());
    if !channels.names.contains(&channel) {
        let names: Vec<_> = channels.names.iter().map(ChannelName::as_str).collect();
        let all = format!("ashlar.toml has: {}", names.join(", "));
        let help = nearest_of(channel.as_str(), names.iter().copied(), &all);
        return Err(ReleaseError::not_found("channel", channel, help));
    }
    let public = channel == channels.public;
    Ok((channel, public))
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

#[async_trait]
impl Action for Promote {
    type Output = Promoted;
    const NAME: &'static str = "release.promote";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Promoted, ReleaseError> {
        self.promote(scope, None).await
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
        self.promote.promote(scope, Some(self.step)).await
    }
}

impl Promote {
    async fn promote(self, scope: &Scope<'_>, step: Option<Step>) -> Result<Promoted, ReleaseError> {
        let objects = scope.objects();
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        crate::drafts::settle::settle_in(scope.engine, &mut rows).await?;
        let mut row = candidate(&mut rows, self.candidate).await?;
        let working = rows.definitions().await?.map(|d| d.digest);
        let imported = Some(row.frozen.definitions);
        let (channel, public) = public_channel(scope, self.channel, working, imported).await?;
        match row.status {
            CandidateStatus::Discarded | CandidateStatus::Superseded => {
                let message = format!("{} is {}", row.id, row.status);
                let help = "create a new candidate: `ashlar candidate create`";
                return Err(ReleaseError::refused("candidate-closed", message, help));
            }
            CandidateStatus::Passed | CandidateStatus::Failed | CandidateStatus::Promoted => {}
        }
        let head = head_of(&mut rows, &channel).await?;
        if let (Some(head), Some(release)) = (&head, row.release)
            && head.id == release
        {
            let message = format!("{} is {release}, and {channel} serves it already", row.id);
            return Err(ReleaseError::refused("already-promoted", message, "there is nothing to do"));
        }
        if public
            && let Some(head) = &head
            && row.frozen.base != Some(head.id)
        {
            let base = match row.frozen.base {
                Some(base) => rows.release(base).await?,
                None => None,
            };
            let undone = undone(&objects, base.as_ref(), head, &row)?;
            if undone > 0 {
                let head = head.id;
                if row.release.is_none() {
                    rows.update_candidate(row.id, CandidateStatus::Superseded, &row.frozen.derived, None)
                        .await?;
                    let data = json!({"channel": channel, "head": head, "undone": undone});
                    scope.commit(tx, Record::one("candidate.superseded", row.id.to_string(), data)).await?;
                }
                return Err(ReleaseError::Superseded { candidate: row.id, channel, head, undone });
            }
        }
        let base_head = match public {
            true => head.clone(),
            false => head_of(&mut rows, &row.frozen.channel.clone()).await?,
        };
        let (release, gates) = match row.release {
            Some(release) if public => {
                // It was judged against what was served when it became a release, which may be long ago.
                let gates = judge_staged(scope, &mut rows, &row, base_head.as_ref()).await?;
                (rows.release(release).await?, gates)
            }
            Some(release) => (rows.release(release).await?, Vec::new()),
            None => {
                let gates = judge_stored(scope, &mut rows, &mut row, base_head.as_ref()).await?;
                (None, gates)
            }
        };
        let against: Vec<_> = gates.iter().filter(|g| !g.status.lets_through()).collect();
        if !against.is_empty() {
            let mut findings: Vec<_> = against.iter().flat_map(|g| g.findings.clone()).take(100).collect();
            findings.iter_mut().for_each(|f| crate::view::name_candidate(&mut f.help, row.id));
            let mut groups: Vec<_> = against.iter().flat_map(|g| g.groups.clone()).collect();
            groups.iter_mut().for_each(|g| crate::view::name_candidate(&mut g.help, row.id));
            let gates = against.iter().map(|g| g.gate.clone()).collect();
            let error = ReleaseError::GatesFailed { candidate: row.id, gates, findings, groups };
            let failed: Vec<_> = against.iter().map(|g| g.gate.as_str()).collect();
            if row.release.is_none() {
                rows.update_candidate(row.id, row.status, &row.frozen.derived, None).await?;
            }
            let data = json!({"channel": channel, "gates": failed});
            scope.commit(tx, Record::one("candidate.refused", row.id.to_string(), data)).await?;
            return Err(error);
        }
        let release = match release {
            Some(release) => release,
            None => {
                let mut batch = objects.batch();
                let parent = head.as_ref().map(|h| h.manifest);
                let digest = manifest::write(&objects, &mut batch, &row.frozen, &gates, parent)?;
                objects.commit(batch).await?;
                let number = rows.next("releases").await?;
                let release = ReleaseRow {
                    id: ReleaseId(
                        u32::try_from(number)
                            .map_err(|_| ReleaseError::Task("too many releases".to_owned()))?,
                    ),
                    candidate: row.id,
                    manifest: digest,
                    snapshot: row.frozen.snapshot,
                    definitions: row.frozen.definitions,
                    derived: row.frozen.derived.clone(),
                    parent: head.as_ref().map(|h| h.id),
                    entries: row.frozen.entries,
                    note: match self.note.is_empty() {
                        true => row.frozen.note.clone(),
                        false => self.note.chars().take(2000).collect(),
                    },
                    created_at: scope.at.clone(),
                    created_by: scope.actor().to_owned(),
                };
                rows.insert_release(&release).await?;
                rows.update_candidate(
                    row.id,
                    CandidateStatus::Promoted,
                    &row.frozen.derived,
                    Some(release.id),
                )
                .await?;
                release
            }
        };
        let mut settled = true;
        if public {
            let frozen_at = row.frozen.frozen_at_sequence;
            let changeset = row.frozen.changeset.as_deref();
            let from_drafts = frozen_at > 0 || row.frozen.changed == 0;
            let mut publishes = changeset.filter(|_| from_drafts);
            if from_drafts && row.release.is_none() {
                // A draft that was written since may be what was served before, and so differ again.
                settled = row.frozen.changed == 0 || rows.counter("drafts").await? == frozen_at;
                rows.settle_published(changeset, frozen_at).await?;
            } else {
                settled = false;
                // A changeset that was staged first still waits; one that was published before does not.
                if let Some(name) = publishes
                    && !rows.has_drafts_until(name, frozen_at).await?
                {
                    publishes = None;
                }
            }
            if !settled {
                unsettle(&mut rows, head.as_ref(), &release, !from_drafts).await?;
            }
            // A step of a schedule says itself how the changeset ends.
            if let Some(name) = publishes.filter(|_| step.is_none()) {
                publish_changeset(&mut rows, name).await?;
            }
            adopt_definitions(scope, &mut rows, &row, working, head.as_ref()).await?;
        }
        let finished = match &step {
            Some(step) => Some(step.finish(&mut rows, release.id).await?),
            None => None,
        };
        let state = move_to(scope, &mut rows, &channel, &release, false).await?;
        let waived: Vec<_> =
            gates.iter().filter(|g| g.status == GateStatus::Waived).map(|g| g.gate.clone()).collect();
        let data = json!({
            "release": release.id, "digest": release.manifest, "channel": channel, "candidate": row.id,
            "from": head.as_ref().map(|h| h.id), "changed": row.frozen.changed, "entries": release.entries, "waived": waived,
        });
        let mut record = Record::one("release.promoted", release.id.to_string(), data);
        record.events.extend(finished);
        scope.commit(tx, record).await?;
        if row.release.is_none() {
            scope.engine.evidence().promoted(&scope.ctx.tenant, &release, gates);
        }
        publish_pointer(scope, state).await;
        if !settled {
            settle_now(scope).await;
        }
        Ok(Promoted {
            release: release.id,
            digest: release.manifest,
            channel,
            from: head.map(|h| h.id),
            candidate: row.id,
            created: row.release.is_none(),
        })
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

async fn unsettle(
    rows: &mut Rows<'_>,
    head: Option<&ReleaseRow>,
    release: &ReleaseRow,
    adopt: bool,
) -> Result<(), ReleaseError> {
    let sequence = rows.next("unsettled").await?;
    let row = UnsettledRow {
        sequence,
        old_snapshot: head.map(|h| h.snapshot),
        new_snapshot: release.snapshot,
        adopt,
    };
    Ok(rows.insert_unsettled(&row).await?)
}

async fn move_to(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    channel: &ChannelName,
    release: &ReleaseRow,
    rolled_back: bool,
) -> Result<ChannelState, ReleaseError> {
    let sequence = crate::channels::pointers::next_sequence(scope, rows, channel).await?;
    rows.move_channel(&ChannelRow {
        channel: channel.clone(),
        release: release.id,
        sequence,
        moved_at: scope.at.clone(),
        moved_by: scope.actor().to_owned(),
    })
    .await?;
    let trace = Some(scope.ctx.trace.to_string());
    Ok(ChannelState {
        trace,
        rolled_back: Some(rolled_back),
        ..state_of(channel, release, sequence, &scope.at)
    })
}

pub(crate) fn state_of(channel: &ChannelName, release: &ReleaseRow, sequence: u64, at: &str) -> ChannelState {
    ChannelState {
        channel: channel.clone(),
        release: release.id,
        manifest: release.manifest,
        snapshot: release.snapshot,
        definitions: release.definitions,
        derived: release.derived.clone(),
        sequence,
        moved_at: at.to_owned(),
        trace: None,
        rolled_back: None,
    }
}

/// How long a move waits for other processes that serve from the same directory.
const NODES_WAIT: Duration = Duration::from_secs(5);

/// Tells readers of this process and writes the pointer object for all others. The transaction has committed by now, so a
/// pointer that cannot be written is not an error of the action: the next tick writes it again.
async fn publish_pointer(scope: &Scope<'_>, state: ChannelState) {
    let objects = scope.objects();
    scope.engine.announce(&scope.ctx.tenant, state.clone());
    match tokio::time::timeout(WRITE_MAX, write_pointer(&objects, &state)).await {
        Ok(Ok(_)) => served_here(&objects, &state).await,
        failed => {
            let error = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => format!("the object store did not answer within {} seconds", WRITE_MAX.as_secs()),
            };
            scope.engine.tear();
            scope.engine.mend_soon(&scope.ctx.tenant);
            tracing::warn!(channel = %state.channel, error, "the channel pointer could not be written; it will be tried again");
        }
    }
}

/// Waits until other processes that serve from the same directory answer with what a channel serves now.
async fn served_here(objects: &TenantObjects, state: &ChannelState) {
    let heard = objects.await_nodes(&state.channel, state.sequence, NODES_WAIT).await;
    if heard.refused > 0 {
        tracing::warn!(channel = %state.channel, release = %state.release, processes = heard.refused,
            "a process that serves from here cannot open the release and serves what it served before; its log says why");
    }
    if heard.silent > 0 {
        tracing::warn!(channel = %state.channel, release = %state.release, processes = heard.silent,
            "a process that serves from here has not taken over the release yet");
    }
}

/// Compares drafts with what is served now, after the pointer has moved; if this is interrupted, the next action does it.
async fn settle_now(scope: &Scope<'_>) {
    if let Err(error) = crate::drafts::settle::settle(scope.engine, &scope.ctx.tenant).await {
        tracing::warn!(%error, "drafts could not be compared with the release yet; it will be tried again");
    }
}

/// Writes the pointer of a move unless one of this or of a later move is there; says whether it wrote.
pub(crate) async fn write_pointer(
    objects: &TenantObjects,
    state: &ChannelState,
) -> Result<bool, ReleaseError> {
    let body = serde_json::to_vec(state).map_err(|e| ReleaseError::Task(e.to_string()))?;
    let sequence = state.sequence;
    let newer = move |now: &[u8]| {
        serde_json::from_slice::<ChannelState>(now).map_or(true, |now| now.sequence < sequence)
    };
    Ok(objects.advance_pointer(&ChannelState::pointer(&state.channel), body.into(), newer).await?)
}

#[async_trait]
impl Action for Rollback {
    type Output = RolledBack;
    const NAME: &'static str = "release.rollback";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<RolledBack, ReleaseError> {
        let started = Instant::now();
        let objects = scope.objects();
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let working = rows.definitions().await?.map(|d| d.digest);
        let (channel, public) = public_channel(scope, self.channel, working, None).await?;
        let release = rows.release(self.release).await?.ok_or_else(|| {
            ReleaseError::not_found("release", self.release, "`ashlar release list` shows all releases")
        })?;
        let head = head_of(&mut rows, &channel).await?;
        if head.as_ref().is_some_and(|h| h.id == release.id) {
            let message = format!("{channel} serves {} already", release.id);
            return Err(ReleaseError::refused("already-promoted", message, "there is nothing to do"));
        }
        let Some(head) = head else {
            let message = format!("{channel} serves nothing yet");
            let help = format!(
                "promote a candidate to it: `ashlar release promote {} --channel {channel}`",
                release.candidate
            );
            return Err(ReleaseError::refused("nothing-to-roll-back", message, help));
        };
        // Refuse before the pointer moves if what it would point at is not there.
        manifest::read(&objects, &release.manifest)?;
        objects
            .get(&release.snapshot)
            .map(drop)
            .or_else(|e| if release.entries == 0 { Ok(()) } else { Err(e) })?;
        if public {
            unsettle(&mut rows, Some(&head), &release, false).await?;
        }
        let state = move_to(scope, &mut rows, &channel, &release, true).await?;
        let data = json!({
            "release": release.id, "digest": release.manifest, "channel": channel, "from": head.id,
            "note": self.note.chars().take(2000).collect::<String>(),
        });
        scope.commit(tx, Record::one("release.rolled_back", release.id.to_string(), data)).await?;
        publish_pointer(scope, state).await;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        settle_now(scope).await;
        Ok(RolledBack { release: release.id, from: Some(head.id), channel, took_ms })
    }
}

/// Records that a cache was purged of what a move of the public channel changed.
#[derive(Debug, Clone)]
pub struct RecordPurge {
    /// The release that is served now.
    pub subject: String,
    /// The target, how many keys, how long it took.
    pub data: serde_json::Value,
}

#[async_trait]
impl Action for RecordPurge {
    type Output = ();
    const NAME: &'static str = "cache.purge";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let tx = scope.begin().await?;
        scope.commit(tx, Record::one("cache.purged", self.subject, self.data)).await
    }
}

impl crate::Engine {
    /// What the public channel points at; `None` before the first release. A move of this process counts before its pointer
    /// object is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn public_state(&self, ctx: &crate::Ctx) -> Result<Option<ChannelState>, ReleaseError> {
        let Some((digest, _)) = self.working_definitions(ctx).await? else { return Ok(None) };
        let channel = self.rules(&ctx.tenant, &digest).await?.config.channels.public.clone();
        let pointer = ChannelState::pointer(&channel);
        let read = self.tenant_objects(&ctx.tenant).get_pointer(&pointer, None).await?;
        let pointed: Option<ChannelState> = read.body().and_then(|b| serde_json::from_slice(b).ok());
        let moved = self.moved(&ctx.tenant, &channel);
        Ok(moved.into_iter().chain(pointed).max_by_key(|state| state.sequence))
    }
}
