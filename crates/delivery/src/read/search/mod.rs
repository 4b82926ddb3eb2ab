//! Searching a release: `GET /v1/search`, and what pages and answers are made of.

mod answer;
mod find;
mod question;
mod rerank;
mod results;
mod snippet;

pub(crate) use answer::{SEARCH, answer};
pub(crate) use find::{Passage, Search};
pub(crate) use question::{Question, filter_problem};
pub use results::{Facets, ResultHit, Results};
pub use snippet::Snippet;
