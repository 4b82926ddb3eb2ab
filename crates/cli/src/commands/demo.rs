//! `demo`.
use super::Done;
use crate::{args::DemoArgs, error::CliError};

pub async fn demo(_args: DemoArgs) -> Done {
    Err(CliError::input("demo", ""))
}
