//! Arguments of `ask` and `replay`.

use clap::Args;

use super::at::At;

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question.
    pub question: String,
    /// What to ask: a channel, a release, a candidate or `draft`. The public channel by default.
    #[arg(long, value_name = "WHAT")]
    pub of: Option<String>,
    /// The language.
    #[arg(long)]
    pub locale: Option<String>,
    /// An index. Repeat it for several.
    #[arg(long = "index", value_name = "NAME")]
    pub indexes: Vec<String>,
    /// A content type. Repeat it for several.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// An attribute of `retrieval.toml`, such as `region=eu`, or `version=2.3.1`.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// Answer as for this reader of `retrieval.toml`. With --server the key decides.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    pub reader: Option<String>,
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
