//! GraphQL over HTTP: persisted documents by `documentId`, with GET and POST; documents as text for developers.

pub(crate) mod answer;
mod run;
mod searching;
