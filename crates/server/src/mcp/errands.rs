//! What a tool does: requests to endpoints, with the caller's own key.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request, StatusCode, header, request::Parts},
};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::tools::Tool;
use crate::endpoints::{Operation, rows};

/// The largest answer of an endpoint that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// The longest result, in bytes.
const RESULT_BYTES_MAX: usize = 256 << 10;
/// Hits of a search when a client does not say.
const HITS: u64 = 10;
/// Findings of one gate that are returned.
const FINDINGS_MAX: usize = 20;

/// An argument that a tool does not take, or an endpoint that refused.
pub(super) enum Refused {
    Argument(String),
    Endpoint(String),
}

/// What a tool answers.
type Outcome = Result<Value, Refused>;

/// Who calls, and where endpoints are.
pub(super) struct Errand<'a> {
    pub parts: &'a Parts,
    pub endpoints: Router,
}

/// The arguments of a call, which are taken one by one.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn text(&mut self, name: &str) -> Result<Option<String>, Refused> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(Refused::Argument(format!("`{name}` is not a text, or it is empty"))),
        }
    }

    fn needed(&mut self, name: &str) -> Result<String, Refused> {
        self.text(name)?.ok_or_else(|| Refused::Argument(format!("`{name}` is missing")))
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, Refused> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| Refused::Argument(format!("`{name}` is not a whole number"))),
        }
    }

    /// Nothing is left over.
    fn done(self) -> Result<(), Refused> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(80).collect();
                Err(Refused::Argument(format!("the tool has no argument `{shown}`")))
            }
        }
    }
}

