//! What an entry says about others: references, route, Markdown, values to look it up by.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{EntryId, EntryKey, Fields, TypeName, nearest};
use serde_json::Value;

use crate::{
    Contract,
    plan::{NodeId, Plan},
};

/// How deep values and schemas are looked into.
const DEPTH_MAX: usize = 64;

/// The most places below one top-level field that are looked into.
const COLLECT_MAX: usize = 20_000;

/// The most schemas on the way to one of them.
const WAY_MAX: usize = 200;

/// How a field can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// Text.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A list; each of its texts leads to the entry.
    Strings,
}

/// A top-level field that entries can be filtered and sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedField {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: IndexKind,
}

/// A property that refers to other entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefField {
    /// The way to it: `/sections/*/plans/*`, with `*` for items.
    pub path: String,
    /// The content types it may lead to.
    pub types: Vec<TypeName>,
}

/// A reference of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefFact {
    /// JSON pointer to it.
    pub path: String,
    /// The type it leads to.
    pub target_type: TypeName,
    /// The entry it leads to.
    pub target_id: EntryId,
}

/// A reference that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRef {
    /// JSON pointer to it.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// What an entry says about others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts<'a> {
    /// Where it refers to.
    pub refs: Vec<RefFact>,
    /// References that cannot be read.
    pub bad_refs: Vec<BadRef>,
    /// Its route; absent when its type has none or a field for it is missing.
    pub route: Option<String>,
    /// Fields its route needs that are absent or cannot stand in a path.
    pub route_missing: Vec<String>,
    /// Its Markdown texts with JSON pointers.
    pub markdown: Vec<(String, &'a str)>,
    /// Its title.
    pub title: Option<&'a str>,
}

/// Reads a reference: `id` when one type is allowed, else `type/id`.
///
/// # Errors
/// Why it cannot be read, as a sentence.
fn read_ref(text: &str, types: &[TypeName]) -> Result<(TypeName, EntryId), String> {
    if let Some((type_name, id)) = split_ref(text, types) {
        return Ok((type_name.clone(), EntryId::new(id).map_err(|e| e.to_string())?));
    }
    let names = types.iter().map(TypeName::as_str).collect::<Vec<_>>().join(", ");
    Err(match text.split_once('/') {
        Some((t, _)) => {
            let t = TypeName::new(t).map_err(|e| e.to_string())?;
            match nearest(t.as_str(), types.iter().map(TypeName::as_str)) {
                Some(near) => {
                    format!("`{text}` names the type `{t}`; did you mean `{near}`? Allowed are: {names}")
                }
                None => format!("`{text}` names the type `{t}`; allowed are: {names}"),
            }
        }
        None => format!("`{text}` must say its type, as `type/id`; allowed are: {names}"),
    })
}

/// The type and the id that a reference names, `id` when one type is allowed, else `type/id`; `None` when it names no
/// allowed type. Whether the id has its form is not looked at.
pub fn split_ref<'t>(text: &'t str, types: &'t [TypeName]) -> Option<(&'t TypeName, &'t str)> {
    match text.split_once('/') {
        Some((t, id)) => Some((types.iter().find(|known| known.as_str() == t)?, id)),
        None => match types {
            [only] => Some((only, text)),
            _ => None,
        },
    }
}

struct Walk<'a, 'p> {
    plan: &'p Plan,
    facts: Facts<'a>,
}

