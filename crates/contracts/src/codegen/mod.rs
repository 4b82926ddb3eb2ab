//! Types for programs: contracts and response shapes as TypeScript, Rust or one JSON Schema.

mod rust;
mod shapes;
mod typescript;

use serde_json::{Map, Value, json};

use crate::{
    ContractSet,
    refs::{rewrite_refs, target},
};
use shapes::{Definition, Reader, body_name, pascal};
pub use shapes::{Member, Operation, Query, Shapes, Type};

/// A language that types are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Types and a client over `fetch`.
    TypeScript,
    /// Types for `serde`.
    Rust,
    /// One document with everything under `$defs`.
    JsonSchema,
}

/// Writes the types of all contracts, endpoints and persisted operations in a language, with a client where the language has one.
pub fn generate(
    contracts: &ContractSet,
    operations: &[Operation],
    queries: &[Query],
    locales: &[String],
    language: Language,
) -> String {
    if language == Language::JsonSchema {
        return bundle(contracts, operations, queries);
    }
    let mut reader = Reader::new(contracts);
    for contract in contracts.iter() {
        reader.name_of(&contract.file());
    }
    let mut definitions = Vec::new();
    for operation in operations {
        definitions.push(Definition {
            name: body_name(operation),
            doc: format!("The body of `{}{{{}}}`.", operation.prefix, operation.parameter),
            kind: reader.type_of(&operation.schema, "", 0),
        });
    }
    for query in queries {
        let name = pascal(&query.name);
        definitions.push(Definition {
            name: format!("{name}Variables"),
            doc: format!("What `{}` takes.", query.doc),
            kind: reader.type_of(&query.variables, "", 0),
        });
        definitions.push(Definition {
            name: format!("{name}Data"),
            doc: format!("What `{}` answers.", query.doc),
            kind: reader.type_of(&query.data, "", 0),
        });
    }
    let mut named = reader.definitions();
    named.extend(definitions);
    match language {
        Language::TypeScript => typescript::write_typescript(contracts, &named, operations, queries, locales),
        _ => rust::write_rust(&named),
    }
}

/// Everything in one document.
fn bundle(contracts: &ContractSet, operations: &[Operation], queries: &[Query]) -> String {
    let mut definitions = Map::new();
    for contract in contracts.iter() {
        definitions.insert(contract.name.to_string(), local(&contract.schema, &contract.file()));
    }
    for operation in operations {
        definitions.insert(format!("{} body", operation.name), local(&operation.schema, ""));
    }
    for query in queries {
        definitions.insert(format!("{} variables", query.name), query.variables.clone());
        definitions.insert(format!("{} data", query.name), query.data.clone());
    }
    let document = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions});
    format!("{document:#}\n")
}

fn local(schema: &Value, file: &str) -> Value {
    rewrite_refs(schema, &|to| {
        let place = target(file, to);
        format!("#/$defs/{}{}", place.file.trim_end_matches(".json"), place.pointer)
    })
}
