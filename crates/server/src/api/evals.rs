//! Evidence of eval suites.

use ashlar_release::{EvidenceView, Page, RecordEvidence, RecordedEvidence, RunOf};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::state::{Answer, answer};
use crate::{
    access::Caller,
    endpoints::extract::{Body, Query},
    front::ApiError,
};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EvidenceInput")]
pub struct RecordBody {
    /// The suite.
    suite: String,
    /// What was asked: a candidate such as `c4`, or a release such as `r3`.
    of: String,
    /// The run: `format` 1, `producer`, and `replies`, each with `case`, `sample` and `reply` or `unasked`.
    #[schemars(with = "Map<String, Value>")]
    run: Box<RawValue>,
}

pub async fn record(caller: Caller, Body(body): Body<RecordBody>) -> Answer<RecordedEvidence> {
    let of: RunOf = body.of.parse().map_err(|message: String| ApiError::invalid(message, "correct `of`"))?;
    let run = body.run.get().as_bytes().to_vec();
    let record = RecordEvidence { of, suite: body.suite, run };
    answer(caller.engine.run(&caller.ctx, record).await?)
}

#[derive(Deserialize, JsonSchema)]
pub struct EvidenceQuery {
    /// Evidence of this suite; of all suites when absent.
    suite: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

pub async fn list(caller: Caller, Query(q): Query<EvidenceQuery>) -> Answer<Page<EvidenceView>> {
    answer(caller.engine.eval_evidence(&caller.ctx, q.suite.as_deref(), q.cursor.as_deref()).await?)
}
