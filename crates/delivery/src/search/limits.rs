//! How many hits an answer has.

/// Hits when the request does not say.
pub(crate) const LIMIT_DEFAULT: usize = 10;
/// The most hits of an answer.
pub(crate) const LIMIT_MAX: usize = 50;
