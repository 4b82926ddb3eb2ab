use std::sync::Arc;

use apollo_compiler::{introspection, request::coerce_variable_values, response::JsonMap, validation::Valid};
use ashlar_model::Locale;
use serde_json::{Map, Value};

use super::run;
use crate::{
    cache::{Composed, Sources},
    error::Failure,
    graphql::{
        Graph, document_id,
        plan::{self, Objection, Plan},
        request::{Asked, bad},
        schema::Schema,
    },
    http::{CACHE_CONTROL, Out, Pace, Problem, RequestParts, Written, cut},
    read::content::{self, Head, wanted},
    release::ReleaseView,
};

/// The longest key of a kept answer; what is longer is answered and not kept.
const KEY_BYTES_MAX: usize = 4 << 10;

/// The code that clients with persisted queries know.
const NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";

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
    answer(view, parts, (b'g', text.as_bytes()), &|| Asked::of_query(text), out)
}

/// Answers `POST /graphql`.
pub(crate) fn answer_post(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    answer(view, parts, (b'p', body), &|| Asked::of_body(body), out)
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
    if small && let Some(known) = view.known(&key, &out.pace)? {
        return write(view, parts, &known, CACHE_CONTROL, locale_named, out);
    }
    out.pace.parse(text.len())?;
    let made = made(view, asked()?, parts, locales, &out.pace)?;
    let composed = Arc::new(made.composed);
    if made.shared && small {
        view.caches.keep(key, composed.clone());
    }
    write(view, parts, &composed, made.cache_control, locale_named, out)
}

/// A new answer.
struct Made {
    composed: Composed,
    /// Whether it is one for everybody who asks the same, for as long as what it was made from stays.
    shared: bool,
    cache_control: &'static str,
}

/// Makes the answer that is asked for.
fn made(
    view: &ReleaseView,
    asked: Asked,
    parts: &RequestParts<'_>,
    locales: &[Locale],
    pace: &Pace,
) -> Result<Made, Failure> {
    let graph = view.definitions.graph();
    let compiled;
    let (plans, persisted) = match persisted(graph, &asked, pace)? {
        Some(plans) => (plans, true),
        None => {
            compiled = compiled_for(parts.developer, graph, &asked)?;
            (compiled.as_slice(), false)
        }
    };
    let plan = chosen(plans, asked.operation_name.as_deref())?;
    let schema = schema_of(graph)?;
    let variables = coerced(schema, plan, asked.variables)?;
    let first = locales.first().unwrap_or(&view.definitions.locales.all()[0]);
    if plan.introspection {
        let body = introspected(schema, plan, &variables)?;
        let composed = Composed::new(view.number, body, (first.clone(), 0), Sources::default());
        return Ok(Made { composed, shared: false, cache_control: "no-store" });
    }
    let variables = match serde_json::to_value(&variables) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let outcome = run::run(view, schema, plan, locales, (&variables, parts), pace)?;
    let locale = outcome.locale.unwrap_or_else(|| first.clone());
    let composed = Composed::new(view.number, outcome.body, (locale, 0), outcome.sources);
    let fine = persisted && !outcome.failed;
    let cache_control = if fine { outcome.searched.unwrap_or(CACHE_CONTROL) } else { "no-store" };
    // What a search finds depends on who asks, and perhaps on the time.
    Ok(Made { composed, shared: fine && outcome.searched.is_none(), cache_control })
}

fn schema_of(graph: &Graph) -> Result<&Schema, Failure> {
    let none = || bad("no-document", "No document", "there are no content types", "add contracts");
    graph.schema.as_ref().ok_or_else(none)
}

/// The variables of a request as the operation declares them.
fn coerced(schema: &Schema, plan: &Plan, given: Map<String, Value>) -> Result<JsonMap, Failure> {
    let given: JsonMap = serde_json::from_value(Value::Object(given))
        .map_err(|e| bad("bad-variables", "Bad variables", e.to_string(), "send a JSON object"))?;
    let coerced = coerce_variable_values(&schema.valid, &plan.operation, &given).map_err(|e| {
        let message = e.message().to_string();
        let at = e.location().and_then(|l| l.line_column(&plan.document.sources));
        Problem::new(400, "bad-variables", "Bad variables", message.clone())
            .help("send what the operation declares")
            .places([(message, at.map(|at| (at.line, at.column)))])
    })?;
    Ok(coerced.into_inner())
}

/// What an operation asks of the schema itself.
fn introspected(schema: &Schema, plan: &Plan, variables: &JsonMap) -> Result<Vec<u8>, Failure> {
    let implementers = schema.valid.implementers_map();
    let variables = Valid::assume_valid_ref(variables);
    let answered = introspection::check_max_depth(&plan.document, &plan.operation)
        .and_then(|()| {
            introspection::partial_execute(
                &schema.valid,
                &implementers,
                &plan.document,
                &plan.operation,
                variables,
            )
        })
        .map_err(|e| {
            bad("query-invalid", "Not valid", e.message().to_string(), "ask for less of the schema")
        })?;
    Ok(serde_json::to_vec(&answered).unwrap_or_default())
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
fn persisted<'g>(graph: &'g Graph, asked: &Asked, pace: &Pace) -> Result<Option<&'g [Plan]>, Failure> {
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
        pace.heavy()?;
    }
    graph.plans(document, typenames).map(Some).map_err(invalid)
}

/// The operations of a document as text, which only developers may send.
fn compiled_for(developer: bool, graph: &Graph, asked: &Asked) -> Result<Vec<Plan>, Failure> {
    let Some(text) = &asked.query else { return Err(no_document()) };
    if !developer {
        return Err(Problem::new(
            403,
            "persisted-only",
            "Persisted documents only",
            "Only persisted documents are run. Documents as text need a key with the scope `define`",
        )
        .help("add the document to queries/ and release it, then send its `documentId`")
        .into());
    }
    plan::compile(schema_of(graph)?, text, "query").map_err(|objections| invalid(&objections))
}

fn invalid(objections: &[Objection]) -> Failure {
    let messages: Vec<String> = objections
        .iter()
        .take(10)
        .map(|o| match o.at {
            Some((line, column)) => format!("{line}:{column} {}", o.message),
            None => o.message.clone(),
        })
        .collect();
    let help = objections.first().map(|o| o.help.clone()).unwrap_or_default();
    Problem::new(400, "query-invalid", "Not valid", messages.join("; "))
        .help(help)
        .places(objections.iter().take(10).map(|o| (o.message.clone(), o.at)))
        .into()
}

fn write(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    composed: &Composed,
    cache_control: &'static str,
    locale_named: bool,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let head = Head {
        cache_control,
        locale_named,
        content_type: parts.graphql_media_type(),
        by_accept: true,
        ..Head::of(composed)
    };
    content::composed(view, parts, &head, composed, out)
}
