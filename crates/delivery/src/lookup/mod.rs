//! The look-up tree of a release: what the gates and the delivery API ask of a snapshot without reading all of it.
//!
//! One [`Tree`] with these key ranges (`0` is a NUL byte, which no part but an encoded value contains):
//!
//! | key | value |
//! | --- | --- |
//! | `f` type `0` field `0` locale `0` [`IndexKey`] id | nothing |
//! | `r` target type `0` target id `0` source type `0` source id `0` source locale | JSON pointers of the references, one per line |
//! | `p` locale `0` route `0` type `0` id | nothing |
//! | `l` target path `0` type `0` id `0` locale | JSON pointers of the texts that link there, one per line |
//! | `v` | digest of the [`LookupRules`] it was built with |
//!
//! It is a pure function of snapshot and rules, so [`update`] gives the same root as [`build`].

mod build;
mod facts;
mod tree;
mod value;

pub(crate) use build::fields;
pub use build::{build, derive, update};
pub use facts::LookupRules;
pub use tree::{Lookup, Routed, Source};
pub(crate) use tree::{field_prefix, read_id};
pub use value::{IndexKey, STRING_BYTES_MAX, VALUES_MAX};
