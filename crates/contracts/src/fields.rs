//! Which fields entries can have, and of which kinds.

use std::collections::BTreeSet;

use crate::{Contract, plan::NodeId};

/// The most places that are looked at for one field.
const PLACES_MAX: usize = 2_000;

impl Contract {
    /// The kinds of values that a field can have (`string`, `number`, `integer`, `boolean`, `object`), those of the items of an
    /// array in place of it. `steps` are the names on the way to the field. `None` when entries have no such field; empty when the
    /// contract does not say.
    pub fn kinds_of<'a>(&self, steps: impl IntoIterator<Item = &'a str>) -> Option<BTreeSet<&'static str>> {
        let mut at = self.plan.closure(0);
        for step in steps {
            let nodes = || at.iter().map(|id| &self.plan.nodes[*id]);
            let named: BTreeSet<NodeId> = nodes().filter_map(|n| n.properties.get(step).copied()).collect();
            let below = match named.is_empty() {
                true => nodes().flat_map(|n| n.additional.iter().copied()).collect(),
                false => named,
            };
            if below.is_empty() {
                return None;
            }
            at = below.into_iter().take(PLACES_MAX).flat_map(|id| self.plan.closure(id)).collect();
        }
        let items: BTreeSet<NodeId> =
            at.iter().flat_map(|id| &self.plan.nodes[*id].items).take(PLACES_MAX).copied().collect();
        let items = items.into_iter().flat_map(|id| self.plan.closure(id));
        let all: BTreeSet<NodeId> = at.iter().copied().chain(items).collect();
        Some(all.into_iter().filter_map(|id| self.plan.nodes[id].kind).filter(|k| *k != "array").collect())
    }

    /// The names of the top-level fields that it declares.
    pub fn field_names(&self) -> BTreeSet<&str> {
        let nodes = self.plan.closure(0).into_iter().map(|id| &self.plan.nodes[id]);
        nodes.flat_map(|node| node.properties.keys()).map(String::as_str).collect()
    }
}
