//! Schemas as the prover sees them: nodes, and conjunctions of nodes that apply at one place.

use std::cell::{Cell, RefCell};

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use crate::{
    refs::{Documents, look_up, target},
    validate::pattern_checker,
};

/// JSON types as bits; an integer is a number without a fraction, however it is written.
pub(super) const NULL: u8 = 1;
pub(super) const BOOL: u8 = 2;
pub(super) const OBJECT: u8 = 4;
pub(super) const ARRAY: u8 = 8;
pub(super) const FRACTION: u8 = 16;
pub(super) const INTEGER: u8 = 32;
pub(super) const STRING: u8 = 64;
pub(super) const ALL: u8 = 127;
pub(super) const NUMBER: u8 = FRACTION | INTEGER;

/// Words that say nothing about which values are valid.
pub(super) const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "examples",
    "default",
    "$comment",
    "$defs",
    "definitions",
    "$schema",
    "$id",
    "$anchor",
    "x-ashlar",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
    "contentSchema",
];

/// How deep two schemas are compared word by word.
const SAME_DEPTH_MAX: usize = 120;

/// Conjunctions are flattened no further than this.
const NODES_MAX: usize = 400;

/// What a comparison may still do. It is counted in steps, not in time, so that the same schemas always get the same answer.
pub(super) struct Work {
    left: Cell<u64>,
    patterns: RefCell<FxHashMap<String, Option<jsonschema::Validator>>>,
}

impl Work {
    pub fn new(steps: u64) -> Self {
        Self { left: Cell::new(steps), patterns: RefCell::default() }
    }

    /// Takes steps; `false` when none are left. From then on no answer may be trusted.
    pub fn spend(&self, steps: usize) -> bool {
        self.left.set(self.left.get().saturating_sub(steps as u64));
        !self.is_spent()
    }

    pub fn left(&self) -> u64 {
        self.left.get()
    }

    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// Whether a pattern of the schema matches a name, by the validator's own reading of patterns; a pattern that cannot
    /// be read matches nothing.
    pub fn matches(&self, pattern: &str, name: &str) -> bool {
        if !self.spend(8 + name.len() / 16) {
            return false;
        }
        let mut patterns = self.patterns.borrow_mut();
        let known = match patterns.get(pattern) {
            Some(known) => known,
            None => {
                self.spend(1_000);
                patterns.entry(pattern.to_owned()).or_insert_with(|| pattern_checker(pattern))
            }
        };
        known.as_ref().is_some_and(|v| v.is_valid(&Value::String(name.to_owned())))
    }
}

/// A subschema in its file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub work: &'a Work,
    pub docs: &'a Documents,
    pub file: &'a str,
    pub value: &'a Value,
}

impl<'a> Node<'a> {
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self.value) as usize
    }

    pub fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    pub fn get(&self, word: &str) -> Option<&'a Value> {
        self.map()?.get(word)
    }

    pub fn at(&self, value: &'a Value) -> Self {
        Self { value, ..*self }
    }

    pub fn below(&self, word: &str) -> Option<Self> {
        self.get(word).map(|v| self.at(v))
    }

    pub fn each(&self, word: &str) -> Vec<Self> {
        self.get(word).and_then(Value::as_array).into_iter().flatten().map(|v| self.at(v)).collect()
    }

    pub fn named(&self, word: &str) -> Vec<(&'a str, Self)> {
        let map = self.get(word).and_then(Value::as_object);
        map.into_iter().flatten().map(|(n, v)| (n.as_str(), self.at(v))).collect()
    }

    /// What applies to members that it does not name: `word`, or what is left over when nothing else in it could have
    /// evaluated them.
    pub fn rest(&self, word: &str, leftover: &str) -> Option<Self> {
        self.below(word).or_else(|| self.below(leftover).filter(|_| leftover_applies(*self)))
    }

    /// Names of members that it speaks of in whatever way.
    pub fn mentioned(&self, depth: usize, out: &mut Vec<&'a str>) {
        if depth > 4 || out.len() > 200 {
            return;
        }
        for word in ["properties", "dependentSchemas"] {
            out.extend(self.named(word).into_iter().map(|(n, _)| n));
        }
        let texts = |v: &'a Value| v.as_array().into_iter().flatten().filter_map(Value::as_str);
        out.extend(self.get("required").into_iter().flat_map(texts));
        for (name, wanted) in self.get("dependentRequired").and_then(Value::as_object).into_iter().flatten() {
            out.push(name);
            out.extend(texts(wanted));
        }
        let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|w| self.each(w));
        let single = ["if", "then", "else", "not"].into_iter().filter_map(|w| self.below(w));
        let dependent = self.named("dependentSchemas").into_iter().map(|(_, s)| s);
        lists.chain(single).chain(dependent).for_each(|n| n.mentioned(depth + 1, out));
    }

    /// Where its `$ref` leads.
    pub fn referred(&self) -> Option<Self> {
        let place = target(self.file, self.get("$ref")?.as_str()?);
        let (file, _) = self.docs.get_key_value(&place.file)?;
        Some(Self { file, value: look_up(self.docs, &place)?, ..*self })
    }
}

