//! The trees that a search of a release needs, and what is open of them.
//!
//! Two derived trees belong to a release (`0` is a NUL byte):
//!
//! | tree | key | value |
//! | --- | --- | --- |
//! | `search` | `s` `0` index `0` locale `0` type `0` first id of the run `0` part | digest of a segment, how many chunks it has, how many bytes of its entries are left out |
//! | `meaning` | `b` `0` index `0` locale `0` part | digest of a piece of the basis |
//! | `meaning` | `t` `0` index `0` locale `0` part | digest of a piece of the record of what the basis was learned from |
//! | `meaning` | `v` `0` index `0` locale `0` digest of a segment | digest of its vectors |
//! | both | `0` `rules` | digest of what of the definitions the tree depends on |
//!
//! The search tree is a pure function of snapshot and rules, so [`update`] gives the same root as [`build`]. The tree of meaning is
//! not: a basis is kept for as long as it describes the content.

mod advance;
mod attributes;
mod build;
mod counts;
mod facts;
mod given;
mod key;
mod known;
mod limits;
mod log;
mod made;
mod meaning;
mod opened;
mod rules;
mod runs;
mod shelf;
mod shelves;
mod trace;
mod writer;

pub(crate) use attributes::attributes_of;
pub use build::{build, derive, update};
pub(crate) use counts::Counters;
pub use counts::SearchCounts;
pub use facts::{FACTS_MAX, Fact, facts};
pub(crate) use limits::{LIMIT_DEFAULT, LIMIT_MAX};
pub(crate) use log::SearchLog;
pub use log::{Happened, Logged};
pub use meaning::{Learned, MeaningInput, derive_meaning, model_in};
pub use rules::SearchRules;
pub(crate) use rules::indexes;
pub(crate) use shelf::{OpenShelf, SearchTrees};
pub(crate) use shelves::Shelves;
pub use trace::{QUESTION_BYTES_MAX, TRACE_BYTES_MAX, Trace, TraceError};
