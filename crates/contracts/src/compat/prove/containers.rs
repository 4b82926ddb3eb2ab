//! Proofs about the members of objects and arrays.

use rustc_hash::FxHashSet;
use serde_json::Value;

use super::{
    super::{
        names::{self, Names},
        node::{Conj, Node, STRING, exact, leftover_applies, same},
    },
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
            "patternProperties" => b
                .named("patternProperties")
                .into_iter()
                .all(|(pattern, schema)| self.inside(pattern, |p| p.pattern(a, pattern, schema))),
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

    /// Properties with these names must fit `schema`.
    fn all_named(&mut self, a: &Conj<'a>, names: &[&str], schema: Node<'a>) -> bool {
        names.iter().all(|name| {
            let (child, _) = a.property(name);
            self.inside(*name, |p| p.prove(&child, schema))
        })
    }

    /// What applies to every property whose name a pattern of `a` matches: its schema, and that of patterns that match all
    /// those names too.
    fn under_pattern(a: &Conj<'a>, pattern: &str, own: Node<'a>) -> Conj<'a> {
        let mut out = Conj::of(own);
        let wider = a.patterns().into_iter().filter(|(p, _)| names::covers(own.work, p, pattern));
        wider.for_each(|(_, s)| out.add(s));
        out
    }

    /// Properties whose names match `pattern` must fit `schema`.
    fn pattern(&mut self, a: &Conj<'a>, pattern: &str, schema: Node<'a>) -> bool {
        let work = schema.work;
        if let Names::Listed(listed) = Names::of(pattern) {
            return self.all_named(a, &listed.iter().map(String::as_str).collect::<Vec<_>>(), schema);
        }
        let patterns = a.patterns();
        // One that matches all of these names decides, when its schema does.
        let wider: Vec<_> = patterns.iter().filter(|(own, _)| names::covers(work, own, pattern)).collect();
        if wider.iter().any(|(own, s)| self.quietly(|p| p.prove(&Self::under_pattern(a, own, *s), schema))) {
            return true;
        }
        let declared: Vec<&str> = a.names().into_iter().filter(|n| work.matches(pattern, n)).collect();
        self.all_named(a, &declared, schema)
            && patterns.iter().all(|(own, s)| {
                if names::apart(work, own, pattern) {
                    return true;
                }
                if let Names::Listed(listed) = Names::of(own) {
                    let both: Vec<&str> =
                        listed.iter().map(String::as_str).filter(|n| work.matches(pattern, n)).collect();
                    return self.all_named(a, &both, schema);
                }
                self.prove(&Self::under_pattern(a, own, *s), schema)
            })
            && (!wider.is_empty() || self.prove(&a.others(), schema))
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
                if patterns.iter().any(|(p, _)| names::covers(b.work, p, own)) {
                    return true;
                }
                if let Names::Listed(listed) = Names::of(own) {
                    let open: Vec<&str> = listed.iter().map(String::as_str).filter(|n| !covered(n)).collect();
                    return self.all_named(a, &open, schema);
                }
                self.inside(own, |p| p.prove(&Self::under_pattern(a, own, s), schema))
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
