//! Tools of MCP servers: a client of the part of the protocol that tools need (`initialize` and `tools/call` over streamable HTTP, up to
//! version 2025-11-25). Answers are bounded by bytes, and requests of the server are not answered.

use ashlar_gateway::{
    tools::{Order, ToolFailure},
    wire::SseReader,
};
use ashlar_model::TenantId;
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    http::beginning,
    server::{Session, ToolServer},
};

/// The version that is asked for.
const VERSION: &str = "2025-11-25";
/// Versions whose tools work in the same way.
const VERSIONS: [&str; 4] = [VERSION, "2025-06-18", "2025-03-26", "2024-11-05"];
/// The most bytes of an answer, beyond those of the result.
const AROUND_BYTES: usize = 64 << 10;
/// How many bytes of JSON a byte of text may have.
const ESCAPED: usize = 6;
/// The longest name of a session, in bytes.
const SESSION_BYTES_MAX: usize = 1_024;
/// The longest message of a server that is repeated, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// What came of a request.
enum Answer {
    Message(Value),
    /// The server accepted it and says nothing.
    Accepted,
    /// The server has forgotten the session.
    NoSession,
}

fn malformed(why: &str) -> ToolFailure {
    ToolFailure::new(format!("the MCP server of the tool {why}"))
}

/// Reads the message with an id from events, as they come.
async fn of_events(
    server: &ToolServer,
    mut response: Response,
    id: u64,
    bytes_max: usize,
) -> Result<Value, ToolFailure> {
    let (mut reader, mut bytes) = (SseReader::default(), 0);
    while let Some(chunk) = response.chunk().await.map_err(|error| server.failed(&error))? {
        bytes += chunk.len();
        if bytes > bytes_max {
            return Err(malformed(&format!("answered more than {bytes_max} bytes")));
        }
        reader.push(&chunk).map_err(|_| malformed("sent an event that is too long"))?;
        while let Some(event) = reader.next_event() {
            let message: Value = serde_json::from_slice(&event.data).unwrap_or_default();
            // Requests and notifications of the server have a method.
            if message["id"] == id && message.get("method").is_none() {
                return Ok(message);
            }
        }
    }
    Err(malformed("closed the connection before it answered"))
}

/// Sends a message. `id` is that of a request; notifications have none.
async fn send(
    server: &ToolServer,
    order: &Order<'_>,
    session: Option<&Session>,
    message: &Value,
) -> Result<(Answer, Option<HeaderValue>), ToolFailure> {
    let mut headers = server.headers(order)?;
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(session) = session {
        headers.insert("mcp-protocol-version", HeaderValue::from_static(session.version));
        if let Some(id) = &session.id {
            headers.insert("mcp-session-id", id.clone());
        }
    }
    let bytes_max = order.bytes_max.saturating_mul(ESCAPED).saturating_add(AROUND_BYTES);
    let sending = server.client.post(&server.url).headers(headers).timeout(order.timeout);
    let sent = sending.body(message.to_string()).send().await;
    let response = sent.map_err(|error| server.failed(&error))?;
    let status = response.status().as_u16();
    let given = response.headers().get("mcp-session-id").filter(|id| id.len() <= SESSION_BYTES_MAX).cloned();
    if status == 404 && session.is_some_and(|session| session.id.is_some()) {
        return Ok((Answer::NoSession, given));
    }
    let Some(id) = message["id"].as_u64() else { return Ok((Answer::Accepted, given)) };
    if !response.status().is_success() {
        return Err(malformed(&format!("answered {status}")));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/event-stream") {
        return Ok((Answer::Message(of_events(server, response, id, bytes_max).await?), given));
    }
    let (body, cut) = beginning(server, response, bytes_max).await?;
    if cut {
        return Err(malformed(&format!("answered more than {bytes_max} bytes")));
    }
    let message: Value =
        serde_json::from_slice(&body).map_err(|_| malformed("answered something that is not JSON"))?;
    match message["id"] == id {
        true => Ok((Answer::Message(message), given)),
        false => Err(malformed("answered another request")),
    }
}

/// The result of an answer.
fn result(message: &Value) -> Result<&Value, ToolFailure> {
    if let Some(error) = message.get("error") {
        let said: String =
            error["message"].as_str().unwrap_or("an error").chars().take(MESSAGE_CHARS_MAX).collect();
        return Err(malformed(&format!("refused the call: {said}")));
    }
    message.get("result").ok_or_else(|| malformed("answered without a result"))
}

async fn begin(server: &ToolServer, order: &Order<'_>) -> Result<Session, ToolFailure> {
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": VERSION, "capabilities": {},
            "clientInfo": {"name": "ashlar", "version": env!("CARGO_PKG_VERSION")},
        },
    });
    let (Answer::Message(message), id) = send(server, order, None, &hello).await? else {
        return Err(malformed("did not answer `initialize`"));
    };
    let offered = result(&message)?["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS
        .into_iter()
        .find(|known| *known == offered)
        .ok_or_else(|| malformed("speaks another version of the protocol"))?;
    let session = Session { id, version };
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    send(server, order, Some(&session), &ready).await?;
    Ok(session)
}

/// The session of a tenant. Begins one if the tenant has no session yet.
async fn session(server: &ToolServer, order: &Order<'_>) -> Result<Session, ToolFailure> {
    let known = server.sessions.lock().await.get(order.tenant).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let begun = begin(server, order).await?;
    server.sessions.lock().await.insert(TenantId::clone(order.tenant), begun.clone());
    Ok(begun)
}

/// The text of a result.
fn shown(result: &Value, bytes_max: usize) -> String {
    let parts = result["content"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|part| {
        match (part["text"].as_str().or(part["resource"]["text"].as_str()), part["type"].as_str()) {
            (Some(text), _) => text.to_owned(),
            (None, kind) => format!("({} left out)", kind.unwrap_or("something")),
        }
    });
    let mut text = parts.collect::<Vec<_>>().join("\n");
    if let (true, Some(structured)) = (text.is_empty(), result.get("structuredContent")) {
        text = structured.to_string();
    }
    if text.len() > bytes_max {
        return super::http::text(&text.as_bytes()[..bytes_max], true);
    }
    text
}

/// Runs a tool.
pub(super) async fn run(
    server: &ToolServer,
    order: &Order<'_>,
    tool: &str,
    arguments: &Value,
) -> Result<String, ToolFailure> {
    let call = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments},
    });
    // A server that has forgotten the session did not run the tool, so it is asked again once.
    for _ in 0..2 {
        let session = session(server, order).await?;
        match send(server, order, Some(&session), &call).await?.0 {
            Answer::Message(message) => {
                let result = result(&message)?;
                let text = shown(result, order.bytes_max);
                return match result["isError"].as_bool() {
                    Some(true) => Err(ToolFailure::new(text)),
                    _ => Ok(text),
                };
            }
            Answer::Accepted => return Err(malformed("did not answer the call")),
            Answer::NoSession => drop(server.sessions.lock().await.remove(order.tenant)),
        }
    }
    Err(malformed("forgets its sessions"))
}
