//! Which fields have personal values: `x-ashlar: {"sensitivity": "pii"}`.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Contract, ContractSet,
    plan::{NodeId, Plan},
};

/// The places that are personal: declared so, or made of places that are (items, and schemas that apply there as well).
fn personal(plan: &Plan) -> BTreeSet<NodeId> {
    let declared = |id: &NodeId| plan.nodes[*id].words.sensitivity.contains("pii");
    let mut waiting: Vec<NodeId> = (0..plan.nodes.len()).filter(declared).collect();
    let mut out = BTreeSet::new();
    if waiting.is_empty() {
        return out;
    }
    let mut above: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for (id, node) in plan.nodes.iter().enumerate() {
        for below in node.also.iter().chain(&node.branches).chain(&node.items).chain(&node.additional) {
            above.entry(*below).or_default().push(id);
        }
    }
    while let Some(id) = waiting.pop() {
        if out.insert(id) {
            waiting.extend(above.get(&id).into_iter().flatten());
        }
    }
    out
}

impl Contract {
    /// Names of properties, at any depth, whose values are personal. A schema that is personal as a whole gives those of all its
    /// properties.
    #[must_use]
    pub fn personal_fields(&self) -> BTreeSet<String> {
        let personal = personal(&self.plan);
        if personal.is_empty() {
            return BTreeSet::new();
        }
        let root = self.plan.closure(0);
        let whole = personal.contains(&0);
        let mut out = BTreeSet::new();
        for (id, node) in self.plan.nodes.iter().enumerate() {
            let all = whole && root.contains(&id);
            let named = node.properties.iter().filter(|(_, below)| all || personal.contains(below));
            out.extend(named.map(|(name, _)| name.clone()));
        }
        out
    }
}

impl ContractSet {
    /// Names of properties of all contracts whose values are personal.
    #[must_use]
    pub fn personal_fields(&self) -> BTreeSet<String> {
        self.iter().flat_map(Contract::personal_fields).collect()
    }
}
