//! Messages of JSON-RPC, as far as MCP clients of tools send them.

use serde_json::{Value, json};

/// Versions of the protocol, the newest first. What tools need is the same in all of them.
pub(super) const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// Codes of errors.
pub(super) const INVALID_REQUEST: i32 = -32_600;
pub(super) const NO_METHOD: i32 = -32_601;
pub(super) const INVALID_PARAMS: i32 = -32_602;
pub(super) const NOT_JSON: i32 = -32_700;
pub(super) const NO_VERSION: i32 = -32_022;
/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 256;

/// A message of a client.
pub(super) enum Message {
    /// It wants an answer.
    Request { id: Value, method: String, params: Value },
    /// It wants none: a notification, or an answer to nothing that was asked.
    Silent,
}

/// An error, as the answer to a request.
pub(super) struct RpcError {
    pub code: i32,
    pub message: String,
    pub data: Option<Value>,
}

impl RpcError {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Message, RpcError> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| RpcError::new(NOT_JSON, format!("the body is not JSON: {error}")))?;
    let Value::Object(mut map) = value else {
        return Err(RpcError::new(INVALID_REQUEST, "send one JSON-RPC message; batches are not supported"));
    };
    if map.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(RpcError::new(INVALID_REQUEST, "`jsonrpc` is not \"2.0\""));
    }
    let id = map.remove("id").filter(|id| !id.is_null());
    let Some(Value::String(method)) = map.remove("method") else {
        return match id {
            Some(_) => Ok(Message::Silent),
            None => Err(RpcError::new(INVALID_REQUEST, "the message has no method")),
        };
    };
    let Some(id) = id else { return Ok(Message::Silent) };
    let plain = match &id {
        Value::String(text) => text.len() <= ID_BYTES_MAX,
        Value::Number(_) => true,
        _ => false,
    };
    if !plain {
        return Err(RpcError::new(INVALID_REQUEST, "`id` is neither a short text nor a number"));
    }
    Ok(Message::Request { id, method, params: map.remove("params").unwrap_or_default() })
}

/// The answer to a request.
pub(super) fn answer(id: &Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => {
            let mut said = json!({"code": error.code, "message": error.message});
            if let Some(data) = error.data {
                said["data"] = data;
            }
            json!({"jsonrpc": "2.0", "id": id, "error": said})
        }
    }
}

/// The answer to a client that begins a session.
pub(super) fn hello(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": false}},
        "serverInfo": {"name": "ashlar", "title": "Ashlar", "version": env!("CARGO_PKG_VERSION")},
        "instructions": "Searches and reads released content. With a key that may write, it writes drafts into a changeset and \
            proposes them as a candidate, which the gates check. People approve and publish; no tool does.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_or_refused() {
        let code = |text: &str| read(text.as_bytes()).err().map(|error| error.code);
        assert_eq!(code("{"), Some(NOT_JSON));
        assert_eq!(code("[]"), Some(INVALID_REQUEST));
        assert_eq!(code("{\"id\":1,\"method\":\"ping\"}"), Some(INVALID_REQUEST));
        assert_eq!(code("{\"jsonrpc\":\"2.0\"}"), Some(INVALID_REQUEST));
        assert_eq!(code("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}"), Some(INVALID_REQUEST));
        assert!(matches!(
            read(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"),
            Ok(Message::Silent)
        ));
        assert!(matches!(
            read(b"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\"}"),
            Ok(Message::Request { .. })
        ));
        assert_eq!(hello(&json!({"protocolVersion": "2025-03-26"}))["protocolVersion"], "2025-03-26");
        assert_eq!(hello(&json!({"protocolVersion": "1999"}))["protocolVersion"], VERSIONS[0]);
    }
}
