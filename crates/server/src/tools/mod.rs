//! Tools of the gateway: requests to the tool servers of the operator, over HTTP or MCP, and what people decided about them.
//!
//! Invariant: a project names a server and a path below it, never an address. Redirects are not followed.

mod errands;
mod http;
mod mcp;
mod server;
mod servers;

pub use errands::Errands;
pub use servers::ToolServers;