impl Errand<'_> {
    /// Calls an endpoint.
    async fn call(&self, operation: &Operation, target: &str, body: Option<&Value>) -> Outcome {
        let method = Method::from_bytes(operation.method.name().as_bytes()).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(target);
        // The key, the host and the trace are those of the caller.
        for name in ["authorization", "host", "traceparent"] {
            if let Some(value) = self.parts.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let mut request = request
            .body(body)
            .map_err(|_| Refused::Argument("an argument cannot be part of an address".to_owned()))?;
        *request.extensions_mut() = self.parts.extensions.clone();
        let response = self.endpoints.clone().oneshot(request).await;
        let response = response.unwrap_or_else(|never| match never {});
        let status = response.status();
        let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX)
            .await
            .map_err(|_| Refused::Endpoint(format!("the answer has more than {ANSWER_BYTES_MAX} bytes")))?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match status.is_success() {
            true => Ok(value),
            false => Err(Refused::Endpoint(problem(status, &value))),
        }
    }

    /// Runs a tool.
    pub async fn run(&self, tool: Tool, arguments: Map<String, Value>) -> Result<String, Refused> {
        let arguments = Arguments(arguments);
        let value = match tool {
            Tool::Search => self.search(arguments).await?,
            Tool::Read => self.read(arguments).await?,
            Tool::Draft => self.draft(arguments).await?,
            Tool::Propose => self.propose(arguments).await?,
        };
        let text = value.to_string();
        match text.len() > RESULT_BYTES_MAX {
            true => Err(Refused::Endpoint(format!(
                "the result has {} bytes; at most {RESULT_BYTES_MAX} are returned",
                text.len()
            ))),
            false => Ok(text),
        }
    }

    async fn search(&self, mut arguments: Arguments) -> Outcome {
        let mut call = rows::SEARCH.call().with("q", arguments.needed("query")?);
        if let Some(locale) = arguments.text("locale")? {
            call = call.with("locale", locale);
        }
        if let Some(index) = arguments.text("index")? {
            call = call.with("index", index);
        }
        call = call.with("limit", arguments.number("limit")?.unwrap_or(HITS));
        arguments.done()?;
        self.call(&rows::SEARCH, &call.target, None).await
    }

    async fn read(&self, mut arguments: Arguments) -> Outcome {
        let named = [arguments.needed("type")?, arguments.needed("id")?];
        let (locale, at) = (arguments.text("locale")?, arguments.text("at")?);
        arguments.done()?;
        // A draft is read where it is written: its version is needed to write it again.
        let (row, at) = match at.as_deref() {
            Some("draft") => (&rows::GET_DRAFT, None),
            _ => (&rows::GET_ENTRY, at),
        };
        let mut call = row.at(named);
        if let Some(locale) = locale {
            call = call.with("locale", locale);
        }
        if let Some(at) = at {
            call = call.with("at", at);
        }
        self.call(row, &call.target, None).await
    }

    async fn draft(&self, mut arguments: Arguments) -> Outcome {
        let (kind, id) = (arguments.needed("type")?, arguments.needed("id")?);
        let (locale, changeset) = (arguments.text("locale")?, arguments.needed("changeset")?);
        let version = arguments.number("version")?;
        let fields = match arguments.0.remove("fields") {
            Some(Value::Object(fields)) => Value::Object(fields),
            _ => return Err(Refused::Argument("`fields` is not an object".to_owned())),
        };
        arguments.done()?;
        // The changeset first: a draft outside of one would be frozen with the next candidate of all.
        let existing =
            self.call(&rows::GET_CHANGESET, &rows::GET_CHANGESET.at([&changeset]).target, None).await;
        if existing.is_err() {
            let new = json!({"name": changeset, "title": "Proposed over MCP"});
            self.call(&rows::CREATE_CHANGESET, &rows::CREATE_CHANGESET.call().target, Some(&new)).await?;
        }
        let mut call = rows::PUT_DRAFT.at([&kind, &id]);
        if let Some(locale) = &locale {
            call = call.with("locale", locale);
        }
        if let Some(version) = version {
            call = call.with("version", version);
        }
        let written = self.call(&rows::PUT_DRAFT, &call.target, Some(&json!({ "fields": fields }))).await?;
        let key = json!({"type": written["type"], "id": written["id"], "locale": written["locale"]});
        let added = rows::ADD_TO_CHANGESET.at([&changeset]).target;
        self.call(&rows::ADD_TO_CHANGESET, &added, Some(&json!({"drafts": [key]}))).await?;
        Ok(json!({
            "type": written["type"], "id": written["id"], "locale": written["locale"], "version": written["version"],
            "changeset": changeset, "findings": written.get("findings").cloned().unwrap_or_else(|| json!([])),
        }))
    }

    async fn propose(&self, mut arguments: Arguments) -> Outcome {
        let body = json!({
            "changeset": arguments.needed("changeset")?, "note": arguments.text("note")?.unwrap_or_default(),
        });
        arguments.done()?;
        let made =
            self.call(&rows::CREATE_CANDIDATE, &rows::CREATE_CANDIDATE.call().target, Some(&body)).await?;
        let gates = made["gates"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|gate| {
            let findings = gate["findings"].as_array().map_or(&[][..], Vec::as_slice);
            json!({
                "gate": gate["gate"], "status": gate["status"], "summary": gate["summary"],
                "findings": findings.iter().take(FINDINGS_MAX).collect::<Vec<_>>(), "findings_total": findings.len(),
            })
        });
        let gates: Vec<Value> = gates.collect();
        Ok(json!({
            "candidate": made["candidate"], "status": made["status"], "changeset": made["changeset"],
            "changed": made["changed"], "gates": gates,
        }))
    }
}

/// A problem as a sentence.
fn problem(status: StatusCode, value: &Value) -> String {
    let detail = value["detail"].as_str().or(value["title"].as_str()).unwrap_or("the request was refused");
    let help = value["help"].as_str().filter(|help| !help.is_empty());
    let findings = value["findings"].as_array().map_or(&[][..], Vec::as_slice).iter().take(FINDINGS_MAX);
    let findings = findings.filter_map(|finding| finding["message"].as_str());
    let mut said =
        format!("{} ({}, status {})", detail, value["code"].as_str().unwrap_or("refused"), status.as_u16());
    for more in help.into_iter().chain(findings) {
        said.push_str("; ");
        said.push_str(more);
    }
    said
}
