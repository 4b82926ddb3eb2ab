//! One contract, rewritten: every reference becomes a file and a JSON pointer.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::index::{Index, Leads, Scope, Wrong, under};
use crate::refs::{Documents, Place, normalize, target, walk};

/// The most copies that the dynamic references of one contract need.
const COPIES_MAX: usize = 100;

/// Words that were removed, or mean one place alone, when a schema is rewritten.
const SETTLED: [&str; 5] = ["$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor"];

fn encoded(pointer: &str) -> String {
    pointer
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'$' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// One contract, as it is rewritten.
pub(super) struct Writer<'i> {
    index: &'i Index,
    file: &'i str,
    /// A resource in a scope → the JSON pointer in this file where it is.
    placed: BTreeMap<(usize, Scope), String>,
    waiting: Vec<(usize, Scope, String)>,
    copies: usize,
    /// Bytes that may still be copied, for all contracts.
    bytes_left: &'i mut usize,
    wrong: Vec<Wrong>,
}

impl<'i> Writer<'i> {
    pub(super) fn new(index: &'i Index, file: &'i str, bytes_left: &'i mut usize) -> Self {
        let (placed, waiting, wrong) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { index, file, placed, waiting, copies: 0, bytes_left, wrong }
    }

    /// The contract with its references written in one way, and what is wrong with them.
    pub(super) fn contract(
        mut self,
        documents: &Documents,
        schema: &Value,
        root: usize,
    ) -> (Value, Vec<Wrong>) {
        let scope = self.index.enter(&Scope::new(), root);
        let mut out = self.write(schema, root, &scope, "");
        let mut copies = Map::new();
        while let Some((resource, scope, at)) = self.waiting.pop() {
            let r = &self.index.all[resource];
            let Some(original) = documents.get(&r.file).and_then(|d| d.pointer(&r.pointer)) else { continue };
            match self.bytes_left.checked_sub(original.to_string().len()) {
                Some(left) => *self.bytes_left = left,
                None => {
                    self.copies = COPIES_MAX + 1;
                    break;
                }
            }
            let copy = self.write(original, resource, &scope, &at);
            copies.insert(at.trim_start_matches("/$defs/").to_owned(), copy);
        }
        if self.copies > COPIES_MAX {
            let message = format!(
                "its dynamic references mean more than {COPIES_MAX} different schemas, or too large ones"
            );
            let help = "use `$ref` where a schema is always the same";
            self.wrong.push((self.file.to_owned(), String::new(), message, help));
            // What leads to copies that were not made is not reported again.
            out = json!({});
        } else if !copies.is_empty()
            && let Value::Object(map) = &mut out
            && let Value::Object(defs) = map.entry("$defs").or_insert_with(|| json!({}))
        {
            defs.extend(copies);
        }
        (out, self.wrong)
    }

    /// How a place is written that is reached in a scope.
    fn written(&mut self, scope: &Scope, to: usize, place: &Place) -> String {
        let r = &self.index.all[to];
        if r.uses == 0 {
            let file = if place.file == self.file { "" } else { place.file.as_str() };
            let text = format!("{file}#{}", encoded(&place.pointer));
            return if place.pointer.is_empty() && !file.is_empty() { file.to_owned() } else { text };
        }
        let entered = self.index.enter(scope, to);
        let below = place.pointer.get(r.pointer.len()..).unwrap_or_default();
        let key = (to, entered);
        if let Some(at) = self.placed.get(&key) {
            return format!("#{}{}", encoded(at), encoded(below));
        }
        self.copies += 1;
        let at = format!("/$defs/dynamic-{}", self.copies);
        if self.copies <= COPIES_MAX {
            self.placed.insert(key.clone(), at.clone());
            self.waiting.push((key.0, key.1, at.clone()));
        }
        format!("#{}{}", encoded(&at), encoded(below))
    }

