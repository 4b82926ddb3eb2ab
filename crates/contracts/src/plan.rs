//! What a schema says about places inside a value, as a graph that may have cycles: compiled once, walked per entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::{
    refs::{Documents, Place, look_up, target},
    vocabulary::{OnProperty, Search},
};

pub(crate) type NodeId = usize;

/// The most places of one contract's graph.
const NODES_MAX: usize = 20_000;

/// One subschema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub words: OnProperty,
    pub markdown: bool,
    pub kind: Option<&'static str>,
    pub has_enum: bool,
    /// It has a format, a pattern, or a media type other than Markdown: it is written for programs.
    pub is_coded: bool,
    pub properties: BTreeMap<String, NodeId>,
    pub items: Vec<NodeId>,
    pub additional: Vec<NodeId>,
    /// Schemas that apply at the same place.
    pub also: Vec<NodeId>,
    /// Schemas of which some apply at the same place; a branch whose constants do not fit the value does not.
    pub branches: Vec<NodeId>,
    /// Properties that must have one of these values.
    constants: Vec<(String, Vec<Value>)>,
}

impl Node {
    /// Whether nothing here may be found by a search.
    pub fn is_hidden(&self) -> bool {
        self.words.search == Some(Search::Off) || self.words.sensitivity.contains("pii")
    }

    /// Whether a string here is a value for programs, not a text for people.
    pub fn is_data(&self) -> bool {
        self.has_enum || self.is_coded || !self.words.refs.is_empty()
    }
}

/// The graph of a contract; the root is node 0.
#[derive(Debug)]
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
}

impl Plan {
    pub fn compile(documents: &Documents, file: &str) -> Self {
        let mut compiler = Compiler { nodes: Vec::new(), known: HashMap::new(), waiting: Vec::new() };
        compiler.node(Place { file: file.to_owned(), pointer: String::new() });
        while let Some((id, place)) = compiler.waiting.pop() {
            if let Some(Value::Object(schema)) = look_up(documents, &place) {
                compiler.nodes[id] = compiler.node_of(schema, &place);
            }
        }
        Self { nodes: compiler.nodes }
    }

    /// The plan of a contract that cannot be used: it says nothing.
    pub fn empty() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// All nodes that apply at the place of `id`, whatever the value.
    pub fn closure(&self, id: NodeId) -> BTreeSet<NodeId> {
        let (mut out, mut waiting) = (BTreeSet::new(), vec![id]);
        while let Some(id) = waiting.pop() {
            if out.insert(id) {
                waiting.extend(&self.nodes[id].also);
                waiting.extend(&self.nodes[id].branches);
            }
        }
        out
    }

    /// All nodes that apply to `value` at the place of `ids`.
    pub fn applying(&self, ids: &[NodeId], value: &Value) -> Vec<NodeId> {
        let (mut out, mut waiting) = (Vec::new(), ids.to_vec());
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            // Mostly there are few, and a search is faster than a set.
            let known = match out.len() {
                0..32 => out.contains(&id),
                32 => {
                    seen.extend(out.iter().copied());
                    !seen.insert(id)
                }
                _ => !seen.insert(id),
            };
            if known {
                continue;
            }
            out.push(id);
            let node = &self.nodes[id];
            waiting.extend(&node.also);
            waiting.extend(node.branches.iter().filter(|b| self.fits(**b, value, 0)));
        }
        out
    }

    fn fits(&self, id: NodeId, value: &Value, depth: usize) -> bool {
        let node = &self.nodes[id];
        let own =
            node.constants.iter().all(|(name, allowed)| value.get(name).is_none_or(|v| allowed.contains(v)));
        own && (depth > 8 || node.also.iter().all(|a| self.fits(*a, value, depth + 1)))
    }
}

struct Compiler {
    nodes: Vec<Node>,
    known: HashMap<Place, NodeId>,
    waiting: Vec<(NodeId, Place)>,
}

impl Compiler {
    fn node(&mut self, place: Place) -> NodeId {
        if let Some(id) = self.known.get(&place) {
            return *id;
        }
        let id = self.nodes.len();
        self.nodes.push(Node::default());
        self.known.insert(place.clone(), id);
        if id < NODES_MAX {
            self.waiting.push((id, place));
        }
        id
    }

    fn below(&mut self, place: &Place, steps: &[&str]) -> NodeId {
        let mut pointer = place.pointer.clone();
        for step in steps {
            pointer.push('/');
            pointer.push_str(&ashlar_model::pointer_step(step));
        }
        self.node(Place { file: place.file.clone(), pointer })
    }

    fn node_of(&mut self, schema: &serde_json::Map<String, Value>, place: &Place) -> Node {
        let mut node = Node {
            words: schema.get("x-ashlar").map(|w| OnProperty::parse(w).0).unwrap_or_default(),
            markdown: schema.get("contentMediaType").and_then(Value::as_str) == Some("text/markdown"),
            kind: schema.get("type").and_then(kind_of),
            has_enum: schema.contains_key("enum") || schema.contains_key("const"),
            is_coded: ["format", "pattern", "contentEncoding"].iter().any(|word| schema.contains_key(*word))
                || schema.get("contentMediaType").is_some_and(|t| t != "text/markdown" && t != "text/plain"),
            ..Node::default()
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let id = self.node(target(&place.file, reference));
            node.also.push(id);
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let id = self.below(place, &["properties", name]);
            node.properties.insert(name.clone(), id);
            let allowed = match (property.get("const"), property.get("enum").and_then(Value::as_array)) {
                (Some(value), _) => Some(vec![value.clone()]),
                (None, Some(values)) => Some(values.clone()),
                _ => None,
            };
            if let Some(allowed) = allowed {
                node.constants.push((name.clone(), allowed));
            }
        }
        for name in
            schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten().map(|p| p.0)
        {
            let id = self.below(place, &["patternProperties", name]);
            node.additional.push(id);
        }
        for key in ["additionalProperties", "unevaluatedProperties"] {
            if schema.get(key).is_some_and(Value::is_object) {
                let id = self.below(place, &[key]);
                node.additional.push(id);
            }
        }
        for key in ["items", "contains", "unevaluatedItems"] {
            if schema.get(key).is_some_and(Value::is_object) {
                let id = self.below(place, &[key]);
                node.items.push(id);
            }
        }
        let count = |key: &str| schema.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        for i in 0..count("prefixItems") {
            let id = self.below(place, &["prefixItems", &i.to_string()]);
            node.items.push(id);
        }
        for i in 0..count("allOf") {
            let id = self.below(place, &["allOf", &i.to_string()]);
            node.also.push(id);
        }
        for key in ["anyOf", "oneOf"] {
            for i in 0..count(key) {
                let id = self.below(place, &[key, &i.to_string()]);
                node.branches.push(id);
            }
        }
        for key in ["then", "else"] {
            if schema.contains_key(key) {
                let id = self.below(place, &[key]);
                node.branches.push(id);
            }
        }
        for name in
            schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten().map(|p| p.0)
        {
            let id = self.below(place, &["dependentSchemas", name]);
            node.branches.push(id);
        }
        node
    }
}

/// The one type a schema names besides null.
fn kind_of(value: &Value) -> Option<&'static str> {
    let one = match value {
        Value::String(s) => s.as_str(),
        Value::Array(items) => {
            let mut named = items.iter().filter_map(Value::as_str).filter(|t| *t != "null");
            match (named.next(), named.next()) {
                (Some(one), None) => one,
                _ => return None,
            }
        }
        _ => return None,
    };
    ["string", "number", "integer", "boolean", "array", "object"].into_iter().find(|k| *k == one)
}
