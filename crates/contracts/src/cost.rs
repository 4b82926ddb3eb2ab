//! How much work a schema is, counted before anything is compiled or run.
//!
//! A schema of a few hundred bytes can stand for billions of steps: each of twenty schemas that names the next one twice
//! doubles them. The counts here are exact for schemas and cheap to make, because each place is counted once.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::refs::{Documents, Place, look_up, target};

/// The most places (subschemas) that a contract reaches, through `$ref`s too.
pub const SCHEMA_PLACES_MAX: usize = 20_000;

/// The most steps that checking one place of a value may take: every schema of `allOf`, `anyOf`, `oneOf`, `if`, `not` and
/// `$ref` counts each time it is reached.
pub const SCHEMA_STEPS_MAX: u64 = 10_000;

/// The most schemas that lead from one to the next at the same place of a value.
pub const SCHEMA_CHAIN_MAX: usize = 100;

/// The most steps that checking a whole value may take.
pub const VALIDATION_STEPS_MAX: u64 = 5_000_000;

/// The most bytes, by estimate, that listing the violations of a value may take. Beyond it, a value is only said to be
/// invalid.
const EXPLAIN_BYTES_MAX: u64 = 256 << 20;

/// The deepest value that is counted.
const VALUE_DEPTH_MAX: usize = 130;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The file and JSON pointer of the schema that is too much.
    pub place: Place,
    pub message: String,
    pub help: &'static str,
}

#[derive(Debug, Default)]
struct Spot {
    /// Schemas that apply at the same place, each as often as it is run.
    same: Vec<u32>,
    /// Schemas of members: by name, of any member, of the names, by position, and of any item.
    named: FxHashMap<Box<str>, u32>,
    rest: Vec<u32>,
    names: Vec<u32>,
    prefix: Vec<u32>,
    items: Vec<u32>,
    /// Steps at one place: itself and everything that applies there.
    steps: u64,
}

impl Spot {
    fn below(&self) -> impl Iterator<Item = u32> {
        let lists = [&self.rest, &self.names, &self.prefix, &self.items];
        self.named.values().copied().chain(lists.into_iter().flatten().copied())
    }
}

/// The places of a schema, and what each of them costs.
#[derive(Debug)]
pub(crate) struct Cost {
    /// The root is the first.
    spots: Vec<Spot>,
    /// In an order in which each place comes behind those that apply where it does.
    order: Vec<u32>,
    /// Whether there are alternatives.
    choices: bool,
    /// Steps of a value by its depth, if each member were checked by every schema for members. Made when first needed.
    by_depth: OnceLock<Vec<u64>>,
}

struct Reader<'a> {
    documents: &'a Documents,
    places: Vec<(&'a str, &'a Value, String)>,
    known: FxHashMap<usize, u32>,
    choices: bool,
}

impl<'a> Reader<'a> {
    fn place(&mut self, file: &'a str, value: &'a Value, pointer: impl FnOnce() -> String) -> u32 {
        let next = self.places.len() as u32;
        let id = *self.known.entry(std::ptr::from_ref(value) as usize).or_insert(next);
        if id == next {
            self.places.push((file, value, pointer()));
        }
        id
    }

    fn spot(&mut self, at: usize) -> Spot {
        let (file, value, pointer) = self.places[at].clone();
        let mut spot = Spot::default();
        let Value::Object(map) = value else { return spot };
        let below = |steps: &[&str]| {
            let mut out = pointer.clone();
            for step in steps {
                out.push('/');
                out.push_str(&ashlar_model::pointer_step(step));
            }
            out
        };
        for (word, value) in map {
            match word.as_str() {
                "$ref" => {
                    let Some(text) = value.as_str() else { continue };
                    let to = target(file, text);
                    let Some((file, _)) = self.documents.get_key_value(&to.file) else { continue };
                    let Some(found) = look_up(self.documents, &to) else { continue };
                    spot.same.push(self.place(file, found, || to.pointer));
                }
                "allOf" | "anyOf" | "oneOf" => {
                    self.choices |= word != "allOf";
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        spot.same.push(self.place(file, item, || below(&[word, &i.to_string()])));
                    }
                }
                "not" | "if" | "then" | "else" => spot.same.push(self.place(file, value, || below(&[word]))),
                "dependentSchemas" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        spot.same.push(self.place(file, item, || below(&[word, name])));
                    }
                }
                "properties" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        let id = self.place(file, item, || below(&[word, name]));
                        spot.named.insert(name.as_str().into(), id);
                    }
                }
                "patternProperties" => {
                    for (name, item) in value.as_object().into_iter().flatten() {
                        spot.rest.push(self.place(file, item, || below(&[word, name])));
                    }
                }
                "additionalProperties" | "unevaluatedProperties" => {
                    spot.rest.push(self.place(file, value, || below(&[word])));
                }
                "propertyNames" => spot.names.push(self.place(file, value, || below(&[word]))),
                "prefixItems" => {
                    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                        spot.prefix.push(self.place(file, item, || below(&[word, &i.to_string()])));
                    }
                }
                "items" | "contains" | "unevaluatedItems" => {
                    spot.items.push(self.place(file, value, || below(&[word])));
                }
                _ => {}
            }
        }
        // What is left over is found by running the others once more.
        if map.contains_key("unevaluatedProperties") || map.contains_key("unevaluatedItems") {
            spot.same.extend_from_within(..);
        }
        spot
    }
}

