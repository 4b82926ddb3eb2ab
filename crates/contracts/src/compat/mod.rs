//! Compatibility of two versions of a contract: what changed, and whether values stay valid.
//!
//! `backward` says whether every value valid under the old version is valid under the new one, `forward` the reverse. Each
//! answer is yes, no or unknown, and a yes is never wrong.

mod answer;
mod changes;
mod names;
mod node;
mod prove;
mod witness;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ashlar_model::Digest;
use changes::{LOCALIZATION, PROPERTY_ADDED, REFERENCE_TYPES, Walker};
use node::{Conj, Node, Work};
use prove::Prover;
use serde_json::Value;

use crate::{
    Contract,
    cost::Cost,
    refs::{Documents, closure},
    validate,
};
pub use answer::{Answer, Change, Comparison, Verdict};

/// The most steps of one proof that every value of one schema is valid under another. Beyond it the answer is unknown.
pub const PROOF_STEPS_MAX: u64 = 2_000_000;

/// The most steps of one search for a value that is valid under one schema and not under another.
pub const SEARCH_STEPS_MAX: u64 = 1_000_000;

/// Compares two versions of a contract. `lenient`: an optional property may be added to an open content model.
pub fn compare(old: &Contract, new: &Contract, lenient: bool) -> Comparison {
    compare_files((&old.documents, &old.file()), (&new.documents, &new.file()), lenient)
}

/// The files that a file refers to, itself included, with annotations left out: what an approval is tied to.
fn substance(docs: &Documents, file: &str) -> BTreeMap<String, Value> {
    let strip = |value: &Value| {
        let mut value = value.clone();
        strip_annotations(&mut value);
        value
    };
    closure(docs, file).into_iter().filter_map(|f| docs.get(&f).map(|v| (f.clone(), strip(v)))).collect()
}

/// Removes annotations where a schema is; values under `const`, `enum` and the like stay as they are.
fn strip_annotations(schema: &mut Value) {
    let mut places = Vec::new();
    crate::refs::walk(schema, &mut String::new(), &mut |pointer, _| places.push(pointer.to_owned()));
    for place in places {
        let Some(Value::Object(map)) = schema.pointer_mut(&place) else { continue };
        for word in ["title", "description", "examples", "default", "$comment", "$schema"] {
            map.remove(word);
        }
        if let Some(Value::Object(words)) = map.get_mut("x-ashlar") {
            words.retain(|w, _| {
                ["semantics", "unit", "sensitivity", "ref", "localized"].contains(&w.as_str())
            });
        }
    }
}

struct Side<'a> {
    docs: &'a Arc<Documents>,
    file: &'a str,
}

/// Whether every value of `a` is valid under `b`, with why not.
fn subset(a: &Side<'_>, b: &Side<'_>, lenient: bool, left: &AtomicU64) -> (Answer, Vec<String>) {
    let (Some(root_a), Some(root_b)) = (a.docs.get(a.file), b.docs.get(b.file)) else {
        return (Answer::Unknown, vec!["a schema is missing".to_owned()]);
    };
    if Cost::measure(a.docs, a.file).is_err() || Cost::measure(b.docs, b.file).is_err() {
        return (Answer::Unknown, vec!["a schema refers to itself too often to be compared".to_owned()]);
    }
    let allowed = PROOF_STEPS_MAX.min(left.load(Ordering::Relaxed));
    let work = Work::new(allowed);
    let node_a = Node { work: &work, docs: a.docs, file: a.file, value: root_a };
    let node_b = Node { work: &work, docs: b.docs, file: b.file, value: root_b };
    let mut prover = Prover::new(a.docs, b.docs, lenient);
    let proven = prover.prove(&Conj::of(node_a), node_b);
    let mut reasons = prover.reasons;
    left.fetch_sub(allowed - work.left(), Ordering::Relaxed);
    if work.is_spent() {
        reasons.push(format!("the comparison stopped after {allowed} steps"));
    } else if proven {
        return (Answer::Yes, Vec::new());
    }
    let allowed = SEARCH_STEPS_MAX.min(left.load(Ordering::Relaxed));
    let work = Work::new(allowed);
    let spent = |work: &Work| left.fetch_sub(allowed - work.left(), Ordering::Relaxed);
    let (node_a, node_b) = (Node { work: &work, ..node_a }, Node { work: &work, ..node_b });
    let example = match (validate::compile(a.docs, a.file), validate::compile(b.docs, b.file)) {
        (Ok(valid), Ok(invalid)) if allowed > 0 => witness::find([node_a, node_b], &valid, &invalid),
        _ => None,
    };
    spent(&work);
    if let Some(example) = example {
        let mut text = example.to_string();
        if let Some((at, _)) = text.char_indices().nth(300) {
            text.truncate(at);
            text.push('…');
        }
        reasons.insert(0, format!("for example {text} is valid under one and not under the other"));
        return (Answer::No, reasons);
    }
    (Answer::Unknown, reasons)
}

