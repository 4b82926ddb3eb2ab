//! What every request passes before anybody knows who asks: host rules, addresses of clients, origins; and how problems
//! are answered.

mod address;
pub mod cors;
mod host;
mod hosts;
mod key;
mod problem;

pub use address::{Address, Limits, client_address};
pub use host::{Asked, Proxies, VARY_BY_PROXY, admit, hides_letters, host_of, normal, split, with_letters};
pub use hosts::Hosts;
pub use key::{any_key, bearer, secret};
pub use problem::{ApiError, MISDIRECTED, Problem, TRACE, status_of};
