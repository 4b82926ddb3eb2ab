//! GraphQL over a release: the schema is derived from contracts and views, the public endpoint runs persisted documents
//! alone, and every document is compiled into a plan before anybody sends it.

mod builtin;
mod graph;
pub(crate) mod plan;
mod print;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod slot;
mod types;

pub use graph::{DOCUMENTS_MAX, Document, Graph, Operation, document_id};
pub use plan::{COST_MAX, DEPTH_MAX};
