//! What the places of an answer contain.

use std::collections::BTreeMap;

use ashlar_model::TypeName;

/// What a place of an answer contains.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    /// Whether it is never null.
    pub(crate) required: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text,
    Bool,
    Int,
    Float,
    Json,
    Object(String),
    /// Objects that are distinguished by a member.
    Union {
        name: String,
        tag: String,
        types: BTreeMap<String, String>,
    },
    /// A reference to an entry of one of these types.
    Reference(Vec<TypeName>),
    List(Box<Slot>),
}
