//! Arguments of `ask` and `replay`.

use clap::Args;

use super::{at::At, scope::Scope};

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question.
    pub question: String,
    #[command(flatten)]
    pub scope: Scope,
    #[command(flatten)]
    pub at: At,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The trace of an answer, or `-` to read it from standard input.
    pub trace: String,
    #[command(flatten)]
    pub at: At,
}
