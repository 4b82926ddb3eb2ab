//! Who asks: keys and tenants; and how much they may ask.

mod caller;
mod guard;
mod keys;
mod places;

pub use caller::{Caller, Doors, around, new_span, parent_of, trace_of};
pub use guard::{Guard, guard};
pub use keys::{KeyFailure, Keys};
pub use places::Places;
