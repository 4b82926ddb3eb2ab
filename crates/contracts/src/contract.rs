//! One contract, and all contracts of a project.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use ashlar_model::{ContractName, Digest, TypeName};
use jiff::civil::Date;
use serde_json::Value;

use crate::{
    IndexedField, Kind, RefField, RouteTemplate, Status, Version, Violation,
    plan::Plan,
    refs::Documents,
    summary::Summary,
    validate::{self, Checker},
};

/// A versioned JSON Schema with what `x-ashlar` says of it.
#[derive(Debug)]
pub struct Contract {
    /// Its name.
    pub name: ContractName,
    /// What it describes.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Who owns it; empty when nobody is named.
    pub owner: String,
    /// Its place in its life cycle.
    pub status: Status,
    /// When it ends.
    pub sunset: Option<Date>,
    /// What replaces it.
    pub replaced_by: Option<ContractName>,
    /// The routes of its entries.
    pub route: Option<RouteTemplate>,
    /// The risk class of its retrieval index.
    pub index: Option<String>,
    /// The field that titles an entry.
    pub title_field: Option<String>,
    /// Whether its entries order others (categories, tags): followers get separate events for their changes.
    pub taxonomy: bool,
    /// The digest of the schema and of every schema it refers to.
    pub digest: Digest,
    /// The schema, with `$ref`s written in one way.
    pub schema: Value,
    pub(crate) plan: Plan,
    pub(crate) summary: Summary,
    /// Whether its plan has anything to say of an entry.
    pub(crate) speaks: bool,
    pub(crate) documents: Arc<Documents>,
    pub(crate) validator: OnceLock<Result<Checker, (String, String)>>,
}

/// All contracts of a project, by name.
#[derive(Debug, Default)]
pub struct ContractSet {
    pub(crate) contracts: BTreeMap<ContractName, Contract>,
}

impl ContractSet {
    /// A contract.
    pub fn get(&self, name: &ContractName) -> Option<&Contract> {
        self.contracts.get(name)
    }

    /// All contracts, by name and version.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.contracts.values()
    }

    /// The content types with their contracts, oldest version first.
    pub fn types(&self) -> BTreeMap<&TypeName, Vec<&Contract>> {
        let mut out: BTreeMap<&TypeName, Vec<&Contract>> = BTreeMap::new();
        for contract in self.iter().filter(|c| c.is_type()) {
            out.entry(&contract.name.name).or_default().push(contract);
        }
        out
    }
}

impl Contract {
    /// Whether entries follow it.
    pub fn is_type(&self) -> bool {
        self.kind == Kind::Type
    }

    /// Whether new entries may follow it.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// The file name: `page.v1.json`.
    pub fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    pub(crate) fn validator(&self) -> &Result<Checker, (String, String)> {
        self.validator.get_or_init(|| validate::compile(&self.documents, &self.file()))
    }

    /// What the schema does that cannot be compiled, as JSON pointer and message.
    pub fn compile_error(&self) -> Option<&(String, String)> {
        self.validator().as_ref().err()
    }

    /// Whether a value is valid.
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator().as_ref().is_ok_and(|v| v.is_valid(value))
    }

    /// What is wrong with a value; empty when it is valid.
    pub fn validate(&self, value: &Value) -> Vec<Violation> {
        match self.validator() {
            Ok(checker) => checker.violations(value),
            Err((pointer, message)) => vec![Violation {
                path: String::new(),
                keyword: "schema".to_owned(),
                message: format!("the contract {} cannot be used: {message} (at {pointer})", self.name),
                help: "fix the contract".to_owned(),
            }],
        }
    }

    /// Top-level fields whose value all locales of an entry share; empty when no property is marked as localized.
    pub fn shared_fields(&self) -> &[String] {
        &self.summary.shared
    }

    /// Top-level fields with a sensitivity anywhere inside them.
    pub fn sensitive_fields(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.summary.sensitive
    }

    /// Top-level fields that entries can be filtered and sorted by.
    pub fn indexed_fields(&self) -> &[IndexedField] {
        &self.summary.indexed
    }

    /// Properties that are Markdown, as paths with `*` for items.
    pub fn markdown_fields(&self) -> &[String] {
        &self.summary.markdown
    }

    /// Properties that refer to other entries.
    pub fn ref_fields(&self) -> &[RefField] {
        &self.summary.refs
    }
}
