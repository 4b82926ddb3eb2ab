//! What a contract says of all its entries: fields to look them up by, references, Markdown, sensitive and shared fields.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::TypeName;

use crate::{
    RouteTemplate,
    plan::{Node, NodeId, Plan},
};

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

pub(crate) fn summarize(plan: &Plan, route: Option<&RouteTemplate>, title: Option<&str>) -> Summary {
    let mut out = Summary::default();
    let top = top_level(plan);
    for (name, nodes) in &top {
        let mut budget = COLLECT_MAX;
        for node in nodes {
            collect(plan, *node, &format!("/{name}"), &mut (Vec::new(), &mut budget), &mut out, name);
        }
    }
    let says = |ids: &BTreeSet<NodeId>, f: &dyn Fn(&Node) -> bool| ids.iter().any(|id| f(&plan.nodes[*id]));
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
