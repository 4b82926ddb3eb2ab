//! Proving that every value valid under one schema is valid under another. What is not proven is not known: a proof is
//! never wrong, and may be missing.

mod containers;

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::node::{
    ANNOTATIONS, ARRAY, Conj, FRACTION, INTEGER, NUMBER, Node, OBJECT, STRING, exact, same, type_of,
    types_allowed,
};
use crate::{
    refs::{Documents, closure, walk},
    validate::{self, Checker},
};

/// Case distinctions inside one another.
const SPLITS_MAX: usize = 4;
const DEPTH_MAX: usize = 60;
/// Proofs inside one another: a bound of the stack.
const NESTED_MAX: usize = 200;
const REASONS_MAX: usize = 12;
/// Whole numbers between two limits that are looked at one by one.
const FEW_MAX: f64 = 1_000.0;

/// A proof in progress.
pub(super) struct Prover<'a> {
    sides: [Arc<Documents>; 2],
    validators: HashMap<usize, Option<Arc<Checker>>>,
    assumed: Vec<(Vec<usize>, usize, usize)>,
    depth: usize,
    nested: usize,
    lenient: bool,
    quiet: usize,
    path: Vec<String>,
    /// Why it did not succeed.
    pub reasons: Vec<String>,
    /// Properties that were taken as new because of the declared leniency.
    pub taken_as_new: Vec<String>,
    life: std::marker::PhantomData<&'a ()>,
}

impl<'a> Prover<'a> {
    pub fn new(a: &Arc<Documents>, b: &Arc<Documents>, lenient: bool) -> Self {
        Self {
            sides: [a.clone(), b.clone()],
            validators: HashMap::new(),
            assumed: Vec::new(),
            depth: 0,
            nested: 0,
            lenient,
            quiet: 0,
            path: Vec::new(),
            reasons: Vec::new(),
            taken_as_new: Vec::new(),
            life: std::marker::PhantomData,
        }
    }

