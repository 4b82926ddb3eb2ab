//! Retrieval: what of a corpus answers a query, by words and by meaning, and how good that is.
//!
//! Two legs look at the same texts. The lexical one ([`Lexical`]) is BM25. The vector one ([`Lsa`]) knows which terms keep the same
//! company in this corpus. [`Index`] fuses them with weights that it has learned from the corpus itself ([`fusion`]).
//! Entries become [`chunk`]s, and [`access`] says who may find them. [`answer`] quotes the sentences that answer a question, or
//! refuses. Nothing here does I/O.

pub mod access;
pub mod answer;
pub mod chunk;
pub mod config;
mod corpus;
pub mod evaluate;
pub mod fusion;
mod index;
mod lexical;
pub mod routing;
pub mod synonyms;
pub mod text;
mod vector;

pub use self::{
    corpus::{Corpus, Occurrence},
    index::{Document, Hit, Index, Mode},
    lexical::Lexical,
    vector::{Lsa, Vectors},
};
