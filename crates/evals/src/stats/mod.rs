//! Statistics: pure functions of numbers.

mod quantile;

pub use quantile::quantile;
