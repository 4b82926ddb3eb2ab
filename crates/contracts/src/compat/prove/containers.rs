//! Proofs about the members of objects and arrays.

use rustc_hash::FxHashSet;
use serde_json::Value;

use super::{
    super::node::{Conj, Node, STRING, exact, leftover_applies, same},
    Prover,
};

impl<'a> Prover<'a> {
    fn property(&mut self, a: &Conj<'a>, b: Node<'a>, name: &str, schema: Node<'a>) -> bool {
        let (child, said) = a.property(name);
        if !said
            && self.lenient
            && !a.required(name)
            && !a.nodes.iter().any(|n| mentions(*n, name, &mut FxHashSet::default()))
        {
            let required =
                b.get("required").and_then(Value::as_array).is_some_and(|r| r.iter().any(|v| v == name));
            if !required && schema.value != &Value::Bool(false) {
                self.taken_as_new.push(name.to_owned());
                return true;
            }
        }
        self.inside(name, |p| {
            p.prove(&child, schema) || {
                if !said {
                    p.fail(format!("it is an open content model: a value could carry `{name}` already, with anything in it"));
                }
                false
            }
        })
    }

    pub(super) fn object(&mut self, a: &Conj<'a>, b: Node<'a>, word: &str, value: &'a Value) -> bool {
        match word {
            "properties" => {
                b.named("properties").into_iter().all(|(name, schema)| self.property(a, b, name, schema))
            }
            "patternProperties" => b.named("patternProperties").into_iter().all(|(pattern, schema)| {
                let named = a.names().into_iter().filter(|n| b.work.matches(pattern, n)).all(|name| {
                    let (child, _) = a.property(name);
                    self.inside(name, |p| p.prove(&child, schema))
                });
                named
                    && a.patterns()
                        .into_iter()
                        .all(|(_, own)| self.inside(pattern, |p| p.prove(&Conj::of(own), schema)))
                    && (a.patterns().iter().any(|(own, _)| *own == pattern)
                        || self.inside(pattern, |p| p.prove(&a.others(), schema)))
            }),
            "additionalProperties" => self.others(a, b, b.at(value)),
            "propertyNames" => {
                let mut own = Conj::any();
                a.nodes.iter().filter_map(|n| n.below("propertyNames")).for_each(|s| own.add(s));
                own.mask = STRING;
                if self.quietly(|p| p.prove(&own, b.at(value))) {
                    return true;
                }
                let closed = a.others().never && a.patterns().is_empty();
                let fits = closed
                    && a.names()
                        .into_iter()
                        .all(|n| self.accepts(b.at(value), &Value::String(n.to_owned())) == Some(true));
                fits || self.fail("names that are not allowed any more were allowed")
            }
            "minProperties" => {
                let Some(limit) = exact(value) else { return false };
                a.required_names().len() as f64 >= limit || self.bound(a, word, value)
            }
            "maxProperties" => {
                let Some(limit) = exact(value) else { return false };
                let closed = a.others().never && a.patterns().is_empty();
                (closed && a.names().len() as f64 <= limit) || self.bound(a, word, value)
            }
            "dependentRequired" => value.as_object().into_iter().flatten().all(|(name, wanted)| {
                let wanted: Vec<&str> =
                    wanted.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let given = |q: &str| {
                    a.required(q)
                        || a.nodes.iter().any(|n| {
                            let own = n
                                .get("dependentRequired")
                                .and_then(|d| d.get(name))
                                .and_then(Value::as_array);
                            own.is_some_and(|l| l.iter().any(|v| v == q))
                        })
                };
                a.property(name).0.never
                    || wanted.into_iter().all(given)
                    || self.fail(format!("`{name}` did not demand other fields"))
            }),
            _ => b.named("dependentSchemas").into_iter().all(|(name, schema)| {
                let mut with = a.clone();
                for node in &a.nodes {
                    node.named("dependentSchemas")
                        .into_iter()
                        .filter(|(n, _)| *n == name)
                        .for_each(|(_, s)| with.add(s));
                }
                a.property(name).0.never || self.prove(&with, schema)
            }),
        }
    }

