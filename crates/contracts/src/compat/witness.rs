//! Looking for a value that was valid and is not any more. What is found is checked by the real validator, so it is real.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

use super::node::{ARRAY, BOOL, Conj, FRACTION, INTEGER, NULL, Node, OBJECT, STRING, Work};
use crate::validate::Checker;

/// Samples of one place, and of a whole document.
const SAMPLES_MAX: usize = 24;
const DOCUMENTS_MAX: usize = 1_500;
const DEPTH_MAX: usize = 7;
/// Members of one value that is tried; long texts count as several.
const MEMBERS_MAX: usize = 5_000;
/// Steps of the validators over all values that are tried.
const CHECKED_STEPS_MAX: u64 = 5_000_000;
/// Parts of a pattern that are looked at for a text that it matches.
const TEXT_STEPS_MAX: usize = 2_000;

/// A text that a pattern matches, as short as can be.
fn text_of(hir: &Hir) -> String {
    let mut out = String::new();
    write_text(hir, &mut out, &mut TEXT_STEPS_MAX.clone());
    out
}

fn write_text(hir: &Hir, out: &mut String, left: &mut usize) {
    if out.len() > 200 || *left == 0 {
        return;
    }
    *left -= 1;
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => out.extend(class.ranges().first().map(|r| r.start())),
        HirKind::Class(Class::Bytes(class)) => {
            out.extend(class.ranges().first().map(|r| char::from(r.start())))
        }
        HirKind::Repetition(r) => (0..r.min.min(50)).for_each(|_| write_text(&r.sub, out, left)),
        HirKind::Capture(c) => write_text(&c.sub, out, left),
        HirKind::Concat(parts) => parts.iter().for_each(|p| write_text(p, out, left)),
        HirKind::Alternation(parts) => parts.first().into_iter().for_each(|p| write_text(p, out, left)),
        HirKind::Empty | HirKind::Look(_) => {}
    }
}

fn numbers(c: &Conj<'_>, whole: bool, out: &mut Vec<Value>) {
    let mut list = Vec::new();
    for word in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"] {
        for limit in c.values(word).into_iter().filter_map(Value::as_f64) {
            list.extend([limit, limit + 1.0, limit - 1.0, limit + 0.5]);
        }
    }
    list.extend([0.0, 1.0, -1.0, 7.0, 1.5]);
    for n in list {
        let value = if n.fract() == 0.0 && n.abs() < 9e15 { json!(n as i64) } else { json!(n) };
        if !(whole && n.fract() != 0.0) {
            out.push(value);
        }
    }
}

fn texts(c: &Conj<'_>, out: &mut Vec<Value>) {
    for pattern in c.values("pattern").into_iter().filter_map(Value::as_str) {
        if let Ok(hir) = regex_syntax::parse(pattern) {
            out.push(json!(text_of(&hir)));
        }
    }
    for format in c.values("format").into_iter().filter_map(Value::as_str) {
        out.push(json!(match format {
            "date" => "2026-01-31",
            "date-time" => "2026-01-31T10:00:00Z",
            "time" => "10:00:00Z",
            "email" | "idn-email" => "a@example.com",
            "uri" | "iri" => "https://example.com/a",
            "uri-reference" | "iri-reference" => "/a",
            "uuid" => "00000000-0000-4000-8000-000000000000",
            "hostname" | "idn-hostname" => "example.com",
            "ipv4" => "127.0.0.1",
            "ipv6" => "::1",
            _ => "a",
        }));
    }
    for word in ["minLength", "maxLength"] {
        for limit in c.values(word).into_iter().filter_map(Value::as_u64).filter(|l| *l <= 3_000) {
            for n in [limit.saturating_sub(1), limit, limit + 1] {
                out.push(json!("a".repeat(n as usize)));
            }
        }
    }
    out.extend([json!("a"), json!("abc"), json!(""), json!("Ab 1-é")]);
}

fn work_of<'a>(c: &Conj<'a>) -> Option<&'a Work> {
    c.nodes.first().map(|n| n.work)
}

/// Takes steps for what was made; `false` when none are left.
fn spend(c: &Conj<'_>, other: &Conj<'_>, steps: usize) -> bool {
    work_of(c).or_else(|| work_of(other)).is_none_or(|w| w.spend(steps))
}

/// Whether the simple limits of a place let a text or number through.
fn plausible(c: &Conj<'_>, value: &Value) -> bool {
    let within = |n: f64, low: &str, high: &str| {
        c.largest(low).is_none_or(|l| n >= l) && c.smallest(high).is_none_or(|h| n <= h)
    };
    match value {
        Value::String(s) => {
            within(s.chars().count() as f64, "minLength", "maxLength")
                && c.values("pattern")
                    .into_iter()
                    .filter_map(Value::as_str)
                    .all(|p| work_of(c).is_none_or(|w| w.matches(p, s)))
        }
        Value::Number(n) => {
            let n = n.as_f64().unwrap_or(0.0);
            within(n, "minimum", "maximum")
                && c.largest("exclusiveMinimum").is_none_or(|l| n > l)
                && c.smallest("exclusiveMaximum").is_none_or(|h| n < h)
                && c.values("multipleOf")
                    .into_iter()
                    .filter_map(Value::as_f64)
                    .all(|m| m == 0.0 || (n / m).fract() == 0.0)
        }
        Value::Array(items) => within(items.len() as f64, "minItems", "maxItems"),
        _ => true,
    }
}