impl<'a> Walk<'a, '_> {
    fn value(&mut self, ids: &[NodeId], value: &'a Value, path: &mut String, depth: usize) {
        if depth > DEPTH_MAX || ids.is_empty() {
            return;
        }
        let applying = self.plan.applying(ids, value);
        let nodes = || applying.iter().map(|id| &self.plan.nodes[*id]);
        match value {
            Value::String(text) => {
                let types: Vec<TypeName> = {
                    let mut seen = BTreeSet::new();
                    nodes()
                        .flat_map(|n| &n.words.refs)
                        .filter(|t| seen.insert((*t).clone()))
                        .cloned()
                        .collect()
                };
                if !types.is_empty() {
                    match read_ref(text, &types) {
                        Ok((target_type, target_id)) => {
                            self.facts.refs.push(RefFact { path: path.clone(), target_type, target_id });
                        }
                        Err(message) => self.facts.bad_refs.push(BadRef { path: path.clone(), message }),
                    }
                }
                if nodes().any(|n| n.markdown) {
                    self.facts.markdown.push((path.clone(), text));
                }
            }
            Value::Array(items) => {
                let mut below: Vec<NodeId> = nodes().flat_map(|n| n.items.iter().copied()).collect();
                // `ref` on the array itself means its items.
                below.extend(applying.iter().filter(|id| !self.plan.nodes[**id].words.refs.is_empty()));
                for (i, item) in items.iter().enumerate() {
                    self.below(&below, item, path, &i.to_string(), depth);
                }
            }
            Value::Object(map) => {
                for (name, item) in map {
                    let mut below: Vec<NodeId> =
                        nodes().filter_map(|n| n.properties.get(name).copied()).collect();
                    if below.is_empty() {
                        below = nodes().flat_map(|n| n.additional.iter().copied()).collect();
                    }
                    self.below(&below, item, path, name, depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn below(&mut self, ids: &[NodeId], value: &'a Value, path: &mut String, step: &str, depth: usize) {
        if ids.is_empty() {
            return;
        }
        let len = path.len();
        path.push('/');
        path.push_str(&ashlar_model::pointer_step(step));
        self.value(ids, value, path, depth + 1);
        path.truncate(len);
    }
}

pub(crate) fn of<'a>(contract: &Contract, key: &EntryKey, fields: &'a Fields) -> Facts<'a> {
    let mut walk = Walk { plan: &contract.plan, facts: Facts::default() };
    if contract.speaks {
        let mut path = String::new();
        let root = contract.plan.closure(0);
        let wanted: Vec<NodeId> = root.into_iter().collect();
        for (name, value) in fields {
            let mut below: Vec<NodeId> = wanted
                .iter()
                .filter_map(|id| contract.plan.nodes[*id].properties.get(name).copied())
                .collect();
            if below.is_empty() {
                below = wanted
                    .iter()
                    .flat_map(|id| contract.plan.nodes[*id].additional.iter().copied())
                    .collect();
            }
            walk.below(&below, value, &mut path, name, 0);
        }
    }
    let mut facts = walk.facts;
    if let Some(route) = &contract.route {
        match route.fill(key, fields) {
            Ok(route) => facts.route = Some(route),
            Err(missing) => facts.route_missing = missing,
        }
    }
    facts.title = contract.title_field.as_ref().and_then(|t| fields.get(t)).and_then(Value::as_str);
    facts
}

/// Everything a plan says about the whole contract.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub refs: Vec<RefField>,
    pub markdown: Vec<String>,
    pub sensitive: BTreeMap<String, BTreeSet<String>>,
    pub localized: bool,
    pub shared: Vec<String>,
    pub indexed: Vec<IndexedField>,
}

/// Top-level property → the nodes that speak of it.
fn top_level(plan: &Plan) -> BTreeMap<String, BTreeSet<NodeId>> {
    let mut out: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
    for id in plan.closure(0) {
        for (name, below) in &plan.nodes[id].properties {
            out.entry(name.clone()).or_default().extend(plan.closure(*below));
        }
    }
    out
}

pub(crate) fn summarize(plan: &Plan, route: Option<&crate::RouteTemplate>, title: Option<&str>) -> Summary {
    let mut out = Summary::default();
    let top = top_level(plan);
    for (name, nodes) in &top {
        let mut budget = COLLECT_MAX;
        for node in nodes {
            collect(plan, *node, &format!("/{name}"), &mut (Vec::new(), &mut budget), &mut out, name);
        }
    }
    let says = |ids: &BTreeSet<NodeId>, f: &dyn Fn(&crate::plan::Node) -> bool| {
        ids.iter().any(|id| f(&plan.nodes[*id]))
    };
    out.localized = top.values().any(|ids| says(ids, &|n| n.words.localized == Some(true)));
    if out.localized {
        out.shared = top
            .iter()
            .filter(|(_, ids)| !says(ids, &|n| n.words.localized == Some(true)))
            .map(|(name, _)| name.clone())
            .collect();
    }
    let by_route: BTreeSet<&str> = route.into_iter().flat_map(|r| r.fields()).collect();
    for (name, ids) in &top {
        let kind = ids.iter().find_map(|id| plan.nodes[*id].kind);
        let is_ref = says(ids, &|n| !n.words.refs.is_empty());
        let items_ref = ids
            .iter()
            .flat_map(|id| &plan.nodes[*id].items)
            .any(|i| plan.closure(*i).iter().any(|id| !plan.nodes[*id].words.refs.is_empty()));
        let wanted = says(ids, &|n| n.words.indexed)
            || is_ref
            || items_ref
            || kind == Some("boolean")
            || (says(ids, &|n| n.has_enum) && !matches!(kind, Some("object" | "array")))
            || by_route.contains(name.as_str())
            || title == Some(name);
        if wanted {
            let kind = match kind {
                Some("number" | "integer") => IndexKind::Number,
                Some("boolean") => IndexKind::Bool,
                Some("array") => IndexKind::Strings,
                _ => IndexKind::String,
            };
            out.indexed.push(IndexedField { name: name.clone(), kind });
        }
    }
    out
}

fn collect(
    plan: &Plan,
    id: NodeId,
    path: &str,
    way: &mut (Vec<NodeId>, &mut usize),
    out: &mut Summary,
    top: &str,
) {
    // A recursive schema is looked into once on each way down.
    if *way.1 == 0 || way.0.len() >= WAY_MAX || way.0.contains(&id) {
        return;
    }
    *way.1 -= 1;
    way.0.push(id);
    let node = &plan.nodes[id];
    if !node.words.sensitivity.is_empty() {
        out.sensitive.entry(top.to_owned()).or_default().extend(node.words.sensitivity.iter().cloned());
    }
    if !node.words.refs.is_empty() && !out.refs.iter().any(|r| r.path == path) {
        out.refs.push(RefField { path: path.to_owned(), types: node.words.refs.clone() });
    }
    if node.markdown && !out.markdown.iter().any(|m| m == path) {
        out.markdown.push(path.to_owned());
    }
    for next in node.also.iter().chain(&node.branches) {
        collect(plan, *next, path, way, out, top);
    }
    for (name, next) in &node.properties {
        collect(plan, *next, &format!("{path}/{name}"), way, out, top);
    }
    for next in node.items.iter().chain(&node.additional) {
        collect(plan, *next, &format!("{path}/*"), way, out, top);
    }
    way.0.pop();
}
