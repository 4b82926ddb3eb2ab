//! The endpoint.

use std::sync::Arc;

use ashlar_model::{Right, TenantId};
use ashlar_release::{Access, ReleaseError};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{FromRef as _, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use super::{
    errands::{Errand, Refused},
    protocol::{
        INVALID_PARAMS, INVALID_REQUEST, Message, NO_METHOD, NO_VERSION, RpcError, VERSIONS, answer, hello,
        read,
    },
    tools::{Tool, listed, of},
};
use crate::{
    access::{Keys, Places},
    app::{App, takes},
    endpoints::{rows, signature::About, table::Table},
    front::{ApiError, Hosts, bearer, host_of},
};

/// The largest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Messages of one tenant that are worked on at a time.
const MESSAGES_MAX: usize = 64;

takes! {
    /// What the endpoint needs of a node.
    Node {
        keys: Arc<Keys>,
        hosts: Arc<Hosts>,
    }
}

/// The endpoint with its endpoints.
#[derive(Clone)]
pub struct Mcp {
    node: Node,
    endpoints: Router,
    manages: bool,
    places: Places,
}

fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The version that a request says was agreed. Absent is well.
fn version(headers: &HeaderMap) -> Result<(), RpcError> {
    let Some(said) = headers.get("mcp-protocol-version") else { return Ok(()) };
    let said = said.to_str().unwrap_or_default();
    if VERSIONS.contains(&said) {
        return Ok(());
    }
    let shown: String = said.chars().take(40).collect();
    let message = format!("the version `{shown}` of the protocol is not supported; use {}", VERSIONS[0]);
    let data = Some(json!({"supported": VERSIONS, "requested": shown}));
    Err(RpcError { data, ..RpcError::new(NO_VERSION, message) })
}

impl Mcp {
    async fn admit(&self, headers: &HeaderMap) -> Result<Arc<Access>, ApiError> {
        let key = bearer(headers).ok_or_else(|| ApiError::unauthorized("the MCP endpoint needs a key"))?;
        let access = self.node.keys.reading(key).await?.ok_or_else(ApiError::bad_key)?;
        if !self.node.hosts.serves(host_of(headers), &access.tenant) {
            return Err(ApiError::misdirected());
        }
        if !access.actor.may(&Right::Read) {
            let actor = access.actor.name.clone();
            return Err(ReleaseError::Forbidden { actor, right: Right::Read }.into());
        }
        Ok(access)
    }

    async fn called(&self, errand: &Errand<'_>, tools: &[Tool], params: &Value) -> Result<Value, RpcError> {
        let name = params["name"].as_str().unwrap_or_default();
        let Some(tool) = tools.iter().copied().find(|tool| tool.name() == name) else {
            let shown: String = name.chars().take(80).collect();
            let known: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
            let message = format!("the key has no tool `{shown}`; it has {}", known.join(", "));
            return Err(RpcError::new(INVALID_PARAMS, message));
        };
        let arguments: Map<String, Value> = match params.get("arguments") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            Some(_) => return Err(RpcError::new(INVALID_PARAMS, "`arguments` is not an object")),
        };
        let (text, failed) = match errand.run(tool, arguments).await {
            Ok(text) => (text, false),
            Err(Refused::Argument(why) | Refused::Endpoint(why)) => (why, true),
        };
        Ok(json!({"content": [{"type": "text", "text": text}], "isError": failed}))
    }

    async fn handle(&self, request: Request) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let access = self.admit(&parts.headers).await?;
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
        let taken = length.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX);
        let place = self.places.take(&TenantId::clone(&access.tenant), taken);
        let _place = place.ok_or_else(|| ApiError::from(ashlar_isolate::Busy::Full))?;
        let bytes: Bytes = to_bytes(body, MESSAGE_BYTES_MAX).await.map_err(|_| {
            let detail = format!("the message has more than {MESSAGE_BYTES_MAX} bytes, or it ended early");
            ApiError::new(413, "body-too-large", detail, "send less at a time")
        })?;
        let (id, method, params) = match read(&bytes) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(Message::Silent) => return Ok(StatusCode::ACCEPTED.into_response()),
            Err(error) => return Err(ApiError::invalid(error.message, "send one JSON-RPC 2.0 message")),
        };
        if method != "initialize"
            && let Err(error) = version(&parts.headers)
        {
            return Ok(json(StatusCode::BAD_REQUEST, &answer(&id, Err(error))));
        }
        let tools = of(&access.actor, self.manages);
        let result = match method.as_str() {
            "initialize" => Ok(hello(&params)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(listed(&tools)),
            "tools/call" => {
                let errand = Errand { parts: &parts, endpoints: self.endpoints.clone() };
                self.called(&errand, &tools, &params).await
            }
            "" => Err(RpcError::new(INVALID_REQUEST, "the method is empty")),
            other => {
                let shown: String = other.chars().take(80).collect();
                Err(RpcError::new(
                    NO_METHOD,
                    format!("there is no method `{shown}`; this server has tools only"),
                ))
            }
        };
        Ok(json(StatusCode::OK, &answer(&id, result)))
    }
}

async fn post(State(mcp): State<Mcp>, request: Request) -> Response {
    mcp.handle(request).await.unwrap_or_else(axum::response::IntoResponse::into_response)
}

/// The operation.
pub fn table() -> Table<Mcp> {
    Table::new().on_and(&rows::MCP, post, |about: &mut About, _| {
        let message = json!({
            "type": "object", "required": ["jsonrpc", "id", "method"],
            "properties": {
                "jsonrpc": {"type": "string", "const": "2.0"}, "id": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
                "method": {"type": "string", "enum": ["initialize", "ping", "tools/list", "tools/call"]},
                "params": {"type": "object"},
            },
        });
        about.body = Some(("application/json", message));
        about.object("The answer.");
        about.empty(202, "The message needs no answer.");
    })
}

/// Its route. `endpoints` answers what tools ask for.
pub fn router(app: &App, endpoints: Router, manages: bool) -> Router {
    let mcp = Mcp { node: Node::from_ref(app), endpoints, manages, places: Places::of(MESSAGES_MAX) };
    table().router.with_state(mcp)
}
