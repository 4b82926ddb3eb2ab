//! Tools of the gateway: requests to the tool servers of the operator, over HTTP or MCP, and what people decided about them.
//!
//! Invariant: a project names a server and a path below it, never an address. Redirects are not followed.

mod http;
mod mcp;
mod servers;

pub use servers::{Errands, ToolServers};
