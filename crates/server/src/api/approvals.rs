//! Calls of tools that wait for a person.

use std::sync::Arc;

use ashlar_gateway::tools::{Pending, TOKEN_BYTES_MAX};
use ashlar_model::Right;
use ashlar_release::{DecideToolCall, ReleaseError, ToolDecision, ToolRequest};
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{Answer, answer};
use crate::{access::Caller, app::policies::Policies, endpoints::extract::Body, front::ApiError};

/// What is decided about a call.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ToolCallVerdict")]
pub enum Verdict {
    /// It may be run once.
    Approve,
    /// It may not be run.
    Refuse,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ToolCallDecision")]
pub struct DecideBody {
    /// The request, as the answer of the model contains it.
    request: String,
    /// The decision. Without it, the call is only shown.
    decision: Option<Verdict>,
}

/// A call of a tool that waits for a person, or waited.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ToolCallRequest")]
pub struct Shown {
    /// The tool.
    tool: String,
    /// Its arguments, all of them.
    #[schemars(with = "serde_json::Map<String, Value>")]
    arguments: Value,
    /// The feature that called.
    feature: String,
    /// The public part of the key that called.
    key: String,
    /// The release that declared the tool.
    release: String,
    /// Until when it can be approved and run.
    expires: String,
    /// `open`, `approved`, `refused` or `used`.
    status: &'static str,
}

pub async fn decide(
    State(policies): State<Arc<Policies>>,
    caller: Caller,
    Body(body): Body<DecideBody>,
) -> Answer<Shown> {
    let invalid =
        |why: String| ApiError::new(422, "approval-invalid", why, "send the request as the call returned it");
    let forbidden =
        |right: Right| ReleaseError::Forbidden { actor: caller.ctx.actor.name.clone(), right }.into();
    // Whoever may decide about no tool learns nothing about a request.
    if !caller.ctx.actor.approves("tool:") {
        return Err(forbidden(Right::Approve("tool:NAME".to_owned())));
    }
    if body.request.len() > TOKEN_BYTES_MAX {
        return Err(invalid(format!("the request has more than {TOKEN_BYTES_MAX} bytes")));
    }
    let secret = policies.of(&caller.ctx.tenant).await?.secret;
    let now = caller.engine.now().as_second();
    let pending = Pending::open(&secret, &body.request, now).map_err(|error| invalid(error.to_string()))?;
    if pending.tenant != caller.ctx.tenant.as_str() {
        return Err(invalid("the request belongs to another tenant".to_owned()));
    }
    let right = Right::Approve(format!("tool:{}", pending.tool));
    if !caller.ctx.actor.may(&right) {
        return Err(forbidden(right));
    }
    let request = ToolRequest { id: pending.id.clone(), expires: pending.expires };
    if let Some(verdict) = body.decision {
        let about = json!({
            "arguments": pending.arguments, "feature": pending.feature, "key": pending.key, "release": pending.release,
        });
        let decide = DecideToolCall {
            request: request.clone(),
            tool: pending.tool.clone(),
            about,
            approve: matches!(verdict, Verdict::Approve),
        };
        caller.engine.run(&caller.ctx, decide).await?;
    }
    let status = match caller.engine.tool_decision(&caller.ctx.tenant, &request, false).await? {
        ToolDecision::Open => "open",
        ToolDecision::Approved => "approved",
        ToolDecision::Refused => "refused",
        ToolDecision::Used => "used",
    };
    answer(Shown {
        tool: pending.tool,
        arguments: pending.arguments,
        feature: pending.feature,
        key: pending.key,
        release: pending.release,
        expires: Timestamp::from_second(pending.expires).unwrap_or_default().to_string(),
        status,
    })
}
