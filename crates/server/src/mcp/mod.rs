//! Ashlar as an MCP server at `/mcp`: a server of the part of the protocol that tools need (JSON-RPC over streamable HTTP, up to version
//! 2025-11-25). It keeps no sessions.
//!
//! Invariants: a tool is a request to an endpoint that exists anyway, with the caller's own key, so rights, limits, access rules and the audit
//! log are those of that endpoint. No tool approves, waives, promotes or rolls back.

mod errands;
mod protocol;
mod routes;
mod tools;

pub use routes::{router, table};