impl Cost {
    /// Counts the schema of a file.
    ///
    /// # Errors
    /// The place at which it is more than can be run.
    pub fn measure(documents: &Documents, file: &str) -> Result<Self, Refused> {
        let mut reader =
            Reader { documents, places: Vec::new(), known: FxHashMap::default(), choices: false };
        if let Some((file, root)) = documents.get_key_value(file) {
            reader.place(file, root, String::new);
        }
        let refused = |reader: &Reader<'_>, at: usize, message: String, help| {
            let (file, _, pointer) = &reader.places[at];
            Refused { place: Place { file: (*file).to_owned(), pointer: pointer.clone() }, message, help }
        };
        let mut spots: Vec<Spot> = Vec::new();
        while spots.len() < reader.places.len() {
            if reader.places.len() > SCHEMA_PLACES_MAX {
                let message = format!(
                    "the contract has more than {SCHEMA_PLACES_MAX} schemas, those that it refers to included"
                );
                return Err(refused(&reader, 0, message, "split the contract"));
            }
            let spot = reader.spot(spots.len());
            spots.push(spot);
        }
        let mut waiting: Vec<usize> = vec![0; spots.len()];
        let mut users: Vec<Vec<u32>> = vec![Vec::new(); spots.len()];
        for (at, spot) in spots.iter().enumerate() {
            waiting[at] = spot.same.len();
            spot.same.iter().for_each(|s| users[*s as usize].push(at as u32));
        }
        let mut order: Vec<u32> = (0..spots.len() as u32).filter(|at| waiting[*at as usize] == 0).collect();
        let mut chain = vec![0_usize; spots.len()];
        let mut done = 0;
        while let Some(at) = order.get(done).map(|at| *at as usize) {
            done += 1;
            let spot = &spots[at];
            let steps = spot.same.iter().fold(1_u64, |n, s| n.saturating_add(spots[*s as usize].steps));
            chain[at] = spot.same.iter().map(|s| chain[*s as usize] + 1).max().unwrap_or(0);
            spots[at].steps = steps;
            if steps > SCHEMA_STEPS_MAX {
                let message = format!(
                    "checking one value against this takes more than {SCHEMA_STEPS_MAX} steps, because its schemas refer to each other many times"
                );
                return Err(refused(
                    &reader,
                    at,
                    message,
                    "let each `allOf`, `anyOf` and `oneOf` name a schema once",
                ));
            }
            if chain[at] > SCHEMA_CHAIN_MAX {
                let message = format!(
                    "more than {SCHEMA_CHAIN_MAX} schemas lead from one to the next at the same place"
                );
                return Err(refused(&reader, at, message, "refer to the last of them directly"));
            }
            for user in &users[at] {
                waiting[*user as usize] -= 1;
                if waiting[*user as usize] == 0 {
                    order.push(*user);
                }
            }
        }
        if let Some(at) = (0..spots.len()).find(|at| waiting[*at] > 0) {
            return Err(refused(
                &reader,
                at,
                "the schema refers to itself at the same place of a value".to_owned(),
                "a recursive schema takes a step into the value, such as `properties` or `items`, between two `$ref`s",
            ));
        }
        Ok(Self { spots, order, choices: reader.choices, by_depth: OnceLock::new() })
    }

    fn by_depth(&self) -> &[u64] {
        self.by_depth.get_or_init(|| {
            let mut last: Vec<u64> = self.spots.iter().map(|s| s.steps).collect();
            let root = |all: &[u64]| all.first().copied().unwrap_or(1);
            let mut out = vec![root(&last)];
            while out.len() <= VALUE_DEPTH_MAX && out.last().is_some_and(|n| *n <= VALIDATION_STEPS_MAX) {
                let mut next = vec![0_u64; self.spots.len()];
                for at in &self.order {
                    let spot = &self.spots[*at as usize];
                    let same = spot.same.iter().fold(1_u64, |n, s| n.saturating_add(next[*s as usize]));
                    let down = spot.below().map(|s| last[s as usize]);
                    next[*at as usize] = down.fold(same, u64::saturating_add);
                }
                if next == last {
                    break;
                }
                out.push(root(&next));
                last = next;
            }
            out
        })
    }

    /// The steps that checking `value` takes, or `None` when they are more than `max`. Not less than the real number;
    /// often far from it when that does not matter.
    pub fn of_value(&self, value: &Value, max: u64) -> Option<u64> {
        let by_depth = self.by_depth();
        let (mut members, mut depth) = (0_u64, 0);
        measure(value, 0, &mut members, &mut depth);
        // Deeper values cost the same when the table has ended before its bound.
        let settled = by_depth.last().is_some_and(|n| *n <= VALIDATION_STEPS_MAX) && depth <= VALUE_DEPTH_MAX;
        let bound = by_depth.get(depth).or_else(|| by_depth.last().filter(|_| settled));
        if let Some(bound) = bound.and_then(|b| b.checked_mul(members)).filter(|b| *b <= max) {
            return Some(bound);
        }
        self.counted(value, max, false)
    }

    /// Whether everything that is wrong with `value` can be listed. Errors below an alternative keep copies of the value.
    pub fn explains(&self, value: &Value) -> bool {
        !self.choices || self.counted(value, EXPLAIN_BYTES_MAX, true).is_some()
    }

    fn counted(&self, value: &Value, max: u64, bytes: bool) -> Option<u64> {
        let mut count = Count { spots: &self.spots, left: max, bytes };
        (!self.spots.is_empty() && count.value(&[(0, 1)], value, 0)).then(|| max - count.left)
    }
}

