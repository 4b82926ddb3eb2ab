//! One table of endpoints: it makes the routers, the scopes, the OpenAPI document and the command line's remote calls.
//!
//! A row of [`rows`] names an operation. [`table`] binds it to its handler, whose signature says what it takes and
//! answers, so what is described is what is served. Callers make a [`Call`] of the same row.

mod document;
pub(crate) mod extract;
mod operation;
pub mod rows;
mod sample;
pub(crate) mod signature;
pub(crate) mod table;

pub(crate) use document::document;
pub use operation::{Call, Method, Operation, Scope};
