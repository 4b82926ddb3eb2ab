//! `serve`.
use super::Done;
use crate::{args::ServeArgs, error::CliError};

pub async fn serve(_args: ServeArgs) -> Done {
    Err(CliError::input("serve", ""))
}
