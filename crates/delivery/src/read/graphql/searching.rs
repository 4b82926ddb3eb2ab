//! The fields `search` and `answer`: what `GET /v1/search` and `POST /v1/answers` answer, as the bytes of an object.

use std::{borrow::Cow, collections::BTreeMap};

use ashlar_model::{Locale, TypeName};
use serde::Serialize;
use serde_json::{Value, json};

use super::given::{Given, bad, plain};
use crate::{
    error::Failure,
    http::{RequestParts, cut},
    read::{
        answers::{Asked, Asker},
        search::{Question, Search},
    },
    release::ReleaseView,
};

/// The most parameters of a search, as in a query string.
const PARAMETERS_MAX: usize = 64;

/// A list of texts; the schema allows one text as well.
fn texts(value: Option<Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().map(plain).collect(),
        Some(other) => vec![plain(&other)],
        None => Vec::new(),
    }
}

/// Attributes with their values.
fn filters(given: &Given<'_>) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let filters = match given.value("filters") {
        Some(Value::Array(filters)) => filters,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let read = |filter: &Value| {
        let name = filter.get("name").map(plain).unwrap_or_default();
        if name != "version" && Question::is_parameter(&name) {
            let detail = format!("`{}` is not an attribute to filter by", cut(&name));
            return Err(bad(detail, "filter by attributes of retrieval.toml, or by `version`"));
        }
        Ok((name, texts(filter.get("values").cloned())))
    };
    filters.iter().map(read).collect()
}

/// Names the entry of each of these objects, for the field `entry`.
fn name_entries(objects: Option<&mut Value>) {
    for object in objects.and_then(Value::as_array_mut).into_iter().flatten() {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        object["entry"] = json!(format!("{}/{}", text("type"), text("id")));
    }
}

/// A value as it is written: a number of half the precision has no more digits than over HTTP.
fn shown(value: &impl Serialize) -> Value {
    let written = serde_json::to_vec(value).unwrap_or_default();
    serde_json::from_slice(&written).unwrap_or_else(|_| json!({}))
}

/// What a search finds.
pub(super) fn results(
    view: &ReleaseView,
    given: &Given<'_>,
    locales: &[Locale],
    parts: &RequestParts<'_>,
) -> Result<(String, Search), Failure> {
    let mut question = Question::new("", locales.to_vec());
    question.reader = parts.reader.map(str::to_owned);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (argument, parameter) in [("query", "q"), ("mode", "mode"), ("limit", "limit"), ("offset", "offset")]
    {
        pairs.extend(given.value(argument).map(|value| (parameter.to_owned(), plain(&value))));
    }
    for (argument, parameter) in [("indexes", "index"), ("types", "type"), ("facets", "facets")] {
        pairs.extend(texts(given.value(argument)).into_iter().map(|value| (parameter.to_owned(), value)));
    }
    for (name, values) in filters(given)? {
        pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    if pairs.len() > PARAMETERS_MAX {
        let detail = format!("the search has {} values", pairs.len());
        return Err(bad(detail, format!("send at most {PARAMETERS_MAX}")));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)));
    let question = question.read(view, pairs, false)?;
    let (results, search) = view.results(&question)?;
    view.log_search(parts.asker, &question, search.total);
    let mut shown = shown(&results);
    name_entries(shown.get_mut("hits"));
    for hit in shown["hits"].as_array_mut().into_iter().flatten() {
        let pinned = hit.get("pinned").and_then(Value::as_bool).unwrap_or(false);
        hit["pinned"] = json!(pinned);
    }
    let facet = |(name, values): (&String, &BTreeMap<String, usize>)| {
        let values: Vec<Value> =
            values.iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
        json!({"name": name, "values": values})
    };
    shown["facets"] = results.facets.iter().map(facet).collect();
    Ok((shown.to_string(), search))
}

/// The answer to a question.
pub(super) fn answer(
    view: &ReleaseView,
    given: &Given<'_>,
    locales: &[Locale],
    reader: Option<&str>,
) -> Result<(String, Search), Failure> {
    let types: Result<Vec<TypeName>, Failure> = texts(given.value("types"))
        .iter()
        .map(|name| TypeName::new(name).map_err(|error| bad(error.to_string(), "name content types")))
        .collect();
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, values) in filters(given)? {
        by_name.entry(name).or_default().extend(values);
    }
    let asked = Asked {
        question: given.value("question").as_ref().map(plain).unwrap_or_default().trim().to_owned(),
        locale: locales.first().map(Locale::to_string),
        indexes: texts(given.value("indexes")),
        filters: by_name,
        types: types?,
    };
    asked.bounded()?;
    let (answered, search) = view.answered(&asked, Asker::now(reader))?;
    let mut shown = shown(&answered);
    name_entries(shown.get_mut("citations"));
    Ok((shown.to_string(), search))
}
