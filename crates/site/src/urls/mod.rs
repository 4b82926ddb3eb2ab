//! Addresses in what templates and content wrote.

mod check;
mod lint;
mod prefix;

pub use check::{BLOCKED, Blocked, checked, url_allowed};
pub use lint::lint;
pub use prefix::{prefixed, prefixed_style};
