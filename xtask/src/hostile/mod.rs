//! A hostile tenant beside a quiet one: everything that the corpus knows is sent to a real server, and the server has to stay
//! up, small, prompt and honest to the other tenant.

mod attack;
mod cache;
mod cases;
mod connections;
mod corpus;
mod formats;
mod guard;
pub mod http;
pub mod neighbour;
mod plan;
mod process;
mod rig;
mod soak;

use std::path::PathBuf;

pub use plan::Options;
use rig::Result;

/// `cargo xtask hostile`.
pub fn run(options: &Options) -> Result<()> {
    if options.list {
        for generator in cases::generators() {
            println!("{}/{} {:?}", generator.format, generator.name, generator.sizes);
        }
        return Ok(());
    }
    let plan = plan::plan(options)?;
    match options.each || plan.exact.is_some() {
        true => soak::each(&plan),
        false => soak::soak(&plan),
    }
}

/// The form that every test run includes.
pub fn short(binary: PathBuf) -> Result<()> {
    soak::soak(&plan::short(binary))
}
