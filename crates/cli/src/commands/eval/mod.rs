//! `eval`: suites and their runs.

mod called;
mod compared;
mod quoted;
mod run;
mod settled;
mod shown;

use crate::{args::EvalCommand, error::Done};

pub async fn eval(command: EvalCommand) -> Done {
    match command {
        EvalCommand::Run(args) => run::run(*args).await,
        EvalCommand::Compare { before, after, format } => compared::compare(&before, &after, format),
    }
}
