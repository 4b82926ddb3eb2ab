//! What delivery answers without a router, described by hand.

use ashlar_delivery::{Answered, ClickBody, QuestionBody, Results, Suggestions};
use ashlar_model::{EntryId, Locale, TypeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::endpoints::{
    rows,
    signature::{About, Reply, Schemas},
    table::{Row, documented},
};

/// The fields of an entry.
type Fields = Map<String, Value>;

/// What names an entry in a path.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads paths itself; this says what it takes")]
struct EntryAt {
    #[serde(rename = "type")]
    type_name: TypeName,
    id: EntryId,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads paths itself; this says what it takes")]
struct TypeAt {
    #[serde(rename = "type")]
    type_name: TypeName,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct ReadQuery {
    /// The language; by `Accept-Language` when absent.
    locale: Option<Locale>,
    /// `draft`, a candidate, a release or a channel; needs the scope `preview`.
    at: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct ListQuery {
    /// The language; by `Accept-Language` when absent.
    locale: Option<Locale>,
    /// `draft`, a candidate, a release or a channel; needs the scope `preview`.
    at: Option<String>,
    /// An indexed field; `-` before it turns the order.
    sort: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// The most items of a page.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct RouteQuery {
    /// The path.
    #[schemars(regex(pattern = "^/"))]
    path: String,
    /// The language to look in first.
    locale: Option<Locale>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct SearchQuery {
    /// Words. `"…"` is a phrase, `-word` excludes. At most 1,000 bytes.
    q: String,
    /// The language; by `Accept-Language` when absent.
    locale: Option<Locale>,
    /// Indexes, separated by commas; by the query when absent.
    index: Option<String>,
    /// Content types, separated by commas.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// The most hits.
    #[schemars(range(min = 1, max = 50))]
    limit: Option<u32>,
    /// How many hits to skip.
    #[schemars(range(min = 0, max = 1000))]
    offset: Option<u32>,
    /// `hybrid`, `words` or `meaning`.
    mode: Option<SearchMode>,
    /// What is counted, separated by commas: `type`, `index`, attributes.
    facets: Option<String>,
    /// How much hits that are unlike each other are preferred, from 0 (not at all) to 1.
    diversity: Option<f32>,
    /// A version of the product, such as `2.3.1`.
    version: Option<String>,
    /// `draft`, a candidate, a release or a channel; needs the scope `preview`.
    at: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct SuggestQuery {
    /// What was typed so far. At most 1,000 bytes.
    q: String,
    /// The language; by `Accept-Language` when absent.
    locale: Option<Locale>,
    /// Indexes, separated by commas; by the query when absent.
    index: Option<String>,
    /// Content types, separated by commas.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// The most suggestions.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<u32>,
    /// A version of the product, such as `2.3.1`.
    version: Option<String>,
    /// `draft`, a candidate, a release or a channel; needs the scope `preview`.
    at: Option<String>,
}

/// How a search finds.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
enum SearchMode {
    /// By words and by meaning.
    Hybrid,
    /// By words alone.
    Words,
    /// By meaning alone.
    Meaning,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "delivery reads queries itself; this says what it takes")]
struct GraphQuery {
    /// The persisted document: its name or the hash of its text.
    document_id: Option<String>,
    /// The document itself; needs the scope `define` unless it is persisted.
    query: Option<String>,
    /// The operation, when the document has several.
    operation_name: Option<String>,
    /// The variables, a JSON object.
    variables: Option<String>,
    /// `extensions.persistedQuery.sha256Hash` as JSON.
    extensions: Option<String>,
}

/// A GraphQL request.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GraphQlRequest")]
#[allow(dead_code, reason = "delivery reads bodies itself; this says what it takes")]
struct GraphBody {
    /// The persisted document: its name or the hash of its text.
    document_id: Option<String>,
    /// The document itself; needs the scope `define` unless it is persisted.
    query: Option<String>,
    /// The operation, when the document has several.
    operation_name: Option<String>,
    /// The variables.
    variables: Option<Map<String, Value>>,
    /// Such as `persistedQuery` with its `sha256Hash`.
    extensions: Option<Map<String, Value>>,
}

/// A GraphQL answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GraphQlResponse")]
struct GraphAnswer {
    /// What was asked for; absent when nothing could be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<GraphError>>,
}

/// Something that is wrong with a GraphQL request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GraphQlError")]
struct GraphError {
    /// What is wrong.
    message: String,
}

/// An entry of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveredEntry")]
struct Item {
    /// The id within the type.
    id: EntryId,
    /// The language.
    locale: Locale,
    /// Its fields.
    fields: Fields,
}

/// A page of entries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveredEntries")]
struct Items {
    /// The entries.
    items: Vec<Item>,
    /// Where the next page starts; absent on the last.
    next_cursor: Option<String>,
}

/// What a path shows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Route")]
struct Route {
    /// The path.
    path: String,
    /// 200, or that of a redirect, or 410.
    status: u16,
    /// The content type, when an entry is there.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<TypeName>,
    /// The entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EntryId>,
    /// Its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<Locale>,
    /// When it was last modified, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    /// Its paths in other languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    alternates: Option<Map<String, Value>>,
    /// Where a redirect leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

const CONDITION: (&str, &str) =
    ("If-None-Match", "The ETag of a copy; answered with 304 when it is still right.");

fn delivered(reply: &mut Reply) {
    reply.headers.extend([
        ("ETag", "The hash of the content."),
        ("Ashlar-Release", "The release it is from."),
        ("Cache-Control", "How long it may be kept."),
    ]);
}

fn read<T: JsonSchema>(about: &mut About, schemas: &mut Schemas) {
    about.headers.push(CONDITION);
    delivered(about.json::<T>(200, "Done.", schemas));
    about.empty(304, "Not modified.");
}

fn graph(about: &mut About, schemas: &mut Schemas) {
    delivered(about.json::<GraphAnswer>(200, "Done.", schemas));
}

/// What delivery answers.
pub fn rows() -> Vec<Row> {
    vec![
        documented(&rows::GET_ENTRY, |about, schemas| {
            about.path = Some(EntryAt::json_schema(&mut schemas.sent).to_value());
            about.query::<ReadQuery>(schemas);
            read::<Fields>(about, schemas);
        }),
        documented(&rows::LIST_ENTRIES, |about, schemas| {
            about.path = Some(TypeAt::json_schema(&mut schemas.sent).to_value());
            about.query::<ListQuery>(schemas);
            read::<Items>(about, schemas);
        }),
        documented(&rows::GET_VIEW, |about, schemas| {
            about.query::<ReadQuery>(schemas);
            read::<Fields>(about, schemas);
        }),
        documented(&rows::GET_ROUTE, |about, schemas| {
            about.query::<RouteQuery>(schemas);
            read::<Route>(about, schemas);
        }),
        documented(&rows::SEARCH, |about, schemas| {
            about.query::<SearchQuery>(schemas);
            read::<Results>(about, schemas);
        }),
        documented(&rows::SUGGEST, |about, schemas| {
            about.query::<SuggestQuery>(schemas);
            read::<Suggestions>(about, schemas);
        }),
        documented(&rows::QUERY_GRAPHQL, |about, schemas| {
            about.query::<GraphQuery>(schemas);
            graph(about, schemas);
        }),
        documented(&rows::ANSWER_QUESTION, |about, schemas| {
            about.query::<ReadQuery>(schemas);
            about.body = Some(("application/json", schemas.sent.subschema_for::<QuestionBody>().to_value()));
            delivered(about.json::<Answered>(200, "Done.", schemas));
        }),
        documented(&rows::REPORT_CLICK, |about, schemas| {
            about.body = Some(("application/json", schemas.sent.subschema_for::<ClickBody>().to_value()));
            about.empty(204, "Counted.");
        }),
        documented(&rows::POST_GRAPHQL, |about, schemas| {
            about.body = Some(("application/json", schemas.sent.subschema_for::<GraphBody>().to_value()));
            graph(about, schemas);
        }),
    ]
}
