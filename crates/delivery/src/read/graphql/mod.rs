//! GraphQL over HTTP: persisted documents by `documentId`, with GET and POST; documents as text for developers.

mod run;

use std::{collections::BTreeSet, sync::Arc};

use apollo_compiler::{introspection, request::coerce_variable_values, response::JsonMap};
use ashlar_model::Locale;
use serde_json::{Map, Value, json};

use crate::{
    Problem, ReleaseView, RequestParts,
    graphql::{
        Graph, document_id,
        plan::{self, Objection, Plan},
    },
    http::{
        message::{Content, Out},
        query,
    },
    read::{
        compose::Composed,
        entry::{Failure, Head, Written, content, cut, wanted},
    },
    views::CACHE_CONTROL,
};

/// The largest variables of a request, in bytes.
const VARIABLES_BYTES_MAX: usize = 32 << 10;
/// The longest key of a kept answer; what is longer is answered and not kept.
const KEY_BYTES_MAX: usize = 4 << 10;

/// The code that clients with persisted queries know.
const NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";

/// What is asked for.
struct Asked {
    /// The hexadecimal digest of a persisted document, by `documentId`.
    document_id: Option<String>,
    /// The same as `extensions.persistedQuery.sha256Hash`, as the clients of Apollo and others send it.
    persisted: Option<String>,
    /// A document as text.
    query: Option<String>,
    operation_name: Option<String>,
    variables: Map<String, Value>,
}

fn bad(
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

fn of_query(text: &str) -> Result<Asked, Failure> {
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

fn of_body(body: &[u8]) -> Result<Asked, Failure> {
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

/// Which operation of a document is meant.
fn chosen<'p>(plans: &'p [Plan], name: Option<&str>) -> Result<&'p Plan, Failure> {
    let names = || plans.iter().filter_map(|p| p.name.as_deref()).collect::<Vec<_>>().join(", ");
    match (name, plans) {
        (None, [one]) => Ok(one),
        (None, _) => Err(bad(
            "operation-name",
            "Which operation",
            "the document has several operations",
            format!("say one with `operationName`: {}", names()),
        )),
        (Some(name), plans) => plans.iter().find(|p| p.name.as_deref() == Some(name)).ok_or_else(|| {
            bad(
                "operation-name",
                "Which operation",
                format!("the document has no operation `{}`", cut(name)),
                format!("it has {}", names()),
            )
        }),
    }
}

/// Answers `GET /graphql`.
pub(crate) fn answer_get(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let text = parts.query.unwrap_or_default();
    answer(view, parts, (b'g', text.as_bytes()), &|| of_query(text), out)
}

/// Answers `POST /graphql`.
pub(crate) fn answer_post(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    answer(view, parts, (b'p', body), &|| of_body(body), out)
}

fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    (kind, text): (u8, &[u8]),
    asked: &dyn Fn() -> Result<Asked, Failure>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    // Reading the schema, and documents nobody has judged, takes as long as they are large.
    if parts.developer || !view.definitions.has_graph() {
        out.pace.heavy()?;
    }
    let (wanted, locale_named) = wanted(view, parts)?;
    let locales = wanted.as_slice();
    let mut key = Vec::with_capacity(text.len() + 64);
    key.extend_from_slice(view.definitions.digest.as_bytes());
    key.extend_from_slice(b"graphql");
    key.push(kind);
    for locale in locales {
        key.extend_from_slice(locale.as_str().as_bytes());
        key.push(b',');
    }
    key.push(0);
    key.extend_from_slice(text);
    let small = key.len() <= KEY_BYTES_MAX;
    if small && let Some(known) = view.caches.known(&key, view)? {
        return write(view, parts, &known, true, locale_named, out);
    }
    let asked = asked()?;
    let graph = view.definitions.graph();
    let compiled;
    let (plans, persisted) = match persisted(graph, &asked, out)? {
        Some(plans) => (plans, true),
        None => {
            let Some(text) = &asked.query else { return Err(no_document()) };
            if !parts.developer {
                return Err(Problem::new(
                    403,
                    "persisted-only",
                    "Persisted documents only",
                    "Only persisted documents are run. Documents as text need a key with the scope `define`",
                )
                .help("add the document to queries/ and release it, then send its `documentId`")
                .into());
            }
            compiled = compile(graph, text)?;
            (compiled.as_slice(), false)
        }
    };
    let plan = chosen(plans, asked.operation_name.as_deref())?;
    let Some(schema) = &graph.schema else {
        return Err(bad("no-document", "No document", "there are no content types", "add contracts"));
    };
    let given: JsonMap = serde_json::from_value(Value::Object(asked.variables))
        .map_err(|e| bad("bad-variables", "Bad variables", e.to_string(), "send a JSON object"))?;
    let coerced = coerce_variable_values(&schema.valid, &plan.operation, &given).map_err(|e| {
        let message = e.message().to_string();
        let at = e.location().and_then(|l| l.line_column(&plan.document.sources));
        Problem::new(400, "bad-variables", "Bad variables", message.clone())
            .help("send what the operation declares")
            .places([(message, at.map(|at| (at.line, at.column)))])
    })?;
    if plan.introspection {
        let implementers = schema.valid.implementers_map();
        let answered = introspection::check_max_depth(&plan.document, &plan.operation)
            .and_then(|()| {
                introspection::partial_execute(
                    &schema.valid,
                    &implementers,
                    &plan.document,
                    &plan.operation,
                    &coerced,
                )
            })
            .map_err(|e| {
                bad("query-invalid", "Not valid", e.message().to_string(), "ask for less of the schema")
            })?;
        let body = serde_json::to_vec(&answered).unwrap_or_default();
        let composed = Composed::new(
            view,
            body,
            (head_locale(view, locales), 0),
            Vec::new(),
            Vec::new(),
            &BTreeSet::new(),
        );
        return write(view, parts, &composed, false, locale_named, out);
    }
    let variables = match serde_json::to_value(&*coerced) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let outcome = run::run(view, schema, plan, locales, &variables, out.pace)?;
    let failed = outcome.failed;
    let locale = outcome.locale.unwrap_or_else(|| head_locale(view, locales));
    let composed = Arc::new(Composed::new(
        view,
        outcome.body,
        (locale, 0),
        outcome.looked,
        outcome.read,
        &outcome.lists,
    ));
    let keep = persisted && !failed;
    if keep && small {
        view.caches.keep(key, composed.clone());
    }
    write(view, parts, &composed, keep, locale_named, out)
}

