//! What a proposed change touches, before anybody makes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use ashlar_contracts::{Answer, Contract, Verdict, compare};
use ashlar_delivery::views::View;
use ashlar_model::{ContractName, Finding, Level, TypeName};
use serde::Serialize;
use serde_json::Value;

use super::loaded::Loaded;
use crate::{
    GateError,
    definitions::Definitions,
    gate::{self, queries},
};

/// What differs between two projects, and what that touches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Impact {
    /// Changed contracts.
    pub contracts: Vec<ContractImpact>,
    /// Views whose bodies may change, with what happened to them.
    pub views: Vec<ViewImpact>,
    /// Persisted operations that are touched.
    pub operations: Vec<OperationImpact>,
    /// Consumers that read one of these views or types.
    pub consumers: Vec<ConsumerImpact>,
    /// Entries in the project that follow a touched contract, by type.
    pub entries: BTreeMap<TypeName, usize>,
}

/// A contract that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContractImpact {
    /// Its name.
    pub contract: ContractName,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// What the change demands of the version.
    pub verdict: Option<Verdict>,
    /// Whether old values stay valid.
    pub backward: Option<Answer>,
    /// Each difference, as a sentence.
    pub changes: Vec<String>,
    /// Contracts that refer to it.
    pub used_by: Vec<ContractName>,
}

/// A view that is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewImpact {
    /// `pages.v1`
    pub view: String,
    /// Its path.
    pub path: String,
    /// `added`, `removed`, `changed`, or `contract` when only what it shows has changed.
    pub change: &'static str,
}

/// A persisted operation that is touched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationImpact {
    /// Its name, or that of its file.
    pub operation: String,
    /// `sha256:…`, as clients send it.
    pub document_id: String,
    /// The file it is in today.
    pub file: String,
    /// `added`, `removed`, `invalid`, or `contract` when what it reads has changed.
    pub change: &'static str,
    /// What would break; empty when it is only touched.
    pub broken: Vec<Finding>,
}

/// A consumer that is touched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsumerImpact {
    /// The consumer.
    pub consumer: String,
    /// Whom to talk to.
    pub owner: String,
    /// The endpoints it reads that are touched.
    pub endpoints: Vec<String>,
    /// What would break; empty when it is only touched.
    pub broken: Vec<Finding>,
}

/// Compares the project in `dir` with the one in `against`, which stands for what is there today.
///
/// # Errors
/// When one of them is no project.
pub fn impact(dir: &Path, against: &Path) -> Result<Impact, GateError> {
    let mut here = Loaded::list(dir, false)?;
    let base = Loaded::list(against, false)?;
    here.read_content();
    let (new, old) = (&here.definitions, &base.definitions);
    let contracts = contracts(new, old);
    let touched: BTreeSet<ContractName> =
        contracts.iter().flat_map(|c| c.used_by.iter().chain([&c.contract])).cloned().collect();
    let is_type =
        |n: &ContractName| [new, old].iter().any(|d| d.contracts.get(n).is_some_and(Contract::is_type));
    let types: BTreeSet<TypeName> = touched.iter().filter(|n| is_type(n)).map(|n| n.name.clone()).collect();
    let views = views(new, old, &touched, &types);
    let operations = operations(new, old, &types, here.today());
    let consumers = consumers(new, old, &views, &types);
    let mut entries: BTreeMap<TypeName, usize> = BTreeMap::new();
    for row in here.rows().filter(|r| types.contains(&r.key.type_name)) {
        *entries.entry(row.key.type_name.clone()).or_default() += 1;
    }
    Ok(Impact { contracts, views, operations, consumers, entries })
}

fn contracts(new: &Definitions, old: &Definitions) -> Vec<ContractImpact> {
    let users = users(new, old);
    let names: BTreeSet<&ContractName> =
        new.contracts.iter().chain(old.contracts.iter()).map(|c| &c.name).collect();
    let mut out = Vec::new();
    for name in names {
        let (was, is) = (old.contracts.get(name), new.contracts.get(name));
        // Another schema, not only another schema that it refers to.
        if was.map(|c| &c.schema) == is.map(|c| &c.schema) {
            continue;
        }
        let compared = was.zip(is).map(|(was, is)| compare(was, is, false));
        out.push(ContractImpact {
            contract: name.clone(),
            change: match (was, is) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            },
            verdict: compared.as_ref().map(|c| c.verdict),
            backward: compared.as_ref().map(|c| c.backward),
            changes: compared.into_iter().flat_map(|c| c.changes).map(|c| c.message).collect(),
            used_by: all_users(&users, name),
        });
    }
    out
}

