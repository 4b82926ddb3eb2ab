//! Searching a release: `GET /v1/search`, its suggestions, and what pages and answers are made of.

mod answer;
mod clicks;
mod find;
mod question;
mod rerank;
mod results;
mod snippet;
mod suggest;

pub(crate) use answer::{SEARCH, SUGGEST, answer, cache_control, suggest};
pub use clicks::{CLICKS, ClickBody};
pub(crate) use clicks::{answer as click, only_posted as clicks_are_posted};
pub(crate) use find::{Passage, Search};
pub(crate) use question::{Question, filter_problem};
pub use results::{Facets, ResultHit, Results, Suggestions};
pub use snippet::Snippet;
