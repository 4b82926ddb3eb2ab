//! The gates. Each is a value that says what it is called, what it reads and how it judges a [`World`].

/// A table of findings: `"code": "what is wrong" => "how to fix it";`.
macro_rules! findings {
    ($($code:literal: $wrong:literal => $fix:literal;)*) => {
        &[$($crate::gate::interface::Code { code: $code, wrong: $wrong, fix: $fix }),*]
    };
}

pub(crate) mod approvals;
pub(crate) mod assisted;
pub(crate) mod compatibility;
pub(crate) mod components;
pub(crate) mod consumers;
pub(crate) mod evals;
pub(crate) mod gateway;
pub(crate) mod interface;
pub(crate) mod lifecycle;
pub(crate) mod links;
mod prompt_rules;
pub(crate) mod prompts;
pub(crate) mod queries;
pub(crate) mod references;
pub(crate) mod retrieval;
pub(crate) mod routes;
pub(crate) mod shared;
pub(crate) mod tokens;
pub(crate) mod validity;
pub(crate) mod views;

pub(crate) use interface::Gate;
pub use interface::{About, Code};

/// The gates, in the order in which they report. A new gate is a file beside this one and a line here.
pub(crate) static GATES: [&dyn Gate; 16] = [
    &compatibility::SchemaCompatibility,
    &validity::ContentValidity,
    &references::References,
    &links::Links,
    &routes::Routes,
    &views::Views,
    &consumers::Consumers,
    &queries::PersistedQueries,
    &tokens::TokenGate,
    &components::Components,
    &retrieval::Retrieval,
    &gateway::Gateway,
    &prompts::Prompts,
    &evals::Evals,
    &assisted::Assisted,
    &approvals::Approvals,
];
