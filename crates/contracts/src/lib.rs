//! Contracts: JSON Schemas with the `x-ashlar` vocabulary. Loading, validation, facts about entries, compatibility.
//!
//! Invariants: no I/O, and nothing is ever fetched: a `$ref` leads to a loaded file or is a finding. A checker returns a
//! value and a list of findings, so one mistake does not hide the others.

pub mod codegen;
pub mod compat;
pub mod consumers;
mod contract;
mod cost;
mod facts;
mod fields;
mod load;
mod personal;
mod plan;
mod refs;
mod route;
mod settle;
mod summary;
mod texts;
mod validate;
mod vocabulary;

pub use compat::{Answer, Change, Comparison, Verdict, compare, compare_documents};
pub use contract::{Contract, ContractSet};
pub use cost::{SCHEMA_CHAIN_MAX, SCHEMA_PLACES_MAX, SCHEMA_STEPS_MAX, VALIDATION_STEPS_MAX};
pub use facts::{BadRef, Facts, RefFact, split_ref};
pub use refs::rewrite_refs;
pub use route::{RouteTemplate, RouteTemplateError};
pub use summary::{IndexKind, IndexedField, RefField};
pub use texts::{TEXTS_MAX, TextFact};
pub use validate::Violation;
pub use vocabulary::{Kind, Status, Version, VersionError};