    /// Writes the references of a resource, which is at `at` of this file, in a scope.
    fn write(&mut self, schema: &Value, resource: usize, scope: &Scope, at: &str) -> Value {
        let index = self.index;
        let start = index.all[resource].pointer.as_str();
        let mut edits: Vec<(String, Map<String, Value>)> = Vec::new();
        let mut open = vec![(resource, scope.clone())];
        self.placed.entry((resource, scope.clone())).or_insert_with(|| at.to_owned());
        walk(schema, &mut start.to_owned(), &mut |pointer, s| {
            let Value::Object(map) = s else { return };
            while open.len() > 1 && open.last().is_some_and(|(r, _)| !under(pointer, &index.all[*r].pointer))
            {
                open.pop();
            }
            let inner = index.at(&index.all[resource].file, pointer);
            if let (Some(inner), Some((around, scope))) = (inner, open.last())
                && inner != *around
            {
                let entered = index.enter(scope, inner);
                let here = format!("{at}{}", &pointer[start.len()..]);
                self.placed.entry((inner, entered.clone())).or_insert(here);
                open.push((inner, entered));
            }
            if let Some((own, scope)) = open.last()
                && SETTLED.iter().any(|word| map.contains_key(*word))
            {
                edits.push((pointer[start.len()..].to_owned(), self.settled(map, pointer, *own, scope)));
            }
        });
        edited(schema, edits)
    }

    /// The members of a place, with the references written in one way.
    fn settled(
        &mut self,
        map: &Map<String, Value>,
        pointer: &str,
        own: usize,
        scope: &Scope,
    ) -> Map<String, Value> {
        let mut next = map.clone();
        for word in ["$ref", "$dynamicRef"] {
            let Some(text) = map.get(word).and_then(Value::as_str) else { continue };
            let leads = match word {
                "$dynamicRef" => self.leads_dynamically(own, text, scope),
                _ => self.index.leads(own, text),
            };
            let written = match leads {
                Ok(Some((to, place))) => {
                    let written = self.written(scope, to, &place);
                    // What was written as we would have is left as it was.
                    match normalize(text) {
                        Ok(plain) if target(self.file, &plain) == target(self.file, &written) => plain,
                        _ => written,
                    }
                }
                Ok(None) => normalize(text).unwrap_or_else(|_| text.to_owned()),
                Err((why, help)) => {
                    self.wrong.push((self.file.to_owned(), format!("{pointer}/{word}"), why, help));
                    continue;
                }
            };
            next.remove(word);
            if !next.contains_key("$ref") {
                next.insert("$ref".to_owned(), Value::String(written));
            } else if let Value::Array(all) = next.entry("allOf").or_insert_with(|| json!([])) {
                all.push(json!({ "$ref": written }));
            }
        }
        next
    }

    /// Where a dynamic reference leads in a scope: to the outermost resource that has its anchor.
    fn leads_dynamically(&self, own: usize, text: &str, scope: &Scope) -> Leads {
        let outermost = || {
            let name = self.index.dynamic_name(own, text)?;
            let to = *scope.get(self.index.names.get(&name)?)?;
            let pointer = self.index.all[to].dynamic.get(&name)?.clone();
            Some((to, Place { file: self.index.all[to].file.clone(), pointer }))
        };
        outermost().map_or_else(|| self.index.leads(own, text), |found| Ok(Some(found)))
    }
}

/// A schema in which the references of some places are rewritten.
fn edited(schema: &Value, edits: Vec<(String, Map<String, Value>)>) -> Value {
    let mut out = schema.clone();
    // From the innermost: an edit has the members of its place as they were.
    for (pointer, next) in edits.into_iter().rev() {
        let Some(Value::Object(place)) = out.pointer_mut(&pointer) else { continue };
        SETTLED.iter().for_each(|word| drop(place.remove(*word)));
        if let Some(to) = next.get("$ref") {
            place.insert("$ref".to_owned(), to.clone());
        }
        // A dynamic reference that stands beside a reference was added behind the others.
        let known = place.get("allOf").and_then(Value::as_array).map_or(0, Vec::len);
        let more = next.get("allOf").and_then(Value::as_array).into_iter().flatten().skip(known);
        let more: Vec<Value> = more.cloned().collect();
        if !more.is_empty()
            && let Value::Array(all) = place.entry("allOf").or_insert_with(|| json!([]))
        {
            all.extend(more);
        }
    }
    out
}
