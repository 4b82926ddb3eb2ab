//! Arguments of `llm`.

use clap::{Args, Subcommand};

use super::at::At;

/// What became of calls of models.
#[derive(Debug, Subcommand)]
pub enum LlmCommand {
    /// List records of model calls, newest first.
    #[command(
        after_help = "Examples:\n  ashlar llm calls --feature support --data ./data\n  ashlar llm calls --outcome budget_exceeded --server https://cms.example"
    )]
    Calls(Box<CallsArgs>),
    /// Show what model calls used: calls, tokens and money.
    #[command(
        after_help = "Examples:\n  ashlar llm usage --data ./data\n  ashlar llm usage --from 2027-03-01 --to 2027-03-31 --by day,feature --server https://cms.example"
    )]
    Usage {
        /// The first day; 30 days before the last when absent.
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The last day; today (UTC) when absent.
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// What is counted apart: day, feature, key, model.
        #[arg(long, value_delimiter = ',', default_value = "feature")]
        by: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// List the providers of models, with how each does on a server.
    #[command(
        after_help = "Examples:\n  ashlar llm providers --server https://cms.example\n  ashlar llm providers --data ./data"
    )]
    Providers {
        #[command(flatten)]
        at: At,
    },
    /// Delete the records of an end user's model calls.
    #[command(after_help = "Example:\n  ashlar llm erase jo@example.com --data ./data")]
    Erase {
        /// The end user, as calls name the user.
        user: String,
        #[command(flatten)]
        at: At,
    },
}

/// Which calls are listed.
#[derive(Debug, Args)]
pub struct CallsArgs {
    /// Calls of this feature.
    #[arg(long)]
    pub feature: Option<String>,
    /// Calls with this key: its public part.
    #[arg(long, value_name = "ID")]
    pub key_id: Option<String>,
    /// Calls of this end user, as calls name the user.
    #[arg(long)]
    pub user: Option<String>,
    /// Calls with this outcome: ok, or the code of what went wrong.
    #[arg(long)]
    pub outcome: Option<String>,
    /// Calls that began at this time (RFC 3339) or later.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Calls that began before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Where to continue.
    #[arg(long)]
    pub cursor: Option<String>,
    /// The most calls that are listed.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    #[command(flatten)]
    pub at: At,
}

impl LlmCommand {
    /// What the command works on.
    pub const fn at(&self) -> &At {
        match self {
            Self::Calls(args) => &args.at,
            Self::Usage { at, .. } | Self::Providers { at } | Self::Erase { at, .. } => at,
        }
    }
}
