//! What a GraphQL request asks for: a persisted document by `documentId`, or a document as text for developers.

use serde_json::{Map, Value};

use crate::{
    error::Failure,
    http::{Problem, cut, query},
};

/// The largest variables of a request, in bytes.
const VARIABLES_BYTES_MAX: usize = 32 << 10;

/// What is asked for.
pub(crate) struct Asked {
    /// The hexadecimal digest of a persisted document, by `documentId`.
    pub(crate) document_id: Option<String>,
    /// The same as `extensions.persistedQuery.sha256Hash`, as the clients of Apollo and others send it.
    pub(crate) persisted: Option<String>,
    /// A document as text.
    pub(crate) query: Option<String>,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Map<String, Value>,
}

/// A problem of status 400.
pub(crate) fn bad(
    code: &'static str,
    title: &'static str,
    detail: impl Into<String>,
    help: impl Into<String>,
) -> Failure {
    Problem::new(400, code, title, detail).help(help).into()
}

/// `sha256:…` or the bare digest.
fn read_id(text: &str) -> Result<String, Failure> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(hex.to_ascii_lowercase());
    }
    Err(bad(
        "bad-document-id",
        "Bad document id",
        format!("`{}` is not a document id", cut(text)),
        "documentId is `sha256:` and the SHA-256 of the document in 64 hexadecimal digits",
    ))
}

/// The hash in `extensions`; what else is in there is for others.
fn read_extensions(extensions: &Value) -> Result<Option<String>, Failure> {
    let Some(persisted) = extensions.get("persistedQuery").filter(|p| !p.is_null()) else { return Ok(None) };
    let help =
        "send {\"persistedQuery\": {\"version\": 1, \"sha256Hash\": …}} with the SHA-256 of the document";
    let wrong = |detail: String| bad("bad-extensions", "Bad extensions", detail, help);
    if let Some(version) = persisted.get("version").filter(|v| **v != 1) {
        return Err(wrong(format!(
            "`persistedQuery.version` is {}; version 1 is known",
            cut(&version.to_string())
        )));
    }
    match persisted.get("sha256Hash") {
        Some(Value::String(hash)) => read_id(hash).map(Some),
        _ => Err(wrong("`persistedQuery` has no `sha256Hash`".to_owned())),
    }
}

fn extensions_of(text: &str) -> Result<Option<String>, Failure> {
    if text.len() > VARIABLES_BYTES_MAX {
        let detail = format!("the extensions have more than {VARIABLES_BYTES_MAX} bytes");
        return Err(bad("bad-extensions", "Bad extensions", detail, "send less in one request"));
    }
    let value: Value = serde_json::from_str(text).map_err(|e| {
        let help = "send a JSON object; in a URL it is percent-encoded";
        bad("bad-extensions", "Bad extensions", format!("the extensions are not JSON: {e}"), help)
    })?;
    read_extensions(&value)
}

/// The hash of the document that the query of a `GET` asks for.
pub(crate) fn asked_for(query: &str) -> Option<String> {
    let mut of_extensions = None;
    for (name, value) in query::pairs(query) {
        match name.as_ref() {
            "documentId" => return read_id(&value).ok(),
            "extensions" => of_extensions = extensions_of(&value).ok().flatten(),
            _ => {}
        }
    }
    of_extensions
}

fn read_variables(text: &str) -> Result<Map<String, Value>, Failure> {
    if text.len() > VARIABLES_BYTES_MAX {
        return Err(Problem::new(
            413,
            "variables-too-large",
            "Variables too large",
            format!("the variables have more than {VARIABLES_BYTES_MAX} bytes"),
        )
        .help("send less in one request")
        .into());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(bad("bad-variables", "Bad variables", "the variables are no JSON object", "send `{…}`")),
        Err(e) => Err(bad(
            "bad-variables",
            "Bad variables",
            format!("the variables are not JSON: {e}"),
            "send a JSON object; in a URL it is percent-encoded",
        )),
    }
}

impl Asked {
    /// What the query of a `GET` asks for.
    pub(crate) fn of_query(text: &str) -> Result<Self, Failure> {
        let mut out = Asked {
            document_id: None,
            persisted: None,
            query: None,
            operation_name: None,
            variables: Map::new(),
        };
        for (name, value) in query::pairs(text) {
            match name.as_ref() {
                "documentId" => out.document_id = Some(read_id(&value)?),
                "extensions" if !value.is_empty() => out.persisted = extensions_of(&value)?,
                "query" => out.query = Some(value.into_owned()),
                "operationName" if !value.is_empty() => out.operation_name = Some(value.into_owned()),
                "variables" if !value.is_empty() => out.variables = read_variables(&value)?,
                _ => {}
            }
        }
        Ok(out)
    }

    /// What the body of a `POST` asks for.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|e| {
            bad(
                "bad-body",
                "Bad body",
                format!("the body is not JSON: {e}"),
                "send {\"documentId\": …, \"variables\": {…}}",
            )
        })?;
        let Value::Object(map) = value else {
            return Err(bad(
                "bad-body",
                "Bad body",
                "the body is no JSON object",
                "batches are not taken; send one at a time",
            ));
        };
        let text = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => {
                Err(bad("bad-body", "Bad body", format!("`{name}` is no text"), "send it as a JSON string"))
            }
        };
        let variables = match map.get("variables") {
            None => Map::new(),
            Some(given) => read_variables(&given.to_string())?,
        };
        Ok(Asked {
            document_id: text("documentId")?.map(|id| read_id(&id)).transpose()?,
            persisted: map.get("extensions").map_or(Ok(None), read_extensions)?,
            query: text("query")?,
            operation_name: text("operationName")?,
            variables,
        })
    }
}