    /// Properties that `b` neither declares nor matches by pattern must fit `schema`.
    fn others(&mut self, a: &Conj<'a>, b: Node<'a>, schema: Node<'a>) -> bool {
        let declared = b.get("properties").and_then(Value::as_object);
        let patterns = b.named("patternProperties");
        let covered = |name: &str| {
            declared.is_some_and(|d| d.contains_key(name))
                || patterns.iter().any(|(p, _)| b.work.matches(p, name))
        };
        let named = a.names().into_iter().filter(|n| !covered(n)).all(|name| {
            let (child, _) = a.property(name);
            self.inside(name, |p| {
                p.prove(&child, schema) || p.fail(format!("`{name}` was allowed and is no longer declared"))
            })
        });
        named
            && a.patterns().into_iter().all(|(own, s)| {
                patterns.iter().any(|(p, _)| *p == own) || self.inside(own, |p| p.prove(&Conj::of(s), schema))
            })
            && self.inside("*", |p| {
                p.prove(&a.others(), schema)
                    || p.fail("it was an open content model: fields that no contract names were allowed")
            })
    }

    pub(super) fn unevaluated(&mut self, a: &Conj<'a>, b: Node<'a>, value: &'a Value, object: bool) -> bool {
        if value == &Value::Bool(true) {
            return true;
        }
        if !leftover_applies(b) {
            return self.fail("what is left over after other schemas cannot be followed");
        }
        match object {
            true if b.get("additionalProperties").is_some() => true,
            true => self.others(a, b, b.at(value)),
            false if b.get("items").is_some() => true,
            false => self.array(a, b, "items", value),
        }
    }

    pub(super) fn array(&mut self, a: &Conj<'a>, b: Node<'a>, word: &str, value: &'a Value) -> bool {
        let longest = a.smallest("maxItems").unwrap_or(f64::INFINITY);
        match word {
            "prefixItems" => b.each("prefixItems").into_iter().enumerate().all(|(i, schema)| {
                longest <= i as f64 || self.inside(i.to_string(), |p| p.prove(&a.item(i), schema))
            }),
            "items" => {
                let (from, to) = (b.each("prefixItems").len(), a.prefix_len());
                let schema = b.at(value);
                (from..to.max(from)).all(|i| {
                    longest <= i as f64 || self.inside(i.to_string(), |p| p.prove(&a.item(i), schema))
                }) && (longest <= from.max(to) as f64
                    || self.inside("*", |p| p.prove(&a.item(usize::MAX), schema)))
            }
            "uniqueItems" => {
                value != &Value::Bool(true)
                    || longest <= 1.0
                    || a.values("uniqueItems").contains(&&Value::Bool(true))
                    || self.fail("the same item could stand twice")
            }
            _ => {
                let count = |n: &Node<'a>, w: &str| n.get(w).and_then(exact);
                let (least, most) = (count(&b, "minContains").unwrap_or(1.0), count(&b, "maxContains"));
                if least <= 0.0 && most.is_none() {
                    return true;
                }
                let schema = b.at(value);
                let kept = a.nodes.iter().any(|n| {
                    n.below("contains").is_some_and(|own| same(own, schema))
                        && count(n, "minContains").unwrap_or(1.0) >= least
                        && most.is_none_or(|m| count(n, "maxContains").is_some_and(|own| own <= m))
                });
                kept || self.fail("lists without such an item, or with too many, were allowed")
            }
        }
    }
}

/// Whether an alternative or condition of a node speaks of a property: then it is not new.
fn mentions(node: Node<'_>, name: &str, seen: &mut FxHashSet<usize>) -> bool {
    if seen.contains(&node.address()) {
        return false;
    }
    seen.insert(node.address());
    if !node.work.spend(1) || node.get("properties").and_then(|p| p.get(name)).is_some() {
        return true;
    }
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|w| node.each(w));
    let single = ["if", "then", "else", "not"].into_iter().filter_map(|w| node.below(w));
    let dependent = node.named("dependentSchemas").into_iter().map(|(_, s)| s);
    lists.chain(single).chain(dependent).chain(node.referred()).any(|n| mentions(n, name, seen))
}
