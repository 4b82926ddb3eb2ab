//! Pages for people and operators.

pub mod catalogue;
pub mod home;
pub mod operators;
pub mod preview;

use ashlar_model::escaped as escape;
