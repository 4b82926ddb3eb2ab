//! `eval`: suites and their runs.

mod called;
mod compared;
mod quoted;
mod run;
mod settled;
mod shown;

use ashlar_evals::EvalError;

use crate::{
    args::EvalCommand,
    error::{CliError, Done},
};

pub async fn eval(command: EvalCommand) -> Done {
    match command {
        EvalCommand::Run(args) => run::run(*args).await,
        EvalCommand::Compare { before, after, format } => compared::compare(&before, &after, format),
    }
}

/// The error that a suite, a recording or a report is on the command line.
fn failed(error: EvalError) -> CliError {
    match error {
        EvalError::Suite { suite, findings } => {
            CliError::findings(format!("the suite `{suite}` cannot be used"), findings)
        }
        EvalError::Input { message, help } => CliError::input(message, help),
        EvalError::File { action, path, error } => CliError::file(action, &path, &error),
    }
}
