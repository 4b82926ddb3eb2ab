//! How providers do, as operators see it.

use ashlar_gateway::{call::Desk, routing::ProviderState, upstream::Kind};
use ashlar_model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;

/// How a provider does on this node. Neither its address nor its credential.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelProvider")]
pub struct ProviderStanding {
    /// What models.toml calls it.
    pub name: String,
    /// What it speaks: `openai`, `anthropic` or `azure`.
    pub kind: String,
    /// Whether it is asked: `up`, `paused` (some of its models failed and are left alone for a moment), `down` (its probes fail), or
    /// `unknown` (not probed, and nothing speaks against it).
    pub state: ProviderState,
    /// Since when, RFC 3339; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How many of its models are left alone.
    pub paused: u64,
    /// The seconds between probes; absent when it is not probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_seconds: Option<u64>,
    /// The code of its last failure on this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// When it failed last, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<String>,
}

/// The providers that a tenant may use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelProviders")]
pub struct Standings {
    /// By name.
    pub items: Vec<ProviderStanding>,
}

impl Standings {
    /// The providers of a node that this tenant may use.
    #[must_use]
    pub fn of(desk: &Desk, tenant: &TenantId) -> Self {
        let providers = desk.providers.0.values().filter(|provider| provider.tenants.contains(tenant));
        let items = providers.map(|provider| {
            let standing = desk.standing(&provider.name);
            let kind = match provider.kind {
                Kind::OpenAi => "openai",
                Kind::Anthropic => "anthropic",
                Kind::Azure => "azure",
            };
            ProviderStanding {
                name: provider.name.clone(),
                kind: kind.to_owned(),
                state: standing.state,
                since: standing.since.map(|at| at.to_string()),
                paused: standing.paused,
                probe_seconds: provider.probe_every.map(|every| every.as_secs()),
                last_failure: standing.failure,
                last_failure_at: standing.failed_at.map(|at| at.to_string()),
            }
        });
        Self { items: items.collect() }
    }
}
