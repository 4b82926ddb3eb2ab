//! The broker: which consumers rely on what is live, and may a client be deployed.

use std::sync::Arc;

use ashlar_gates::{ConsumerStatus, consumers_of};
use ashlar_isolate::Workers;
use ashlar_model::{Files, Right};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::state::{Answer, answer};
use crate::endpoints::extract::Body;
use crate::{access::Caller, app::tenants::Tenants, front::ApiError};

/// The definitions that the public channel serves, and the release they are of.
async fn live(tenants: &Tenants, workers: &Workers, caller: &Caller) -> Result<(String, Files), ApiError> {
    caller.engine.permit(&caller.ctx, Right::Preview)?;
    let served = tenants.public(&caller.ctx.tenant);
    let view = served.ok_or_else(|| {
        ApiError::new(404, "no-release", "there is no release yet", "promote a candidate first")
    })?;
    let objects = caller.engine.tenant_objects(&caller.ctx.tenant);
    let digest = view.definitions().digest;
    let files = workers
        .run(&caller.ctx.tenant, move || ashlar_delivery::read_files(&objects, &digest))
        .await?
        .map_err(|e| ApiError::new(503, "storage", e.public(), "try again"))?;
    Ok((view.label().to_owned(), files))
}

/// Consumers beside what is live.
#[derive(Serialize, JsonSchema)]
pub struct Consumers {
    /// The release that is live.
    release: String,
    /// The consumers.
    items: Vec<ConsumerStatus>,
}

pub async fn list(
    State(tenants): State<Arc<Tenants>>,
    State(workers): State<Workers>,
    caller: Caller,
) -> Answer<Consumers> {
    let (release, files) = live(&tenants, &workers, &caller).await?;
    let work = move || consumers_of(&files, None);
    let (items, _) = workers.run(&caller.ctx.tenant, work).await?;
    answer(Consumers { release, items })
}

/// Whether a consumer's contract is kept by what is live.
#[derive(Serialize, JsonSchema)]
pub struct Verdict {
    #[serde(flatten)]
    status: ConsumerStatus,
    /// The release that is live.
    release: String,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerOffer")]
pub struct Offered {
    /// The consumer contract, YAML or a Pact file.
    contract: String,
    /// Its file name; `consumer.yaml` when absent.
    name: Option<String>,
}

pub async fn verify(
    State(tenants): State<Arc<Tenants>>,
    State(workers): State<Workers>,
    caller: Caller,
    Body(offered): Body<Offered>,
) -> Answer<Verdict> {
    let (release, files) = live(&tenants, &workers, &caller).await?;
    let is_json = offered.contract.trim_start().starts_with('{');
    let name =
        offered.name.unwrap_or_else(|| if is_json { "consumer.json" } else { "consumer.yaml" }.to_owned());
    let path = format!("consumers/{name}");
    let work = move || consumers_of(&files, Some((&name, offered.contract.as_bytes())));
    let (items, findings) = workers.run(&caller.ctx.tenant, work).await?;
    let found = items.into_iter().find(|c| c.file == path);
    match found {
        Some(status) => answer(Verdict { status, release }),
        None => {
            let mut error = ApiError::invalid("the consumer contract cannot be used", "see the findings");
            error.more = json!({"findings": findings});
            Err(error)
        }
    }
}
