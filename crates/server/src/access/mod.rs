//! Who asks: keys and tenants; and how much they may ask.

mod caller;
mod guard;
mod places;

pub use caller::{Caller, around, bearer, secret};
pub use guard::{Guard, guard};
pub use places::Places;
