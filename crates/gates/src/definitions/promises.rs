//! What consumers rely on, beside the endpoints as they are.

use std::collections::BTreeMap;

use ashlar_contracts::{
    ContractSet,
    consumers::{Broken, Consumer, EXPECTATION_STEPS_MAX, Expectation, Shape, Steps},
};
use ashlar_delivery::views::{LookupBy, View, Views};
use ashlar_model::TypeName;
use serde_json::{Value, json};

/// What one consumer expects of one endpoint, beside the endpoint as it is.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) consumer: Consumer,
    pub(crate) expectation: Expectation,
    pub(crate) endpoint: Option<Endpoint>,
    /// The value of the path's parameter, when the expectation names one by its path.
    pub(crate) example: Option<String>,
    /// What the shape of the endpoint does not keep.
    pub(crate) broken: Vec<Broken>,
}

/// An endpoint that consumers read.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) prefix: String,
    pub(crate) source: TypeName,
    /// How an entry is found; `None` for a list, which has no parameter.
    pub(crate) lookup: Option<LookupBy>,
    /// Version of the view; entries by key have none.
    pub(crate) version: Option<ashlar_contracts::Version>,
    pub(crate) file: String,
}

impl Promise {
    /// All expectations, each compared with the shape of its endpoint once.
    pub(super) fn all(consumers: &[Consumer], views: &Views, contracts: &ContractSet) -> Vec<Self> {
        let (mut shapes, steps) = (BTreeMap::new(), Steps::new(EXPECTATION_STEPS_MAX));
        let each = consumers.iter().flat_map(|c| c.expects.iter().map(move |e| (c, e)));
        each.map(|(consumer, expectation)| {
            let (consumer, expectation) = (consumer.clone(), expectation.clone());
            let Some((endpoint, schema, example)) = endpoint(views, contracts, &expectation.endpoint) else {
                return Self { consumer, expectation, endpoint: None, example: None, broken: Vec::new() };
            };
            let shape = shapes.entry(endpoint.prefix.clone());
            let shape = shape.or_insert_with(|| Shape::new(contracts, schema, &steps));
            let broken = expectation.against_shape(shape);
            Self { consumer, expectation, endpoint: Some(endpoint), example, broken }
        })
        .collect()
    }
}

impl Endpoint {
    fn of(view: &View) -> Self {
        Self {
            prefix: view.prefix.clone(),
            source: view.source.clone(),
            lookup: Some(view.lookup.clone()),
            version: Some(view.version),
            file: format!("views/{}.v{}.toml", view.name, view.major),
        }
    }
}

/// The view, the entries or the list that answers a path, with the schema of the bodies, and the value of its parameter when
/// the path is that of one example.
fn endpoint(views: &Views, contracts: &ContractSet, path: &str) -> Option<(Endpoint, Value, Option<String>)> {
    let (prefix, example) = match path.split_once('{') {
        Some((prefix, _)) => (prefix, None),
        None => match views.route(path) {
            Some((_, view, slug)) => (view.prefix.as_str(), Some(slug)),
            None => match path.strip_prefix("/v1/entries/")?.split_once('/') {
                Some((named, id)) => (&path[.."/v1/entries/".len() + named.len() + 1], Some(id)),
                None => (path, None),
            },
        },
    };
    let example = example.map(|e| percent_encoding::percent_decode_str(e).decode_utf8_lossy().into_owned());
    if let Some(view) = views.iter().find(|v| v.prefix == prefix) {
        return Some((Endpoint::of(view), view.response_schema(contracts), example));
    }
    let named = prefix.strip_prefix("/v1/entries/")?;
    let (named, lookup) = match named.strip_suffix('/') {
        Some(named) => (named, Some(LookupBy::Id)),
        None => (named, None),
    };
    let source = TypeName::new(named).ok()?;
    let files: Vec<Value> = of_type(contracts, &source).map(|f| json!({ "$ref": f })).collect();
    let mut schema = match files.as_slice() {
        [] => return None,
        [one] => one.clone(),
        _ => json!({ "anyOf": files }),
    };
    if lookup.is_none() {
        schema = json!({
            "type": "object",
            "required": ["items", "next_cursor"],
            "properties": {
                "next_cursor": {"type": ["string", "null"]},
                "items": {"type": "array", "items": {
                    "type": "object",
                    "required": ["fields", "id", "locale"],
                    "properties": {"fields": schema, "id": {"type": "string"}, "locale": {"type": "string"}},
                    "additionalProperties": false,
                }},
            },
            "additionalProperties": false,
        });
    }
    let file = format!("contracts/{source}");
    Some((Endpoint { prefix: prefix.to_owned(), source, lookup, version: None, file }, schema, example))
}

fn of_type<'c>(contracts: &'c ContractSet, source: &'c TypeName) -> impl Iterator<Item = String> + 'c {
    contracts.iter().filter(move |c| c.is_type() && c.name.name == *source).map(|c| c.file())
}