/// Everything that applies at one place of a value: all of the nodes, and only these types.
#[derive(Clone)]
pub(super) struct Conj<'a> {
    pub nodes: Vec<Node<'a>>,
    pub never: bool,
    pub mask: u8,
    /// Alternatives that a case distinction has gone into already.
    pub split: Vec<usize>,
}

pub(super) fn type_of(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Object(_) => OBJECT,
        Value::Array(_) => ARRAY,
        Value::String(_) => STRING,
        Value::Number(n) => match n.as_f64() {
            Some(f) if f.fract() != 0.0 => FRACTION,
            _ => INTEGER,
        },
    }
}

fn types_named(value: &Value) -> u8 {
    let one = |v: &Value| match v.as_str() {
        Some("null") => NULL,
        Some("boolean") => BOOL,
        Some("object") => OBJECT,
        Some("array") => ARRAY,
        Some("number") => NUMBER,
        Some("integer") => INTEGER,
        Some("string") => STRING,
        _ => 0,
    };
    match value {
        Value::Array(items) => items.iter().map(one).fold(0, |a, b| a | b),
        other => one(other),
    }
}

/// The types that `type` of a node allows.
pub(super) fn types_allowed(value: &Value) -> u8 {
    types_named(value)
}

/// A number that doubles hold exactly, so that comparing is exact.
pub(super) fn exact(value: &Value) -> Option<f64> {
    let f = value.as_f64()?;
    (f.abs() < 9e15).then_some(f)
}

/// Whether `unevaluated…` of a node means what `additional…` or `items` would: nothing else in it evaluates members.
pub(super) fn leftover_applies(node: Node<'_>) -> bool {
    let applicators = ["$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "not", "contains"];
    !applicators.iter().any(|w| node.get(w).is_some())
}

impl<'a> Conj<'a> {
    pub fn any() -> Self {
        Self { nodes: Vec::new(), never: false, mask: ALL, split: Vec::new() }
    }

    pub fn of(node: Node<'a>) -> Self {
        let mut out = Self::any();
        out.add(node);
        out
    }

    /// Adds a node with everything that applies at the same place through `$ref` and `allOf`.
    pub fn add(&mut self, node: Node<'a>) {
        if !node.work.spend(1 + self.nodes.len() / 8)
            || self.nodes.len() >= NODES_MAX
            || self.nodes.iter().any(|n| n.address() == node.address())
        {
            return;
        }
        match node.value {
            Value::Bool(true) => return,
            Value::Bool(false) => self.never = true,
            _ => {}
        }
        self.nodes.push(node);
        if let Some(next) = node.referred() {
            self.add(next);
        }
        for part in node.each("allOf") {
            self.add(part);
        }
    }

    pub fn with(&self, node: Node<'a>) -> Self {
        let mut out = self.clone();
        out.add(node);
        out
    }

    pub fn values(&self, word: &str) -> Vec<&'a Value> {
        self.nodes.iter().filter_map(|n| n.get(word)).collect()
    }

    /// A finite list that every value is in.
    pub fn finite(&self) -> Option<Vec<&'a Value>> {
        self.nodes.iter().find_map(|n| match (n.get("const"), n.get("enum").and_then(Value::as_array)) {
            (Some(v), _) => Some(vec![v]),
            (None, Some(list)) => Some(list.iter().collect()),
            _ => None,
        })
    }

    /// An upper bound of the types of its values.
    pub fn types(&self) -> u8 {
        if self.never {
            return 0;
        }
        let mut types = self.mask;
        for node in &self.nodes {
            if let Some(t) = node.get("type") {
                types &= types_named(t);
            }
            if node.get("multipleOf").and_then(Value::as_i64).is_some_and(|m| m != 0) {
                types &= !FRACTION;
            }
            if let Some(v) = node.get("const") {
                types &= type_of(v);
            }
            if let Some(list) = node.get("enum").and_then(Value::as_array) {
                types &= list.iter().map(type_of).fold(0, |a, b| a | b);
            }
        }
        types
    }

    /// The largest value of a word that sets a lower bound, and the smallest of one that sets an upper bound.
    pub fn largest(&self, word: &str) -> Option<f64> {
        self.values(word).into_iter().filter_map(exact).reduce(f64::max)
    }

    pub fn smallest(&self, word: &str) -> Option<f64> {
        self.values(word).into_iter().filter_map(exact).reduce(f64::min)
    }

    pub fn required(&self, name: &str) -> bool {
        let lists = self.values("required");
        lists.iter().filter_map(|l| l.as_array()).flatten().any(|v| v.as_str() == Some(name))
    }

    pub fn required_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .values("required")
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Every name that a node declares.
    pub fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> =
            self.nodes.iter().flat_map(|n| n.named("properties")).map(|(n, _)| n).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub fn patterns(&self) -> Vec<(&'a str, Node<'a>)> {
        self.nodes.iter().flat_map(|n| n.named("patternProperties")).collect()
    }

    /// What applies to the property `name`; the flag says whether any node speaks of it at all.
    pub fn property(&self, name: &str) -> (Self, bool) {
        let (mut out, mut said) = (Self::any(), false);
        for node in &self.nodes {
            let mut own: Vec<Node<'a>> =
                node.get("properties").and_then(|p| p.get(name)).map(|s| node.at(s)).into_iter().collect();
            own.extend(
                node.named("patternProperties")
                    .into_iter()
                    .filter(|(p, _)| node.work.matches(p, name))
                    .map(|(_, s)| s),
            );
            if own.is_empty() {
                own.extend(node.rest("additionalProperties", "unevaluatedProperties"));
            }
            said |= !own.is_empty();
            own.into_iter().for_each(|s| out.add(s));
        }
        (out, said)
    }

    /// What applies to properties that no node declares and no pattern matches.
    pub fn others(&self) -> Self {
        let mut out = Self::any();
        for node in &self.nodes {
            if let Some(s) = node.rest("additionalProperties", "unevaluatedProperties") {
                out.add(s);
            }
        }
        out
    }

    /// What applies to the item at `index`.
    pub fn item(&self, index: usize) -> Self {
        let mut out = Self::any();
        for node in &self.nodes {
            match node.get("prefixItems").and_then(|p| p.get(index)) {
                Some(s) => out.add(node.at(s)),
                None => {
                    if let Some(s) = node.rest("items", "unevaluatedItems") {
                        out.add(s);
                    }
                }
            }
        }
        out
    }

    pub fn prefix_len(&self) -> usize {
        self.nodes.iter().filter_map(|n| Some(n.get("prefixItems")?.as_array()?.len())).max().unwrap_or(0)
    }

    /// Names this conjunction among others.
    pub fn key(&self) -> Vec<usize> {
        let mut key: Vec<usize> = self.nodes.iter().map(Node::address).collect();
        key.sort_unstable();
        key.push(usize::from(self.mask));
        key
    }
}