    fn fail(&mut self, why: impl Into<String>) -> bool {
        if self.quiet == 0 && self.reasons.len() < REASONS_MAX {
            let reason = format!(
                "{}: {}",
                if self.path.is_empty() { "/".to_owned() } else { format!("/{}", self.path.join("/")) },
                why.into()
            );
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
        false
    }

    fn quietly(&mut self, work: impl FnOnce(&mut Self) -> bool) -> bool {
        self.quiet += 1;
        let taken = self.taken_as_new.len();
        let done = work(self);
        self.quiet -= 1;
        if !done {
            self.taken_as_new.truncate(taken);
        }
        done
    }

    /// The real validator of a subschema.
    fn validator(&mut self, node: Node<'a>) -> Option<Arc<Checker>> {
        if let Some(known) = self.validators.get(&node.address()) {
            return known.clone();
        }
        if !node.work.spend(2_000) {
            return None;
        }
        let side = self.sides.iter().find(|s| std::ptr::eq(Arc::as_ptr(s), node.docs)).cloned();
        let made = side.and_then(|docs| {
            let mut found = None;
            walk(docs.get(node.file)?, &mut String::new(), &mut |pointer, value| {
                if std::ptr::eq(value, node.value) {
                    found = Some(pointer.to_owned());
                }
            });
            let pointer: String = found?.bytes().map(encode).collect();
            let mut docs: Documents = closure(&docs, node.file)
                .into_iter()
                .filter_map(|f| docs.get(&f).map(|d| (f.clone(), d.clone())))
                .collect();
            docs.insert("part.json".to_owned(), json!({"$ref": format!("{}#{pointer}", node.file)}));
            validate::compile(&Arc::new(docs), "part.json").ok().map(Arc::new)
        });
        self.validators.insert(node.address(), made.clone());
        made
    }

    fn accepts(&mut self, node: Node<'a>, value: &Value) -> Option<bool> {
        if let Value::Bool(b) = node.value {
            return Some(*b);
        }
        self.validator(node)?.judge(value)
    }

    /// Whether every value of `a` is valid under `b`.
    pub fn prove(&mut self, a: &Conj<'a>, b: Node<'a>) -> bool {
        if !b.work.spend(1 + a.nodes.len()) || self.depth > DEPTH_MAX || self.nested > NESTED_MAX {
            return self.fail("the schemas are too large to compare fully");
        }
        self.nested += 1;
        let done = self.decide(a, b);
        self.nested -= 1;
        done
    }

    fn decide(&mut self, a: &Conj<'a>, b: Node<'a>) -> bool {
        if a.never || a.types() == 0 || b.value == &Value::Bool(true) {
            return true;
        }
        if a.nodes.iter().any(|n| same(*n, b)) {
            return true;
        }
        let Some(map) = b.map() else { return self.fail("nothing is allowed here any more") };
        let key = (a.key(), b.address());
        b.work.spend(self.assumed.len());
        if self.assumed.iter().any(|(k, at, depth)| *at == key.1 && *k == key.0 && *depth < self.depth) {
            return true;
        }
        if self.assumed.iter().filter(|(k, at, _)| *at == key.1 && *k == key.0).count() > 2 {
            return self.fail("the schema refers to itself in a way that cannot be followed");
        }
        if let Some(list) = a.finite() {
            return self.finite(a, b, &list);
        }
        self.assumed.push((key.0, key.1, self.depth));
        let splits = a.split.len();
        let can_split = splits < SPLITS_MAX && self.alternatives(a, b).is_some();
        let direct = |this: &mut Self| map.iter().all(|(word, value)| this.word(a, b, word, value));
        let done = match can_split {
            true => self.quietly(direct) || self.by_cases(a, b),
            false => direct(self),
        };
        self.assumed.pop();
        done
    }

    fn finite(&mut self, a: &Conj<'a>, b: Node<'a>, list: &[&'a Value]) -> bool {
        for value in list {
            b.work.spend(10);
            match self.accepts(b, value) {
                Some(true) => continue,
                None => return self.fail("a list of values cannot be judged"),
                Some(false) => {}
            }
            let impossible = type_of(value) & a.types() == 0
                || a.nodes.clone().into_iter().any(|n| self.accepts(n, value) == Some(false));
            if !impossible {
                return self.fail(format!("the value {value} is not valid any more"));
            }
        }
        true
    }

    /// A way to tell cases apart: branches of `a`, or its types.
    fn alternatives(&self, a: &Conj<'a>, b: Node<'a>) -> Option<Vec<Conj<'a>>> {
        for node in &a.nodes {
            for word in ["oneOf", "anyOf"] {
                let Some(list) = node.get(word) else { continue };
                let id = std::ptr::from_ref(list) as usize;
                if !a.split.contains(&id) {
                    let case = |branch| {
                        let mut case = a.with(branch);
                        case.split.push(id);
                        case
                    };
                    return Some(node.each(word).into_iter().map(case).collect());
                }
            }
            if let Some(list) = node.get("if") {
                let id = std::ptr::from_ref(list) as usize;
                if !a.split.contains(&id) && (node.get("then").is_some() || node.get("else").is_some()) {
                    let case = |parts: Vec<Option<Node<'a>>>| {
                        let mut case = a.clone();
                        case.split.push(id);
                        parts.into_iter().flatten().for_each(|p| case.add(p));
                        case
                    };
                    return Some(vec![
                        case(vec![node.below("if"), node.below("then")]),
                        case(vec![node.below("else")]),
                    ]);
                }
            }
        }
        let types = a.types();
        let choosy = ["anyOf", "oneOf", "if", "not"].iter().any(|w| b.get(w).is_some());
        (choosy && types.count_ones() > 1).then(|| {
            (0..7)
                .map(|bit| 1 << bit)
                .filter(|bit| types & bit != 0)
                .map(|bit| Conj { mask: a.mask & bit, ..a.clone() })
                .collect()
        })
    }

    fn by_cases(&mut self, a: &Conj<'a>, b: Node<'a>) -> bool {
        match self.alternatives(a, b) {
            Some(cases) => cases.iter().all(|case| self.prove(case, b)),
            None => false,
        }
    }

