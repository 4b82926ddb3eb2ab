//! What an entry says about others: references, route, Markdown, values to look it up by.

use std::collections::BTreeSet;

use ashlar_model::{EntryId, EntryKey, Fields, TypeName, nearest};
use serde_json::Value;

use crate::{
    Contract,
    plan::{Node, NodeId, Plan},
};

/// How deep values and schemas are looked into.
const DEPTH_MAX: usize = 64;

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

impl Contract {
    /// What an entry says about others.
    pub fn facts<'a>(&self, key: &EntryKey, fields: &'a Fields) -> Facts<'a> {
        let mut walk = Walk { plan: &self.plan, facts: Facts::default() };
        if self.speaks {
            let mut path = String::new();
            let root: Vec<&Node> = self.plan.closure(0).into_iter().map(|id| &self.plan.nodes[id]).collect();
            for (name, value) in fields {
                let mut below: Vec<NodeId> =
                    root.iter().filter_map(|node| node.properties.get(name).copied()).collect();
                if below.is_empty() {
                    below = root.iter().flat_map(|node| node.additional.iter().copied()).collect();
                }
                walk.below(&below, value, &mut path, name, 0);
            }
        }
        let mut facts = walk.facts;
        match self.route.as_ref().map(|route| route.fill(key, fields)) {
            Some(Ok(route)) => facts.route = Some(route),
            Some(Err(missing)) => facts.route_missing = missing,
            None => {}
        }
        facts.title = self.title_field.as_ref().and_then(|t| fields.get(t)).and_then(Value::as_str);
        facts
    }
}
