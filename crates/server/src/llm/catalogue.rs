//! The models that a caller may use: the routes of its feature.

use std::sync::Arc;

use ashlar_gateway::wire::{Fault, FaultKind, Surface};
use axum::{
    extract::{Path, Request, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    answers::{about, json as answer, refused},
    doors::{surface_of, trace},
    state::Llm,
};

impl Llm {
    async fn routes(&self, headers: &HeaderMap) -> Result<(Vec<String>, String), Fault> {
        let admitted = self.admit(headers, None).await?;
        let (_, scene) = self.scene(&admitted.access)?;
        let feature = scene.feature(&admitted.caller.feature)?;
        let routes = scene.gateway.routes_of(feature).into_iter().map(|(name, _)| name.to_owned());
        Ok((routes.collect(), scene.release.clone()))
    }
}

fn model(surface: Surface, name: &str) -> Value {
    match surface {
        Surface::OpenAi => json!({"id": name, "object": "model", "created": 0, "owned_by": "ashlar"}),
        Surface::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}

fn listed(surface: Surface, names: &[String]) -> Value {
    let data: Vec<Value> = names.iter().map(|name| model(surface, name)).collect();
    match surface {
        Surface::OpenAi => json!({"object": "list", "data": data}),
        Surface::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()})
        }
    }
}

/// `GET /llm/v1/models`
pub async fn list(State(llm): State<Arc<Llm>>, request: Request) -> Response {
    let (surface, traced) = (surface_of(request.headers()), trace(request.headers()));
    let (mut response, release) = match llm.routes(request.headers()).await {
        Ok((names, release)) => (answer(listed(surface, &names).to_string().into_bytes()), Some(release)),
        Err(fault) => (refused(surface, &fault), None),
    };
    about(&mut response, traced.as_ref(), release.as_deref());
    response
}

/// `GET /llm/v1/models/{model}`
pub async fn show(State(llm): State<Arc<Llm>>, Path(name): Path<String>, request: Request) -> Response {
    let (surface, traced) = (surface_of(request.headers()), trace(request.headers()));
    let found = llm.routes(request.headers()).await.and_then(|(names, release)| {
        if names.contains(&name) {
            return Ok(release);
        }
        let shown: String = name.chars().take(80).collect();
        let message = format!("there is no model `{shown}`; this feature has {}", names.join(", "));
        Err(Fault::new(FaultKind::NotFound, "model_not_found", message).at("model"))
    });
    let (mut response, release) = match found {
        Ok(release) => (answer(model(surface, &name).to_string().into_bytes()), Some(release)),
        Err(fault) => (refused(surface, &fault), None),
    };
    about(&mut response, traced.as_ref(), release.as_deref());
    response
}