    fn inside(&mut self, step: impl Into<String>, work: impl FnOnce(&mut Self) -> bool) -> bool {
        self.depth += 1;
        self.path.push(step.into());
        let done = work(self);
        self.path.pop();
        self.depth -= 1;
        done
    }

    fn any_of(&mut self, a: &Conj<'a>, branches: &[Node<'a>], exactly_one: bool) -> bool {
        for (i, branch) in branches.iter().enumerate() {
            let fits = self.quietly(|p| p.prove(a, *branch));
            if fits && (!exactly_one || branches.iter().enumerate().all(|(j, o)| i == j || self.apart(a, *o)))
            {
                return true;
            }
        }
        self.fail("it cannot be shown that one of the allowed forms still fits")
    }

    /// Whether no value of `a` is valid under `s`.
    fn apart(&mut self, a: &Conj<'a>, s: Node<'a>) -> bool {
        if !s.work.spend(1) {
            return false;
        }
        let both = a.with(s);
        if self.impossible(&both, 0) {
            return true;
        }
        if let Some(list) = a.finite() {
            return list.iter().all(|v| self.accepts(s, v) == Some(false));
        }
        ["anyOf", "oneOf"].iter().any(|word| {
            let branches = s.each(word);
            !branches.is_empty() && branches.iter().all(|b| self.apart(&both, *b))
        })
    }

    /// Whether no value satisfies all nodes.
    fn impossible(&mut self, c: &Conj<'a>, depth: usize) -> bool {
        let spent = c.nodes.first().is_some_and(|n| !n.work.spend(1 + c.nodes.len()));
        if depth > 6 || spent {
            return false;
        }
        let types = c.types();
        if types == 0 {
            return true;
        }
        let lists: Vec<Vec<&Value>> = c
            .nodes
            .iter()
            .filter_map(|n| match (n.get("const"), n.get("enum").and_then(Value::as_array)) {
                (Some(v), _) => Some(vec![v]),
                (None, Some(list)) => Some(list.iter().collect()),
                _ => None,
            })
            .collect();
        if let Some((first, rest)) = lists.split_first() {
            let equal =
                |x: &Value, y: &Value| x == y || (x.is_number() && y.is_number() && x.as_f64() == y.as_f64());
            let holds = |v: &Value| {
                type_of(v) & types != 0
                    && rest.iter().all(|l| l.iter().any(|w| equal(v, w) || v.is_object() || v.is_array()))
            };
            if !first.iter().any(|v| holds(v)) {
                return true;
            }
        }
        if types & !NUMBER == 0 {
            let low = c.largest("minimum").into_iter().chain(c.largest("exclusiveMinimum")).reduce(f64::max);
            let high =
                c.smallest("maximum").into_iter().chain(c.smallest("exclusiveMaximum")).reduce(f64::min);
            if low.zip(high).is_some_and(|(l, h)| l > h) {
                return true;
            }
        }
        if types & !STRING == 0
            && c.largest("minLength").zip(c.smallest("maxLength")).is_some_and(|(l, h)| l > h)
        {
            return true;
        }
        types & !OBJECT == 0
            && c.required_names().into_iter().any(|name| {
                let (property, said) = c.property(name);
                said && self.impossible(&property, depth + 1)
            })
    }

    fn word(&mut self, a: &Conj<'a>, b: Node<'a>, word: &str, value: &'a Value) -> bool {
        if ANNOTATIONS.contains(&word) {
            return true;
        }
        let types = a.types();
        match word {
            "$ref" => match b.referred() {
                Some(next) => self.prove(a, next),
                None => self.fail("a reference leads nowhere"),
            },
            "$dynamicRef" | "$recursiveRef" => self.fail(format!("`{word}` cannot be followed")),
            "allOf" => b.each("allOf").into_iter().all(|part| self.prove(a, part)),
            "anyOf" => self.any_of(a, &b.each("anyOf"), false),
            "oneOf" => self.any_of(a, &b.each("oneOf"), true),
            "not" => self.not(a, b.at(value)),
            "if" => self.if_then_else(a, b),
            "type" => {
                types & !types_allowed(value) == 0
                    || self.fail(format!("values of other types than {value} were allowed"))
            }
            "enum" | "const" => {
                let list: Vec<&Value> = if word == "const" {
                    vec![value]
                } else {
                    value.as_array().into_iter().flatten().collect()
                };
                let has = |v: &Value| list.iter().any(|l| **l == *v);
                let small = (types & !(super::node::NULL | super::node::BOOL)) == 0
                    && (types & super::node::NULL == 0 || has(&Value::Null))
                    && (types & super::node::BOOL == 0
                        || (has(&Value::Bool(true)) && has(&Value::Bool(false))));
                small || self.few(a, types, &list) || self.fail("values outside the list were allowed")
            }
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" | "multipleOf" => {
                types & NUMBER == 0 || self.number(a, word, value)
            }
            "minLength" | "maxLength" => types & STRING == 0 || self.bound(a, word, value),
            "minItems" | "maxItems" => types & ARRAY == 0 || self.bound(a, word, value),
            "pattern" | "format" => {
                types & STRING == 0
                    || a.values(word).into_iter().any(|v| v == value)
                    || self.fail(format!("texts that do not fit the {word} {value} were allowed"))
            }
            "required" => {
                types & OBJECT == 0
                    || value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .all(|name| a.required(name) || self.fail(format!("`{name}` was not required")))
            }
            "properties"
            | "patternProperties"
            | "additionalProperties"
            | "propertyNames"
            | "minProperties"
            | "maxProperties"
            | "dependentRequired"
            | "dependentSchemas" => types & OBJECT == 0 || self.object(a, b, word, value),
            "unevaluatedProperties" => types & OBJECT == 0 || self.unevaluated(a, b, value, true),
            "unevaluatedItems" => types & ARRAY == 0 || self.unevaluated(a, b, value, false),
            "prefixItems" | "items" | "contains" | "uniqueItems" => {
                types & ARRAY == 0 || self.array(a, b, word, value)
            }
            _ => true,
        }
    }

    /// Whether the whole numbers between the limits of `a` are few, and all in a list.
    fn few(&self, a: &Conj<'a>, types: u8, list: &[&Value]) -> bool {
        if types & !INTEGER != 0 {
            return false;
        }
        let above = |n: Option<f64>, step: f64| n.map(|n| n.floor() + step);
        let low =
            a.largest("minimum").map(f64::ceil).into_iter().chain(above(a.largest("exclusiveMinimum"), 1.0));
        let high = a.smallest("maximum").map(f64::floor).into_iter();
        let high = high.chain(a.smallest("exclusiveMaximum").map(|n| n.ceil() - 1.0));
        let (Some(low), Some(high)) = (low.reduce(f64::max), high.reduce(f64::min)) else { return false };
        let has = |n: i64| list.iter().any(|v| v.as_i64() == Some(n) || v.as_f64() == Some(n as f64));
        high - low < FEW_MAX && (low as i64..=high as i64).all(has)
    }

    fn number(&mut self, a: &Conj<'a>, word: &str, value: &Value) -> bool {
        let Some(limit) = exact(value) else {
            return self.fail(format!("{word} {value} is too large to compare"));
        };
        let whole = a.types() & FRACTION == 0;
        let done = match word {
            "minimum" | "exclusiveMinimum" => {
                let inclusive = a.largest("minimum");
                let exclusive = a.largest("exclusiveMinimum");
                match word {
                    "minimum" => {
                        inclusive.is_some_and(|m| m >= limit)
                            || exclusive.is_some_and(|m| m >= limit || (whole && m.floor() + 1.0 >= limit))
                    }
                    _ => {
                        inclusive.is_some_and(|m| m > limit)
                            || exclusive.is_some_and(|m| m >= limit || (whole && m.floor() + 1.0 > limit))
                    }
                }
            }
            "maximum" | "exclusiveMaximum" => {
                let inclusive = a.smallest("maximum");
                let exclusive = a.smallest("exclusiveMaximum");
                match word {
                    "maximum" => {
                        inclusive.is_some_and(|m| m <= limit)
                            || exclusive.is_some_and(|m| m <= limit || (whole && m.ceil() - 1.0 <= limit))
                    }
                    _ => {
                        inclusive.is_some_and(|m| m < limit)
                            || exclusive.is_some_and(|m| m <= limit || (whole && m.ceil() - 1.0 < limit))
                    }
                }
            }
            _ => {
                let whole_multiple = |m: &Value| m == value || is_multiple(m, value).unwrap_or(false);
                (whole && limit == 1.0) || a.values("multipleOf").into_iter().any(whole_multiple)
            }
        };
        done || self.fail(format!("numbers outside {word} {value} were allowed"))
    }

    fn bound(&mut self, a: &Conj<'a>, word: &str, value: &Value) -> bool {
        let Some(limit) = exact(value) else { return false };
        let done = match word.starts_with("min") {
            true => limit <= 0.0 || a.largest(word).is_some_and(|m| m >= limit),
            false => a.smallest(word).is_some_and(|m| m <= limit),
        };
        done || self.fail(format!("values outside {word} {value} were allowed"))
    }

    fn not(&mut self, a: &Conj<'a>, s: Node<'a>) -> bool {
        if self.apart(a, s) {
            return true;
        }
        let excluded: Vec<Node<'a>> = a.nodes.iter().filter_map(|n| n.below("not")).collect();
        let inner = Conj::of(s);
        // The declared leniency says nothing about what is excluded.
        let lenient = std::mem::replace(&mut self.lenient, false);
        let done = excluded.into_iter().any(|t| self.quietly(|p| p.prove(&inner, t)));
        self.lenient = lenient;
        done || self.fail("what is excluded was not excluded before")
    }

    fn if_then_else(&mut self, a: &Conj<'a>, b: Node<'a>) -> bool {
        let Some(condition) = b.below("if") else { return true };
        let (then, other) = (b.below("then"), b.below("else"));
        let part = |p: &mut Self, a: &Conj<'a>, s: Option<Node<'a>>| s.is_none_or(|s| p.prove(a, s));
        if self.quietly(|p| part(p, a, then) && part(p, a, other)) {
            return true;
        }
        for node in a.nodes.clone() {
            let Some(own) = node.below("if") else { continue };
            if !same(own, condition) {
                continue;
            }
            let mut holds = a.with(own);
            node.below("then").into_iter().for_each(|s| holds.add(s));
            let mut fails = a.clone();
            node.below("else").into_iter().for_each(|s| fails.add(s));
            if self.quietly(|p| part(p, &holds, then) && part(p, &fails, other)) {
                return true;
            }
        }
        let holds = a.with(condition);
        if self.quietly(|p| part(p, &holds, then) && part(p, a, other)) {
            return true;
        }
        if self.apart(a, condition) && part(self, a, other) {
            return true;
        }
        self.fail("a condition (`if`) has changed in a way that cannot be followed")
    }
}

/// A decimal number as digits and how many of them stand behind the point.
fn decimal(value: &Value) -> Option<(i128, u32)> {
    let text = value.to_string();
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((d, e)) => (d.to_owned(), e.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let places = i32::try_from(fraction.len()).ok()? - exponent;
    let number: i128 = format!("{whole}{fraction}").parse().ok()?;
    match places {
        0..=30 => Some((number, places.unsigned_abs())),
        -15..=-1 => Some((number.checked_mul(10_i128.checked_pow(places.unsigned_abs())?)?, 0)),
        _ => None,
    }
}

/// Whether one decimal number is a whole multiple of another, exactly; `None` when they are too large to tell.
fn is_multiple(of: &Value, unit: &Value) -> Option<bool> {
    let ((a, i), (b, j)) = (decimal(of)?, decimal(unit)?);
    let scale = |n: i128, from: u32| n.checked_mul(10_i128.checked_pow(i.max(j) - from)?);
    let (a, b) = (scale(a, i)?, scale(b, j)?);
    (b != 0).then(|| a % b == 0)
}

/// A byte of a JSON pointer as it appears in a URI fragment.
fn encode(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'$' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    }
}
