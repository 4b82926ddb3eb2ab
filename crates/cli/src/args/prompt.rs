//! Arguments of `prompt`.

use clap::Subcommand;

use super::at::{At, at_of};

#[derive(Debug, Subcommand)]
pub enum PromptCommand {
    /// List the released prompts and which version of each answers.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show a version of a released prompt. Default: the active version.
    #[command(after_help = "Example:\n  ashlar prompt show support-answer@v2 --data ./data")]
    Show {
        /// The prompt, such as `support-answer` or `support-answer@v2`.
        prompt: String,
        #[command(flatten)]
        at: At,
    },
    /// Make a version of a prompt the active one, as a release of its own. Content and drafts stay as they are.
    #[command(
        after_help = "Examples:\n  ashlar prompt promote support-answer@v3 --percent 10 --data ./data\n  ashlar prompt promote support-answer@v3 --data ./data"
    )]
    Promote {
        /// The prompt with its version, such as `support-answer@v3`.
        prompt: String,
        /// Give the version to this share of calls only. The same session always gets the same version.
        #[arg(long)]
        percent: Option<f64>,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
    /// Undo the last change of which version of a prompt answers, as a release of its own.
    #[command(after_help = "Example:\n  ashlar prompt rollback support-answer --data ./data")]
    Rollback {
        /// The prompt.
        prompt: String,
        /// The reason.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(PromptCommand: List, Show, Promote, Rollback);