fn no_document() -> Failure {
    bad(
        "no-document",
        "No document",
        "the request does not say what to run",
        "send `documentId`: `sha256:` and the SHA-256 of a document in queries/",
    )
}

/// The operations of the persisted document that is asked for, by an id, by a hash or by its text; `None` when the request
/// has another text.
fn persisted<'g>(graph: &'g Graph, asked: &Asked, out: &Out<'_>) -> Result<Option<&'g [Plan]>, Failure> {
    let known = match (&asked.document_id, &asked.persisted, &asked.query) {
        (Some(id), ..) => match graph.named(id) {
            Some(known) => known,
            None => {
                return Err(Problem::new(
                    404,
                    "unknown-document",
                    "Unknown document",
                    format!("no persisted document has the id sha256:{id}"),
                )
                .help("it has to be in queries/ of the release that is served; `ashlar contracts queries` lists ids")
                .into());
            }
        },
        (None, Some(hash), None) => match graph.named(hash) {
            Some(known) => known,
            // The words that clients look for; they answer by sending the text.
            None => return Err(Problem::new(200, NOT_FOUND, "Not found", "PersistedQueryNotFound").into()),
        },
        (None, hash, Some(text)) => {
            let own = document_id(text);
            if hash.as_ref().is_some_and(|h| *h != own) {
                return Err(bad(
                    "bad-extensions",
                    "Bad extensions",
                    "`sha256Hash` is not the SHA-256 of `query`",
                    "send the hash of the text that is sent, as UTF-8",
                ));
            }
            match graph.named(&own) {
                Some(known) => known,
                None => return Ok(None),
            }
        }
        (None, None, None) => return Err(no_document()),
    };
    let (document, typenames) = known;
    if typenames && document.with_typenames.get().is_none() {
        // Compiling takes as long as the document is large.
        out.pace.heavy()?;
    }
    graph.plans(document, typenames).map(Some).map_err(invalid)
}

fn head_locale(view: &ReleaseView, locales: &[Locale]) -> Locale {
    locales.first().cloned().unwrap_or_else(|| view.definitions.locales.all()[0].clone())
}

fn compile(graph: &Graph, text: &str) -> Result<Vec<Plan>, Failure> {
    let Some(schema) = &graph.schema else {
        return Err(bad("no-document", "No document", "there are no content types", "add contracts"));
    };
    plan::compile(schema, text, "query").map_err(|objections| invalid(&objections))
}

fn invalid(objections: &[Objection]) -> Failure {
    let told: Vec<String> = objections
        .iter()
        .take(10)
        .map(|o| match o.at {
            Some((line, column)) => format!("{line}:{column} {}", o.message),
            None => o.message.clone(),
        })
        .collect();
    let help = objections.first().map(|o| o.help.clone()).unwrap_or_default();
    Problem::new(400, "query-invalid", "Not valid", told.join("; "))
        .help(help)
        .places(objections.iter().take(10).map(|o| (o.message.clone(), o.at)))
        .into()
}

fn write(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    composed: &Composed,
    shared: bool,
    locale_named: bool,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let head = Head {
        contract: ("", 0),
        locale: composed.locale.as_str(),
        digest: composed.digest,
        surrogate: &composed.surrogate,
        cache_control: if shared { CACHE_CONTROL } else { "no-store" },
        locale_named,
        of_view: b"",
        content_type: content_type(parts),
        by_accept: true,
    };
    content(view, parts, &head, composed.body.len(), &Content::Kept(&composed.body), out)
}

/// The media type of answers: that of GraphQL when the client takes it, else JSON.
pub(crate) fn content_type(parts: &RequestParts<'_>) -> &'static [u8] {
    match parts.accept {
        Some(accept) if accept.contains("application/graphql-response+json") => {
            b"application/graphql-response+json; charset=utf-8"
        }
        _ => b"application/json; charset=utf-8",
    }
}

/// A problem as GraphQL clients read it: an error for each thing that is wrong, with its place in the document.
pub(crate) fn problem_body(problem: &Problem, trace_id: &str) -> Vec<u8> {
    let mut extensions = json!({"code": problem.code, "trace_id": trace_id});
    if !problem.help.is_empty() {
        extensions["help"] = json!(problem.help);
    }
    let one = |message: &str, at: Option<(usize, usize)>| match at {
        Some((line, column)) => {
            json!({"message": message, "locations": [{"line": line, "column": column}], "extensions": extensions})
        }
        None => json!({"message": message, "extensions": extensions}),
    };
    let errors: Vec<Value> = match problem.places.as_slice() {
        [] => vec![one(&problem.detail, None)],
        places => places.iter().map(|(message, at)| one(message, *at)).collect(),
    };
    json!({"errors": errors}).to_string().into_bytes()
}
