use std::collections::BTreeSet;

use ashlar_contracts::{Contract, ContractSet};
use ashlar_model::{Finding, TypeName, did_you_mean};
use serde_json::Value;

use super::view::{Include, Selection, View};

/// Members of a selection that are not fields.
const NAMES: [&str; 3] = ["$id", "$type", "$locale"];

/// Checks a view against the contracts; `false` when it cannot be used.
pub(super) fn against_contracts(
    path: &str,
    view: &View,
    contracts: &ContractSet,
    findings: &mut Vec<Finding>,
) -> bool {
    let before = findings.len();
    let sources = of_type(contracts, &view.source);
    if sources.is_empty() {
        findings.push(
            Finding::error("view-type-unknown", path, format!("there is no content type `{}`", view.source))
                .help(did_you_mean(
                    view.source.as_str(),
                    contracts.iter().filter(|c| c.is_type()).map(|c| c.name.name.as_str()),
                    format!("add contracts/{}.v1.json, or name another source", view.source),
                ))
                .about(view.source.as_str()),
        );
        return false;
    }
    if let Some(field) = view.lookup.field()
        && !knows(&sources, field)
    {
        findings.push(
            Finding::error(
                "view-lookup-unknown",
                path,
                format!("lookup names `{field}`, which `{}` does not have", view.source),
            )
            .help(did_you_mean(
                field,
                names(&sources),
                "name a top-level field of the type, or `id`",
            )),
        );
    }
    selection(path, &sources, &view.select, contracts, findings);
    findings.len() == before
}

fn of_type<'c>(contracts: &'c ContractSet, type_name: &TypeName) -> Vec<&'c Contract> {
    contracts.iter().filter(|c| c.name.name == *type_name && c.is_type()).collect()
}

/// The top-level fields of any version of a type.
fn names<'c>(contracts: &[&'c Contract]) -> impl Iterator<Item = &'c str> {
    let properties = |c: &&'c Contract| c.schema.get("properties").and_then(Value::as_object);
    let all: Vec<&'c str> =
        contracts.iter().filter_map(properties).flatten().map(|(n, _)| n.as_str()).collect();
    all.into_iter()
}

/// Whether any version of the type has the field. An open or composed schema may have any.
fn knows(contracts: &[&Contract], field: &str) -> bool {
    contracts.iter().any(|c| has_property(&c.schema, field))
}

fn has_property(schema: &Value, field: &str) -> bool {
    const COMPOSED: [&str; 7] =
        ["$ref", "allOf", "anyOf", "oneOf", "patternProperties", "if", "dependentSchemas"];
    let declared = schema.get("properties").and_then(|p| p.get(field)).is_some();
    declared || COMPOSED.iter().any(|k| schema.get(*k).is_some())
}

fn selection(
    path: &str,
    contracts: &[&Contract],
    select: &Selection,
    all: &ContractSet,
    findings: &mut Vec<Finding>,
) {
    let types: BTreeSet<&str> = contracts.iter().map(|c| c.name.name.as_str()).collect();
    let types = types.into_iter().collect::<Vec<_>>().join("`, `");
    for field in select.fields.iter().flatten() {
        if !NAMES.contains(&field.as_str()) && !knows(contracts, field) {
            findings.push(
                Finding::error(
                    "view-field-unknown",
                    path,
                    format!("fields names `{field}`, which `{types}` does not have"),
                )
                .help(did_you_mean(
                    field,
                    names(contracts).chain(NAMES),
                    "name top-level fields, or $id, $type, $locale",
                )),
            );
        }
    }
    for include in &select.include {
        included(path, contracts, &types, select, include, all, findings);
    }
}

fn included(
    path: &str,
    contracts: &[&Contract],
    types: &str,
    select: &Selection,
    include: &Include,
    all: &ContractSet,
    findings: &mut Vec<Finding>,
) {
    let dotted = include.path.join(".");
    let shown = |f: &Vec<String>| f.iter().any(|f| Some(f) == include.path.first());
    if !select.fields.as_ref().is_none_or(shown) {
        findings.push(
            Finding::error(
                "view-include-hidden",
                path,
                format!("include.{dotted} is about a field that `fields` leaves out"),
            )
            .help(format!("add `{}` to fields, or remove the include", include.path[0])),
        );
        return;
    }
    let mut targets: BTreeSet<TypeName> = BTreeSet::new();
    let mut is_ref = false;
    for field in contracts.iter().flat_map(|c| c.ref_fields()) {
        if field_path(&field.path) == include.path {
            is_ref = true;
            targets.extend(field.types.iter().cloned());
        }
    }
    if !is_ref {
        findings.push(
            Finding::error(
                "view-include-not-a-ref",
                path,
                format!("include.{dotted}: `{types}` has no reference field there"),
            )
            .help(
                "an include names a property that has `ref` in its x-ashlar; arrays on the way are entered",
            ),
        );
        return;
    }
    let target_contracts: Vec<&Contract> = targets.iter().flat_map(|t| of_type(all, t)).collect();
    // References to types that do not exist are the contracts' own finding.
    if !target_contracts.is_empty() {
        selection(path, &target_contracts, &include.select, all, findings);
    }
}

/// A contract's path of a field without the marks for array items.
fn field_path(path: &str) -> Vec<String> {
    path.split(['/', '.'])
        .map(|p| p.trim_end_matches("[]"))
        .filter(|p| !p.is_empty() && *p != "*" && *p != "-")
        .map(|p| p.replace("~1", "/").replace("~0", "~"))
        .collect()
}