struct Count<'a> {
    spots: &'a [Spot],
    left: u64,
    /// Whether each step counts for the bytes of the value.
    bytes: bool,
}

impl Count<'_> {
    fn spend(&mut self, steps: u64) -> bool {
        let rest = self.left.checked_sub(steps);
        self.left = rest.unwrap_or(0);
        rest.is_some()
    }

    /// Takes the steps of a value under schemas, each as often as it is run; `false` when there are more than are left.
    fn value(&mut self, ids: &[(u32, u64)], value: &Value, depth: usize) -> bool {
        let unit = if self.bytes { bytes_of(value, 0) } else { 1 };
        let steps = ids.iter().fold(0_u64, |n, (id, times)| {
            n.saturating_add(times.saturating_mul(self.spots[*id as usize].steps))
        });
        if depth > VALUE_DEPTH_MAX || !self.spend(steps.saturating_mul(unit)) {
            return false;
        }
        if !value.is_object() && !value.is_array() {
            return true;
        }
        // Every schema that speaks of members, with how often it is run here.
        let mut here: FxHashMap<u32, u64> = FxHashMap::default();
        let mut waiting: Vec<(u32, u64)> = ids.to_vec();
        while let Some((id, times)) = waiting.pop() {
            let spot = &self.spots[id as usize];
            waiting.extend(spot.same.iter().map(|s| (*s, times)));
            if spot.below().next().is_some() {
                let known = here.entry(id).or_default();
                *known = known.saturating_add(times);
            }
        }
        let spots = self.spots;
        let here: Vec<(&Spot, u64)> =
            here.into_iter().map(|(id, times)| (&spots[id as usize], times)).collect();
        let names = here.iter().any(|(spot, _)| !spot.names.is_empty());
        match value {
            Value::Object(map) => map.iter().all(|(name, item)| {
                self.below(&here, item, depth, |s| s.named.get(name.as_str()).into_iter().chain(&s.rest))
                    && (!names || self.below(&here, &Value::Null, depth, |s| s.names.iter()))
            }),
            Value::Array(items) => items.iter().enumerate().all(|(at, item)| {
                self.below(&here, item, depth, |s| s.prefix.get(at).into_iter().chain(&s.items))
            }),
            _ => true,
        }
    }

    fn below<'s, I: Iterator<Item = &'s u32>>(
        &mut self,
        here: &[(&'s Spot, u64)],
        item: &Value,
        depth: usize,
        of: impl Fn(&'s Spot) -> I,
    ) -> bool {
        let mut list: Vec<(u32, u64)> =
            here.iter().flat_map(|(spot, times)| of(spot).map(|id| (*id, *times))).collect();
        if !self.bytes && !self.spend(here.len() as u64) {
            return false;
        }
        list.sort_unstable();
        list.dedup_by(|(id, times), (kept, sum)| {
            let same = id == kept;
            if same {
                *sum = sum.saturating_add(*times);
            }
            same
        });
        list.is_empty() || self.value(&list, item, depth + 1)
    }
}

/// About what a copy of a value takes.
fn bytes_of(value: &Value, depth: usize) -> u64 {
    const EACH: u64 = 32;
    if depth > VALUE_DEPTH_MAX {
        return EACH;
    }
    EACH + match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(|i| bytes_of(i, depth + 1)).sum(),
        Value::Object(map) => map.iter().map(|(n, i)| n.len() as u64 + EACH + bytes_of(i, depth + 1)).sum(),
        _ => 0,
    }
}

/// Counts the members of a value, itself included, and how deep they lie.
fn measure(value: &Value, depth: usize, members: &mut u64, deepest: &mut usize) {
    *members += 1;
    *deepest = depth.max(*deepest);
    if depth > VALUE_DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|i| measure(i, depth + 1, members, deepest)),
        Value::Object(map) => map.values().for_each(|i| measure(i, depth + 1, members, deepest)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn documents(schema: Value) -> Documents {
        Documents::from([("a.json".to_owned(), schema)])
    }

    /// `count` schemas, of which each is `made` of a reference to the next.
    fn levels(count: usize, made: impl Fn(Value) -> Value) -> Documents {
        let mut defs = serde_json::Map::new();
        for at in 0..count {
            defs.insert(format!("d{at}"), made(json!({ "$ref": format!("#/$defs/d{}", at + 1) })));
        }
        defs.insert(format!("d{count}"), json!({ "type": "string" }));
        documents(json!({ "$ref": "#/$defs/d0", "$defs": defs }))
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |v, _| json!({ "a": v }))
    }

    #[test]
    fn schemas_that_double_at_one_place_are_refused() {
        let doubling: [fn(Value) -> Value; 6] = [
            |r| json!({ "anyOf": [r, r] }),
            |r| json!({ "allOf": [r, r] }),
            |r| json!({ "oneOf": [r, r] }),
            |r| json!({ "if": r, "then": r }),
            |r| json!({ "not": r, "else": r }),
            |r| json!({ "dependentSchemas": { "a": r, "b": r } }),
        ];
        for made in doubling {
            let refused = Cost::measure(&levels(30, made), "a.json").unwrap_err();
            assert!(refused.message.contains("10000 steps"), "{refused:?}");
            assert!(Cost::measure(&levels(5, made), "a.json").is_ok());
        }
        let chain = Cost::measure(&levels(150, |r| json!({ "allOf": [r] })), "a.json").unwrap_err();
        assert!(chain.message.contains("lead from one to the next"), "{chain:?}");
        let deep = levels(50_000, |r| json!({ "properties": { "a": r } }));
        assert!(Cost::measure(&deep, "a.json").unwrap_err().message.contains("20000 schemas"));
    }

    #[test]
    fn schemas_without_an_end_are_refused() {
        for schema in [
            json!({ "allOf": [{ "$ref": "#" }] }),
            json!({ "not": { "anyOf": [{ "$ref": "#" }] } }),
            json!({ "if": { "$ref": "#" } }),
            json!({ "$defs": { "a": { "oneOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
        ] {
            let refused = Cost::measure(&documents(schema), "a.json").unwrap_err();
            assert!(refused.message.contains("refers to itself"), "{refused:?}");
        }
        assert!(Cost::measure(&documents(json!({ "items": { "$ref": "#" } })), "a.json").is_ok());
    }

    #[test]
    fn values_cost_what_their_depth_makes_of_a_schema() {
        let branching = documents(json!({
            "$defs": { "a": { "properties": { "a": { "$ref": "#" } } } },
            "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }],
        }));
        let cost = Cost::measure(&branching, "a.json").unwrap();
        assert!(cost.of_value(&nested(4), VALIDATION_STEPS_MAX).is_some());
        assert_eq!(cost.of_value(&nested(60), VALIDATION_STEPS_MAX), None);
        // A wide value under many schemas is counted, not guessed.
        let wide = documents(
            json!({ "properties": (0..3_000).map(|n| (format!("p{n}"), json!({ "type": "string" }))).collect::<serde_json::Map<_, _>>() }),
        );
        let value = Value::Object((0..3_000).map(|n| (format!("p{n}"), json!("x"))).collect());
        let cost = Cost::measure(&wide, "a.json").unwrap();
        assert_eq!(cost.of_value(&value, VALIDATION_STEPS_MAX), Some(6_001));
        // One that grows no further with depth.
        let list =
            Cost::measure(&documents(json!({ "properties": { "a": { "$ref": "#" } } })), "a.json").unwrap();
        assert!(list.of_value(&nested(100), VALIDATION_STEPS_MAX).is_some());
    }
}
