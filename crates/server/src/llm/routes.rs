//! The operations and their routes.

use std::sync::Arc;

use ashlar_gateway::wire::{Fault, FaultKind};
use axum::{
    Router,
    extract::{FromRef, Request},
    response::Response,
    routing::any,
};
use serde_json::{Value, json};

use super::{answers::refused, catalogue, chat, doors::surface_of, state::Llm};
use crate::{
    app::App,
    endpoints::{
        rows,
        signature::{About, Schemas},
        table::Table,
    },
};

fn object() -> Value {
    json!({"type": "object", "additionalProperties": true})
}

/// A conversation, as far as it is described here. The formats are those of the providers.
fn conversation(about: &mut About, _: &mut Schemas) {
    about.headers.push(("Ashlar-Feature", "The feature that the call belongs to; `default` when absent."));
    about.body = Some((
        "application/json",
        json!({
            "type": "object", "required": ["model", "messages"], "additionalProperties": true,
            "properties": {
                "model": {"type": "string", "description": "A route.", "example": "extractive"},
                "messages": {
                    "type": "array", "minItems": 1, "description": "The conversation.",
                    "items": {
                        "type": "object", "required": ["role", "content"], "additionalProperties": true,
                        "properties": {
                            "role": {"type": "string", "enum": ["user", "assistant"]},
                            "content": {"type": "string"},
                        },
                    },
                },
                "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "stream": {"type": "boolean"},
            },
        }),
    ));
    let reply =
        about.reply(200, "The answer, or its pieces when `stream` is true.", "application/json", object());
    reply.content.push(("text/event-stream", json!({"type": "string"})));
}

fn vectors(about: &mut About, _: &mut Schemas) {
    about.headers.push(("Ashlar-Feature", "The feature that the call belongs to; `default` when absent."));
    about.body = Some((
        "application/json",
        json!({
            "type": "object", "required": ["model", "input"], "additionalProperties": true,
            "properties": {
                "model": {"type": "string", "description": "A route."},
                "input": {"type": "string", "description": "A text; a list of texts is possible as well."},
            },
        }),
    ));
    about.object("The vectors.");
}

/// The operations.
pub fn table() -> Table<Arc<Llm>> {
    Table::new()
        .on_and(&rows::CREATE_CHAT_COMPLETION, chat::openai, conversation)
        .on_and(&rows::CREATE_EMBEDDINGS, chat::embeddings, vectors)
        .on_and(&rows::LIST_MODELS, catalogue::list, |about, _| about.object("The routes."))
        .on_and(&rows::GET_MODEL, catalogue::show, |about, _| about.object("The route."))
        .on_and(&rows::CREATE_MESSAGE, chat::anthropic, conversation)
}

async fn nothing_here(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(100).collect();
    let message = format!(
        "nothing is served at {path}; the base URL of OpenAI clients ends in /llm/v1, that of Anthropic clients in /llm"
    );
    refused(surface_of(request.headers()), &Fault::new(FaultKind::NotFound, "not_found", message))
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} cannot be used here; see /api/openapi.json", request.method());
    refused(surface_of(request.headers()), &Fault::new(FaultKind::Method, "method_not_allowed", message))
}

/// Their routes.
pub fn router(app: &App) -> Router {
    table()
        .router
        .method_not_allowed_fallback(wrong_method)
        .route("/llm/{*path}", any(nothing_here))
        .with_state(Arc::new(Llm::from_ref(app)))
}