/// Whether two schemas say the same, `$ref`s followed and annotations left out.
pub(super) fn same(a: Node<'_>, b: Node<'_>) -> bool {
    alike(a, b, &mut FxHashSet::default(), 0)
}

fn alike(a: Node<'_>, b: Node<'_>, seen: &mut FxHashSet<(usize, usize)>, depth: usize) -> bool {
    let pair = (a.address(), b.address());
    if pair.0 == pair.1 || seen.contains(&pair) {
        return true;
    }
    if depth > SAME_DEPTH_MAX || seen.len() > 5_000 || !a.work.spend(1) {
        return false;
    }
    seen.insert(pair);
    let (Some(x), Some(y)) = (a.map(), b.map()) else { return a.value == b.value };
    fn words(m: &Map<String, Value>) -> impl Iterator<Item = &String> {
        m.keys().filter(|k| !ANNOTATIONS.contains(&k.as_str()))
    }
    if !words(x).eq(words(y)) {
        return false;
    }
    words(x).all(|word| {
        let (v, w) = (&x[word], &y[word]);
        match word.as_str() {
            "$ref" => match (a.referred(), b.referred()) {
                (Some(a), Some(b)) => alike(a, b, seen, depth + 1),
                _ => false,
            },
            "properties" | "patternProperties" | "dependentSchemas" => {
                let (p, q) = (a.named(word), b.named(word));
                p.len() == q.len()
                    && p.iter().zip(&q).all(|((n, s), (m, t))| n == m && alike(*s, *t, seen, depth + 1))
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                let (p, q) = (a.each(word), b.each(word));
                p.len() == q.len() && p.iter().zip(&q).all(|(s, t)| alike(*s, *t, seen, depth + 1))
            }
            "items"
            | "contains"
            | "additionalProperties"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else"
            | "unevaluatedItems"
            | "unevaluatedProperties" => alike(a.at(v), b.at(w), seen, depth + 1),
            "required" | "enum" | "type" => as_set(v) == as_set(w),
            _ => v == w,
        }
    })
}

fn as_set(value: &Value) -> Vec<String> {
    // As text, not in canonical form: integers beyond 2^53 stay told apart.
    let one = |v: &Value| v.to_string();
    let mut out: Vec<String> = match value {
        Value::Array(items) => items.iter().map(one).collect(),
        other => vec![one(other)],
    };
    out.sort_unstable();
    out.dedup();
    out
}
