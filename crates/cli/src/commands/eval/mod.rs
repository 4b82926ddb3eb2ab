//! `eval`: suites and their runs.

mod called;
mod compared;
mod door;
mod evidence;
mod files;
mod free;
mod grown;
mod imported;
mod judged;
mod quoted;
mod run;
mod served;
mod settled;
mod shown;

pub use free::cover;

use crate::{args::EvalCommand, error::Done};

pub async fn eval(command: EvalCommand) -> Done {
    match command {
        EvalCommand::Run(args) => run::run(*args).await,
        EvalCommand::Start(args) => served::start(args).await,
        EvalCommand::Runs { suite, cursor, at } => served::runs(suite, cursor, &at).await,
        EvalCommand::Show { run, out, at } => served::show(run, out.as_deref(), &at).await,
        EvalCommand::Cancel { run, at } => served::cancel(run, &at).await,
        EvalCommand::Evidence { suite, at } => evidence::list(suite, &at).await,
        EvalCommand::Import(args) => imported::import(*args),
        EvalCommand::Grow(args) => grown::grow_suite(*args).await,
        EvalCommand::Compare { before, after, format } => compared::compare(&before, &after, format),
    }
}
