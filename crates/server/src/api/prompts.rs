//! Prompts: which version of each answers.

use std::sync::Arc;

use ashlar_gates::{
    PROMPT_FILES, PromptVersion, PromptView, promote_prompt, prompt_of, prompts_of, roll_back_prompt,
};
use ashlar_model::ReleaseId;
use ashlar_release::{Promoted, ReviseDefinitions};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    candidates::serve_now,
    state::{Answer, answer},
};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::Caller,
    delivery::serving::Serving,
    endpoints::{rows, signature::Created},
    front::ApiError,
};

/// The prompts of a release.
#[derive(Serialize, JsonSchema)]
pub struct PromptList {
    /// The release that is live.
    release: ReleaseId,
    /// The prompts, by name.
    items: Vec<PromptView>,
}

pub async fn list(caller: Caller) -> Answer<PromptList> {
    let (release, files) = caller.engine.served_definitions(&caller.ctx, PROMPT_FILES).await?;
    let work = move || Ok(prompts_of(&files));
    let items = caller.engine.heavy(&caller.ctx.tenant, work).await?;
    answer(PromptList { release, items })
}

#[derive(Deserialize, JsonSchema)]
pub struct VersionQuery {
    /// The version; the active one when absent.
    version: Option<u32>,
}

pub async fn show(
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Answer<PromptVersion> {
    let (_, files) = caller.engine.served_definitions(&caller.ctx, PROMPT_FILES).await?;
    let work = move || prompt_of(&files, &name, query.version);
    answer(caller.engine.heavy(&caller.ctx.tenant, work).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PromptPromotion")]
pub struct PromoteBody {
    /// The version.
    version: u32,
    /// The share of calls that get it, above 0 and at most 100; all when absent.
    percent: Option<f64>,
    /// Why.
    #[serde(default)]
    note: String,
}

pub async fn promote(
    State(serving): State<Arc<Serving>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<PromoteBody>,
) -> Result<Created<Promoted>, ApiError> {
    released(serving, caller, promote_prompt(&name, body.version, body.percent, body.note)).await
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PromptRollback")]
pub struct RollbackBody {
    /// Why.
    #[serde(default)]
    note: String,
}

pub async fn rollback(
    State(serving): State<Arc<Serving>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(body): Body<RollbackBody>,
) -> Result<Created<Promoted>, ApiError> {
    released(serving, caller, roll_back_prompt(&name, body.note)).await
}

async fn released(
    serving: Arc<Serving>,
    caller: Caller,
    revise: ReviseDefinitions,
) -> Result<Created<Promoted>, ApiError> {
    let value = caller.engine.run(&caller.ctx, revise).await?;
    serve_now(serving, &caller, &value.channel).await?;
    Ok(Created { location: rows::GET_RELEASE.at([value.release]).target, value })
}
