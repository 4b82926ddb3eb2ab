use std::sync::Arc;

use ashlar_model::{CandidateId, ChannelName};
use ashlar_release::{
    ApprovalGiven, Approve, CandidateView, CreateCandidate, DiscardCandidate, Page, Promote, Promoted,
    Rejudge, Waive,
};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::state::{Answer, answer};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::Caller,
    delivery::serving::Serving,
    endpoints::{
        rows,
        signature::{Created, MaybeCreated},
    },
    front::ApiError,
};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CandidateInput")]
pub struct CreateBody {
    /// Only the drafts of this changeset; otherwise all pending ones that belong to none.
    changeset: Option<String>,
    /// Why it is made.
    #[serde(default)]
    note: String,
}

/// A new candidate, with where it is.
pub fn created(value: CandidateView) -> Created<CandidateView> {
    Created { location: rows::GET_CANDIDATE.at([value.candidate]).target, value }
}

pub async fn create(
    caller: Caller,
    Body(body): Body<CreateBody>,
) -> Result<Created<CandidateView>, ApiError> {
    let create = CreateCandidate { changeset: body.changeset, note: body.note };
    Ok(created(caller.engine.run(&caller.ctx, create).await?))
}

#[derive(Deserialize, JsonSchema)]
pub struct Cursor {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

pub async fn list(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<CandidateView>> {
    answer(caller.engine.candidates(&caller.ctx, at.cursor.as_deref()).await?)
}

pub async fn show(caller: Caller, Path(candidate): Path<CandidateId>) -> Answer<CandidateView> {
    answer(caller.engine.candidate(&caller.ctx, candidate).await?)
}

pub async fn discard(caller: Caller, Path(candidate): Path<CandidateId>) -> Answer<CandidateView> {
    answer(caller.engine.run(&caller.ctx, DiscardCandidate { candidate }).await?)
}

pub async fn gates(caller: Caller, Path(candidate): Path<CandidateId>) -> Answer<CandidateView> {
    match caller.engine.run(&caller.ctx, Rejudge { candidate }).await {
        // Its gates stay as they were.
        Err(error) if error.code() == "candidate-closed" => {
            answer(caller.engine.candidate(&caller.ctx, candidate).await?)
        }
        judged => answer(judged?),
    }
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ApprovalInput")]
pub struct ApproveBody {
    /// The right under which it is approved: `pricing`, `legal`, `claim`, `owner:NAME`.
    right: String,
}

pub async fn approve(
    caller: Caller,
    Path(candidate): Path<CandidateId>,
    Body(body): Body<ApproveBody>,
) -> Answer<ApprovalGiven> {
    answer(caller.engine.run(&caller.ctx, Approve { candidate, right: body.right }).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WaiverInput")]
pub struct WaiveBody {
    /// The gate.
    gate: String,
    /// Why.
    reason: String,
}

pub async fn waive(
    caller: Caller,
    Path(candidate): Path<CandidateId>,
    Body(body): Body<WaiveBody>,
) -> Answer<CandidateView> {
    answer(caller.engine.run(&caller.ctx, Waive { candidate, gate: body.gate, reason: body.reason }).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MoveInput")]
pub struct MoveBody {
    /// The channel; the public one when absent.
    pub channel: Option<ChannelName>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// Puts in place what a channel serves now, so that the next read sees it.
pub async fn serve_now(
    serving: Arc<Serving>,
    caller: &Caller,
    channel: &ChannelName,
) -> Result<(), ApiError> {
    let (engine, tenant) = (&caller.engine, &caller.ctx.tenant);
    let state = match engine.moved(tenant, channel) {
        Some(state) => Some(state),
        None => engine.channel_state(tenant, channel).await?,
    };
    let Some(state) = state.filter(|state| !serving.serves_move(tenant, state)) else { return Ok(()) };
    let tenant = tenant.clone();
    let applied = tokio::task::spawn_blocking(move || serving.apply(&tenant, state)).await;
    applied.map_err(|e| ApiError::new(500, "internal", e.to_string(), ""))?;
    Ok(())
}

pub async fn promote(
    State(serving): State<Arc<Serving>>,
    caller: Caller,
    Path(candidate): Path<CandidateId>,
    Body(body): Body<MoveBody>,
) -> Result<MaybeCreated<Promoted>, ApiError> {
    let promote = Promote { candidate, channel: body.channel, note: body.note };
    let promoted = caller.engine.run(&caller.ctx, promote).await?;
    serve_now(serving, &caller, &promoted.channel).await?;
    let location = promoted.created.then(|| rows::GET_RELEASE.at([promoted.release]).target);
    Ok(MaybeCreated { location, value: promoted })
}