fn views(
    new: &Definitions,
    old: &Definitions,
    touched: &BTreeSet<ContractName>,
    types: &BTreeSet<TypeName>,
) -> Vec<ViewImpact> {
    let all: BTreeMap<(String, u32), String> =
        old.views.iter().chain(new.views.iter()).map(|v| ((v.name.clone(), v.major), v.path())).collect();
    let shows = |view: &View| {
        let schema = view.response_schema(&new.contracts).to_string();
        types.contains(&view.source) || touched.iter().any(|n| schema.contains(&format!("\"{n}.json")))
    };
    let each = all.into_iter().filter_map(|((name, major), path)| {
        let change = match (old.views.get(&name, major), new.views.get(&name, major)) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(was), Some(is)) if was.digest != is.digest => "changed",
            (_, Some(is)) if shows(is) => "contract",
            _ => return None,
        };
        Some(ViewImpact { view: format!("{name}.v{major}"), path, change })
    });
    each.collect()
}

fn consumers(
    new: &Definitions,
    old: &Definitions,
    views: &[ViewImpact],
    types: &BTreeSet<TypeName>,
) -> Vec<ConsumerImpact> {
    fn prefix(path: &str) -> &str {
        path.split('{').next().unwrap_or_default()
    }
    let findings = gate::consumers::findings(new, Some(old));
    let mut out = Vec::new();
    for consumer in &new.consumers {
        let is_touched = |endpoint: &&str| {
            views.iter().any(|v| prefix(&v.path) == prefix(endpoint))
                || types.iter().any(|t| prefix(endpoint) == format!("/v1/entries/{t}/"))
        };
        let endpoints: BTreeSet<&str> =
            consumer.expects.iter().map(|e| e.endpoint.as_str()).filter(is_touched).collect();
        let broken: Vec<Finding> = findings
            .iter()
            .filter(|f| f.level == Level::Error)
            .filter(|f| f.place.split([' ', ':']).next() == Some(&consumer.file))
            .cloned()
            .collect();
        if !endpoints.is_empty() || !broken.is_empty() {
            out.push(ConsumerImpact {
                consumer: consumer.name.clone(),
                owner: consumer.owner.clone(),
                endpoints: endpoints.into_iter().map(str::to_owned).collect(),
                broken,
            });
        }
    }
    out
}

fn operations(
    new: &Definitions,
    old: &Definitions,
    types: &BTreeSet<TypeName>,
    today: jiff::civil::Date,
) -> Vec<OperationImpact> {
    let (was, is) = (old.graph.operations(), new.graph.operations());
    let ids = |all: &[ashlar_delivery::graphql::Operation]| -> BTreeSet<String> {
        all.iter().map(|o| o.document_id.clone()).collect()
    };
    let (known, kept) = (ids(&was), ids(&is));
    let findings = queries::findings(new, Some(old), today);
    let mut out = Vec::new();
    for operation in was.into_iter().chain(is.into_iter().filter(|o| !known.contains(&o.document_id))) {
        let of_file = |f: &&Finding| f.place.split(':').next() == Some(&operation.file);
        let broken: Vec<Finding> = match kept.contains(&operation.document_id) {
            true => findings.iter().filter(of_file).filter(|f| f.code == "query-weaker").cloned().collect(),
            false => findings.iter().filter(of_file).cloned().collect(),
        };
        let reads = || operation.types.iter().any(|t| types.iter().any(|n| n.as_str() == t));
        let change = match (known.contains(&operation.document_id), kept.contains(&operation.document_id)) {
            (false, _) => "added",
            (true, false) if broken.iter().any(|f| f.code != "query-removed") => "invalid",
            (true, false) => "removed",
            _ if reads() || !broken.is_empty() => "contract",
            _ => continue,
        };
        let operation_name = operation.name.unwrap_or_else(|| operation.file.clone());
        let (document_id, file) = (operation.document_id, operation.file);
        out.push(OperationImpact { operation: operation_name, document_id, file, change, broken });
    }
    out
}

/// For each contract those that refer to it directly.
type Users<'d> = BTreeMap<ContractName, BTreeSet<&'d ContractName>>;

fn users<'d>(new: &'d Definitions, old: &'d Definitions) -> Users<'d> {
    let mut out = Users::new();
    for contract in new.contracts.iter().chain(old.contracts.iter()) {
        references(&contract.schema, &mut |to| {
            let file = to.split('#').next().unwrap_or_default();
            if let Some(used) = file.strip_suffix(".json").and_then(|f| f.parse().ok()) {
                out.entry(used).or_default().insert(&contract.name);
            }
        });
    }
    out
}

/// Contracts that refer to one, directly or through others.
fn all_users(users: &Users<'_>, name: &ContractName) -> Vec<ContractName> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![name]);
    while let Some(used) = waiting.pop() {
        let more = users.get(used).into_iter().flatten().filter(|user| **user != name);
        waiting.extend(more.filter(|user| found.insert(**user)));
    }
    found.into_iter().cloned().collect()
}

fn references<'v>(schema: &'v Value, seen: &mut dyn FnMut(&'v str)) {
    match schema {
        Value::Object(map) => {
            for (word, value) in map {
                match (word.as_str(), value) {
                    ("$ref", Value::String(to)) => seen(to),
                    (_, value) => references(value, seen),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|i| references(i, seen)),
        _ => {}
    }
}
