//! Tasks of models, their brakes, and what they wrote of releases.

use std::sync::Arc;

use ashlar_isolate::Workers;
use ashlar_model::ReleaseId;
use ashlar_release::{AssistStatus, Page, ReleasedText, SetAssistSwitch};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    candidates::Cursor,
    state::{Answer, answer},
};
use crate::{
    access::Caller,
    app::metrics::Metrics,
    assist::{self, Asked, Assisted},
    endpoints::extract::{Body, Path, Query},
    front::ApiError,
    llm::Llm,
};

pub async fn run(
    State(llm): State<Arc<Llm>>,
    State(workers): State<Workers>,
    State(metrics): State<Arc<Metrics>>,
    caller: Caller,
    Path(task): Path<String>,
    Body(asked): Body<Asked>,
) -> Answer<Assisted> {
    let of = assist::Task { engine: &caller.engine, ctx: &caller.ctx, llm, workers };
    let done = assist::run(&of, &task, asked).await;
    let [fine, refused, stopped, capped] = &metrics.counted.assist_tasks;
    match done.as_ref().map_err(ApiError::code) {
        Ok(_) => fine.inc(),
        Err("assist-stopped") => stopped.inc(),
        Err("assist-cap-reached") => capped.inc(),
        Err(_) => refused.inc(),
    }
    answer(done?)
}

pub async fn status(caller: Caller) -> Answer<AssistStatus> {
    answer(caller.engine.assist_status(&caller.ctx).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AssistSwitch")]
pub struct SwitchBody {
    /// Whether tasks are stopped from now on.
    stopped: bool,
    /// Why.
    #[serde(default)]
    reason: String,
}

pub async fn switch(caller: Caller, Body(body): Body<SwitchBody>) -> Answer<AssistStatus> {
    let switch = SetAssistSwitch { stopped: body.stopped, reason: body.reason };
    answer(caller.engine.run(&caller.ctx, switch).await?)
}

pub async fn texts(
    caller: Caller,
    Path(release): Path<ReleaseId>,
    Query(at): Query<Cursor>,
) -> Answer<Page<ReleasedText>> {
    answer(caller.engine.released_texts(&caller.ctx, release, at.cursor.as_deref()).await?)
}
