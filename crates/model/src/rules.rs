use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ContractName, ProjectConfig, TypeName};

/// What drafts need to know of one contract of kind `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRules {
    /// The contract.
    pub contract: ContractName,
    /// `active` and not past its sunset: new entries may follow it.
    pub active: bool,
    /// Top-level fields whose value all locales of an entry share. Empty when the contract marks no property as
    /// `localized`: then every field belongs to its locale.
    pub shared: BTreeSet<String>,
    /// Whether its entries order others: categories, tags.
    #[serde(default)]
    pub taxonomy: bool,
    /// Top-level fields with a sensitivity (anywhere inside them): field → sensitivities.
    pub sensitive: BTreeMap<String, BTreeSet<String>>,
}

/// What drafts need to know of a project's definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// `ashlar.toml`.
    pub config: ProjectConfig,
    /// Every content type with its contract versions, oldest first.
    pub types: BTreeMap<TypeName, Vec<TypeRules>>,
    /// Approval right → people who hold it (`governance.toml`); a right that is absent names no holders, and then
    /// anyone but an author may approve.
    pub approvers: BTreeMap<String, BTreeSet<String>>,
}

impl Rules {
    /// The rules of one contract version of a type.
    pub fn of(&self, type_name: &TypeName, major: u32) -> Option<&TypeRules> {
        self.types.get(type_name)?.iter().find(|t| t.contract.major == major)
    }

    /// The version a new entry of the type follows: the newest active one, else the newest.
    pub fn newest(&self, type_name: &TypeName) -> Option<&TypeRules> {
        let versions = self.types.get(type_name)?;
        versions.iter().rev().find(|t| t.active).or(versions.last())
    }
}
