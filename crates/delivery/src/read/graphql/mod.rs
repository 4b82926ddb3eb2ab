//! GraphQL over HTTP: persisted documents by `documentId`, with GET and POST; documents as text for developers.

pub(crate) mod answer;
mod given;
mod run;
mod searching;