/// Values of one place: likely ones first. `other` is what the other schema says of it: members that only it names are
/// tried as well.
fn samples(c: &Conj<'_>, other: &Conj<'_>, depth: usize) -> Vec<Value> {
    let mut out = Vec::new();
    if c.never || depth > DEPTH_MAX || !spend(c, other, 10) {
        return out;
    }
    if let Some(list) = c.finite() {
        return list.into_iter().take(SAMPLES_MAX).cloned().collect();
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(node) = c
            .nodes
            .iter()
            .find(|n| n.get(word).is_some_and(|v| !c.split.contains(&(std::ptr::from_ref(v) as usize))))
        {
            let id = node.get(word).map_or(0, |v| std::ptr::from_ref(v) as usize);
            let branches = node.each(word);
            let each = (SAMPLES_MAX / branches.len().max(1)).max(2);
            for branch in branches {
                let mut case = c.with(branch);
                case.split.push(id);
                out.extend(samples(&case, other, depth + 1).into_iter().take(each));
            }
            return out;
        }
    }
    let types = c.types();
    let kinds = [(OBJECT, 0), (ARRAY, 1), (STRING, 2), (INTEGER, 3), (FRACTION, 4), (BOOL, 5), (NULL, 6)];
    let mut by_kind: Vec<std::vec::IntoIter<Value>> = Vec::new();
    for (bit, kind) in kinds {
        if types & bit == 0 {
            continue;
        }
        let mut some = Vec::new();
        match kind {
            0 => objects(c, other, depth, &mut some),
            1 => arrays(c, other, depth, &mut some),
            2 => texts(c, &mut some),
            3 => numbers(c, true, &mut some),
            4 => {
                numbers(c, false, &mut some);
                some.retain(|v| v.as_f64().is_some_and(|f| f.fract() != 0.0));
            }
            5 => some.extend([json!(true), json!(false)]),
            _ => some.push(Value::Null),
        }
        some.sort_by_key(|v| !plausible(c, v));
        by_kind.push(some.into_iter());
    }
    // One of each kind in turn, so that a few of them are of every kind.
    let most = if depth == 0 { DOCUMENTS_MAX } else { SAMPLES_MAX };
    while out.len() < most {
        let before = out.len();
        out.extend(by_kind.iter_mut().filter_map(Iterator::next));
        if out.len() == before {
            break;
        }
    }
    out
}

/// Values that were made of a place, each paid for.
struct Tried<'t, 'a> {
    c: &'t Conj<'a>,
    other: &'t Conj<'a>,
    found: &'t mut Vec<Value>,
}

impl Tried<'_, '_> {
    fn push(&mut self, value: Value) {
        let members = members(&value);
        if members <= MEMBERS_MAX && spend(self.c, self.other, 1 + members) {
            self.found.push(value);
        }
    }

