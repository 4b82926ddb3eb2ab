//! Retrieval: what of a corpus answers a query, by words and by meaning, and how good that is.
//!
//! Entries become chunks ([`chunk`]); [`access`] says who may find them. Chunks with their terms are stored in segments ([`segment`]), which
//! depend on nothing else. A [`basis`] is learned from segments and gives each chunk a vector. A [`search::Shelf`] searches both:
//! words by BM25, and meaning by vectors, fused with weights that were learned from the corpus itself ([`fusion`]).
//! [`answer`] quotes the sentences that answer a question, or refuses. Nothing here does I/O.

pub mod access;
pub mod answer;
pub mod basis;
mod bytes;
pub mod chunk;
pub mod config;
mod corpus;
mod embedder;
pub mod evaluate;
pub mod fusion;
mod index;
mod lexical;
pub mod models;
pub mod near;
pub mod redact;
pub mod routing;
mod sample;
pub mod search;
pub mod segment;
pub mod synonyms;
pub mod text;
mod vector;

pub use self::{
    bytes::StoredError,
    embedder::{Embedder, trust},
    index::{Document, Index, Match},
    search::Mode,
};
