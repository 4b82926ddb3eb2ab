//! What of an entry people read: the texts that a search looks through.

use ashlar_model::Fields;
use serde_json::{Map, Value};

use crate::{
    Contract,
    plan::{Node, NodeId, Plan},
    vocabulary::Search,
};

/// How deep values are looked into.
const DEPTH_MAX: usize = 64;
/// The most texts of an entry.
pub const TEXTS_MAX: usize = 20_000;
/// Fields that title the texts beside them.
const HEADINGS: [&str; 3] = ["title", "heading", "question"];
/// The field that says at which fragment the texts beside it are shown.
const ANCHOR: &str = "anchor";

/// A text of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct TextFact<'a> {
    /// JSON pointer to it.
    pub path: String,
    /// The text.
    pub text: &'a str,
    /// Whether it is Markdown.
    pub markdown: bool,
    /// How much it counts; 1 unless its field says otherwise.
    pub boost: f32,
    /// The title of its block.
    pub heading: Option<&'a str>,
    /// The fragment of its block.
    pub anchor: Option<&'a str>,
}

/// The block that a text lies in.
#[derive(Clone, Copy, Default)]
struct Block<'a> {
    heading: Option<&'a str>,
    anchor: Option<&'a str>,
}

struct Walk<'a, 'p> {
    plan: &'p Plan,
    texts: Vec<TextFact<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn value(&mut self, ids: &[NodeId], value: &'a Value, path: &mut String, depth: usize, block: Block<'a>) {
        if depth > DEPTH_MAX || ids.is_empty() || self.texts.len() >= TEXTS_MAX {
            return;
        }
        let applying = self.plan.applying(ids, value);
        let nodes = || applying.iter().map(|id| &self.plan.nodes[*id]);
        // What is not to be found is not, with everything inside it.
        if nodes().any(Node::is_hidden) {
            return;
        }
        match value {
            Value::String(text) => {
                let asked = nodes().find_map(|n| match n.words.search {
                    Some(Search::Boost(boost)) => Some(boost),
                    _ => None,
                });
                if asked.is_none() && nodes().any(Node::is_data) || text.trim().is_empty() {
                    return;
                }
                self.texts.push(TextFact {
                    path: path.clone(),
                    text,
                    markdown: nodes().any(|n| n.markdown),
                    boost: asked.unwrap_or(1.0),
                    heading: block.heading,
                    anchor: block.anchor,
                });
            }
            // `ref` on the array itself means its items.
            Value::Array(_) if nodes().any(|n| !n.words.refs.is_empty()) => {}
            Value::Array(items) => {
                let below: Vec<NodeId> = nodes().flat_map(|n| n.items.iter().copied()).collect();
                for (i, item) in items.iter().enumerate() {
                    self.below(&below, item, path, &i.to_string(), depth, block);
                }
            }
            Value::Object(map) => {
                let properties: Vec<&Node> = nodes().collect();
                let below = |name: &str| {
                    let named: Vec<NodeId> =
                        properties.iter().filter_map(|n| n.properties.get(name).copied()).collect();
                    match named.is_empty() {
                        true => properties.iter().flat_map(|n| n.additional.iter().copied()).collect(),
                        false => named,
                    }
                };
                let steps: Vec<(&String, Vec<NodeId>)> = map.keys().map(|name| (name, below(name))).collect();
                self.members(map, &steps, path, depth, block);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The members of a block. Its title is a heading of the other texts, and a text of its own only when there are none.
    fn members(
        &mut self,
        map: &'a Map<String, Value>,
        steps: &[(&String, Vec<NodeId>)],
        path: &mut String,
        depth: usize,
        outer: Block<'a>,
    ) {
        let text = |name: &str| map.get(name).and_then(Value::as_str).filter(|t| !t.trim().is_empty());
        let titled = HEADINGS.into_iter().find(|name| text(name).is_some());
        let block =
            Block { heading: titled.and_then(text).or(outer.heading), anchor: text(ANCHOR).or(outer.anchor) };
        let before = self.texts.len();
        for (name, below) in steps {
            if Some(name.as_str()) != titled && *name != ANCHOR {
                self.below(below, &map[*name], path, name, depth, block);
            }
        }
        if let Some(titled) = titled
            && self.texts.len() == before
            && let Some((name, below)) = steps.iter().find(|(name, _)| *name == titled)
        {
            self.below(below, &map[*name], path, name, depth, Block { heading: outer.heading, ..block });
        }
    }

    fn below(
        &mut self,
        ids: &[NodeId],
        value: &'a Value,
        path: &mut String,
        step: &str,
        depth: usize,
        block: Block<'a>,
    ) {
        if ids.is_empty() {
            return;
        }
        let len = path.len();
        path.push('/');
        path.push_str(&ashlar_model::pointer_step(step));
        self.value(ids, value, path, depth + 1, block);
        path.truncate(len);
    }
}

impl Contract {
    /// The texts of an entry that a search looks through, in the order of its fields. A string is one unless it is a reference, one of
    /// a few values, or has a format or a pattern; `search` of its field decides otherwise. What contains personal data is
    /// none. The title of the entry is among them only when there is nothing else.
    pub fn texts<'a>(&self, fields: &'a Fields) -> Vec<TextFact<'a>> {
        let mut walk = Walk { plan: &self.plan, texts: Vec::new() };
        let root: Vec<&Node> = self.plan.closure(0).into_iter().map(|id| &self.plan.nodes[id]).collect();
        let title = self.title_field.as_deref();
        let mut path = String::new();
        let titles_last = |name: &str| Some(name) == title;
        for round in [false, true] {
            if round && !walk.texts.is_empty() {
                break;
            }
            for (name, value) in fields.iter().filter(|(name, _)| titles_last(name) == round) {
                let mut below: Vec<NodeId> =
                    root.iter().filter_map(|node| node.properties.get(name).copied()).collect();
                if below.is_empty() {
                    below = root.iter().flat_map(|node| node.additional.iter().copied()).collect();
                }
                walk.below(&below, value, &mut path, name, 0, Block::default());
            }
        }
        walk.texts
    }
}