/// Whether every value that is valid under the first schema is valid under the second.
/// `left` is what may still be done for this and other questions together.
pub(crate) fn every(
    a: (&Arc<Documents>, &str),
    b: (&Arc<Documents>, &str),
    left: &AtomicU64,
) -> (Answer, Vec<String>) {
    subset(&Side { docs: a.0, file: a.1 }, &Side { docs: b.0, file: b.1 }, false, left)
}

/// Compares two schemas, each a file among its documents.
pub(crate) fn compare_files(
    old: (&Arc<Documents>, &str),
    new: (&Arc<Documents>, &str),
    lenient: bool,
) -> Comparison {
    let (a, b) = (Side { docs: old.0, file: old.1 }, Side { docs: new.0, file: new.1 });
    let (old_part, new_part) = (substance(a.docs, a.file), substance(b.docs, b.file));
    // Members are in order already; the canonical form would take integers beyond 2^53 for the same number.
    let digest = Digest::of(&serde_json::to_vec(&(&old_part, &new_part)).unwrap_or_default());
    let mut walker = Walker::new(lenient);
    let empty = Value::Object(serde_json::Map::new());
    walker.walk("", a.docs.get(a.file).unwrap_or(&empty), b.docs.get(b.file).unwrap_or(&empty), 0);
    for file in old_part.keys().filter(|f| *f != a.file && new_part.contains_key(*f)) {
        if let (Some(o), Some(n)) = (a.docs.get(file), b.docs.get(file)) {
            walker.walk(&format!("{file}#"), o, n, 0);
        }
    }
    let mut changes = walker.changes;
    let left = AtomicU64::new(u64::MAX);
    let (mut backward, mut reasons) = subset(&a, &b, lenient, &left);
    let (mut forward, more) = subset(&b, &a, false, &left);
    // What a field may refer to is no word of JSON Schema, and decides all the same which values hold.
    for change in changes.iter().filter(|c| c.kind == REFERENCE_TYPES) {
        if change.backward == Answer::No {
            reasons.push(format!("{}: {}", change.path, change.message));
        }
        backward = backward.max(change.backward);
        forward = forward.max(change.forward);
    }
    if forward != Answer::Yes {
        reasons.extend(more.into_iter().map(|r| format!("forward, {r}")));
    }
    for change in &mut changes {
        if backward == Answer::Yes && change.backward != Answer::Yes {
            change.backward = Answer::Yes;
            change.verdict = change.verdict.min(Verdict::Minor);
        }
        if forward == Answer::Yes {
            change.forward = Answer::Yes;
        }
        // Another way to write the same, unless something new can be said.
        let says_more = change.semantic || [PROPERTY_ADDED, LOCALIZATION].contains(&change.kind.as_str());
        if backward == Answer::Yes && forward == Answer::Yes && !says_more {
            change.verdict = change.verdict.min(Verdict::Patch);
        }
    }
    let semantic = changes.iter().any(|c| c.semantic);
    let named = changes.iter().map(|c| c.verdict).max().unwrap_or(Verdict::None);
    let same = old_part == new_part && changes.is_empty();
    let verdict = match (same, backward, forward) {
        (true, ..) => Verdict::None,
        (false, Answer::No | Answer::Unknown, _) => Verdict::Major,
        (false, Answer::Yes, Answer::Yes) if !semantic => named.max(Verdict::Patch),
        (false, Answer::Yes, _) => named.max(Verdict::Minor),
    };
    Comparison { verdict, semantic, backward, forward, changes, reasons, digest }
}

/// Compares two schemas, each a file among its documents: names such as `page.v1.json`, `$ref`s to other documents by name.
pub fn compare_documents(
    old: (&BTreeMap<String, Value>, &str),
    new: (&BTreeMap<String, Value>, &str),
    lenient: bool,
) -> Comparison {
    let settled = |documents: &Documents| {
        let mut documents = documents.clone();
        // A reference that leads nowhere stays, and cannot be followed.
        crate::settle::settle(&mut documents);
        Arc::new(documents)
    };
    compare_files((&settled(old.0), old.1), (&settled(new.0), new.1), lenient)
}