    fn is_done(&self) -> bool {
        !spend(self.c, self.other, 0)
    }
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(members).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(members).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

fn arrays(c: &Conj<'_>, other: &Conj<'_>, depth: usize, found: &mut Vec<Value>) {
    let mut out = Tried { c, other, found };
    let prefix: Vec<Value> = (0..c.prefix_len())
        .map(|i| samples(&c.item(i), &other.item(i), depth + 1).into_iter().next().unwrap_or(Value::Null))
        .collect();
    let mut items = samples(&c.item(usize::MAX), &other.item(usize::MAX), depth + 1);
    for node in &c.nodes {
        if let Some(contains) = node.below("contains") {
            items.splice(0..0, samples(&Conj::of(contains), &Conj::any(), depth + 1).into_iter().take(2));
        }
    }
    let mut lengths = vec![0, 1, 2, prefix.len(), prefix.len() + 1];
    for word in ["minItems", "maxItems", "minContains", "maxContains"] {
        for limit in c.values(word).into_iter().filter_map(Value::as_u64).filter(|l| *l <= 50) {
            lengths.extend([(limit as usize).saturating_sub(1), limit as usize, limit as usize + 1]);
        }
    }
    lengths.sort_unstable();
    lengths.dedup();
    let build = |n: usize, shift: usize| -> Value {
        let rest = (prefix.len()..n).filter_map(|i| items.get((i + shift) % items.len().max(1)).cloned());
        Value::Array(prefix.iter().take(n).cloned().chain(rest).collect())
    };
    for item in items.iter().take(12) {
        out.push(json!([item]));
    }
    for i in 0..c.prefix_len().min(8) {
        for value in samples(&c.item(i), &other.item(i), depth + 1).into_iter().take(8) {
            let mut list = prefix.clone();
            list[i] = value;
            out.push(Value::Array(list));
        }
    }
    for n in lengths {
        out.push(build(n, 0));
        if let Some(first) = items.first() {
            out.push(Value::Array(vec![first.clone(); n]));
        }
    }
}

fn objects<'a>(c: &Conj<'a>, other: &Conj<'a>, depth: usize, found: &mut Vec<Value>) {
    let mut out = Tried { c, other, found };
    let mut names: Vec<&str> = Vec::new();
    c.nodes.iter().chain(&other.nodes).for_each(|n| n.mentioned(0, &mut names));
    names.sort_unstable();
    names.dedup();
    names.truncate(60);
    let declared = c.names();
    let choices: Vec<(&str, Vec<Value>)> = names
        .into_iter()
        .map(|n| {
            let mut some = samples(&c.property(n).0, &other.property(n).0, depth + 1);
            if !declared.contains(&n) && !c.property(n).0.never {
                // Only the other schema says what it is: one value of each type.
                some.extend([json!("a"), json!(1.5), json!(true), json!(null), json!([]), json!({})]);
            }
            (n, some)
        })
        .filter(|(_, s)| !s.is_empty())
        .collect();
    let pick = |required_only: bool| -> Map<String, Value> {
        choices
            .iter()
            .filter(|(n, _)| !required_only || c.required(n))
            .map(|(n, s)| ((*n).to_owned(), s[0].clone()))
            .collect()
    };
    let (least, full) = (pick(true), pick(false));
    if full.values().map(members).sum::<usize>() > MEMBERS_MAX {
        return out.push(Value::Object(least));
    }
    out.push(Value::Object(full.clone()));
    out.push(Value::Object(least.clone()));
    for (name, _) in &choices {
        let mut map = full.clone();
        map.remove(*name);
        out.push(Value::Object(map));
    }
    for (name, values) in &choices {
        if out.is_done() {
            return;
        }
        for value in values.iter().take(if depth == 0 { SAMPLES_MAX } else { 6 }) {
            for base in [&least, &full] {
                let mut map = base.clone();
                map.insert((*name).to_owned(), value.clone());
                out.push(Value::Object(map));
            }
        }
    }
    named_by_patterns(c, other, depth, &least, &mut out);
    with_other_names(c, other, depth, &least, &mut out);
}

/// Members whose names fit a pattern.
fn named_by_patterns<'a>(
    c: &Conj<'a>,
    other: &Conj<'a>,
    depth: usize,
    least: &Map<String, Value>,
    out: &mut Tried<'_, 'a>,
) {
    let patterns =
        c.patterns().into_iter().map(|(p, s)| (p, samples(&Conj::of(s), &other.others(), depth + 1)));
    // A pattern that only the other schema has: any value may stand under such a name.
    let foreign = other.patterns().into_iter().filter(|_| !c.others().never).map(|(p, _)| {
        (p, vec![json!("a"), json!(1), json!(1.5), json!(true), json!(null), json!([]), json!({})])
    });
    for (pattern, values) in patterns.chain(foreign) {
        let Ok(hir) = regex_syntax::parse(pattern) else { continue };
        let name = text_of(&hir);
        for value in values.into_iter().take(8) {
            let mut map = least.clone();
            map.insert(name.clone(), value);
            out.push(Value::Object(map));
        }
    }
}

/// Members that no contract declares.
fn with_other_names<'a>(
    c: &Conj<'a>,
    other: &Conj<'a>,
    depth: usize,
    least: &Map<String, Value>,
    out: &mut Tried<'_, 'a>,
) {
    // Of every length that names may have, and several at a time.
    let mut free = vec![json!("zz-other")];
    c.nodes.iter().chain(&other.nodes).filter_map(|n| n.below("propertyNames")).for_each(|n| {
        texts(&Conj::of(n), &mut free);
    });
    let values = samples(&c.others(), &other.others(), depth + 1);
    for name in free.iter().filter_map(Value::as_str).take(20) {
        for value in values.iter().take(4) {
            let mut map = least.clone();
            map.insert(name.to_owned(), value.clone());
            out.push(Value::Object(map));
        }
    }
    if let Some(value) = values.first() {
        for count in 2..=6 {
            let more = (0..count).map(|n| (format!("zz-{n}"), value.clone()));
            out.push(Value::Object(least.clone().into_iter().chain(more).collect()));
        }
    }
}

/// A value that `valid` accepts and `invalid` does not; made from either schema.
pub(super) fn find(sources: [Node<'_>; 2], valid: &Checker, invalid: &Checker) -> Option<Value> {
    let [a, b] = sources;
    let mut left = CHECKED_STEPS_MAX;
    for (source, other) in [(a, b), (b, a)] {
        let mut tried = samples(&Conj::of(source), &Conj::of(other), 0);
        tried.extend([json!(null), json!(true), json!(1), json!(1.5), json!("a"), json!([]), json!({})]);
        for value in tried.into_iter().take(DOCUMENTS_MAX) {
            for checker in [valid, invalid] {
                left = left.checked_sub(checker.steps(&value)?)?;
            }
            if valid.is_valid(&value) && invalid.judge(&value) == Some(false) {
                return Some(value);
            }
        }
    }
    None
}
