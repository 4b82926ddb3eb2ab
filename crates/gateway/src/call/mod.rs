//! One call from beginning to end.

mod admit;
mod attempt;
mod built_in;
mod case;
mod desk;
mod flow;
mod health;
mod hedge;
mod ledger;
mod private;
mod prompted;
mod remembered;
mod rounds;
mod talk;

pub use built_in::{Answer, BuiltIn, Cited, Question, Wanted};
pub use case::{Body, Caller, Desk, Reply, Scene};
pub use ledger::{Closing, Facts};
