//! Arguments of `assist`.

use clap::{Args, Subcommand};

use super::{
    at::{At, at_of},
    content::EntryName,
};

/// What models write, as drafts that a person approves.
#[derive(Debug, Subcommand)]
pub enum AssistCommand {
    /// Let a model draft an entry from a brief.
    #[command(
        after_help = "Example:\n  ashlar assist draft faq-item mooring-fees --brief 'What mooring costs for a week' --from plan/basin --server https://cms.example"
    )]
    Draft {
        #[command(flatten)]
        name: EntryName,
        /// What to write about.
        #[arg(long, value_name = "TEXT")]
        brief: String,
        /// A released entry to write from. Repeat it for several. More is searched for.
        #[arg(long = "from", value_name = "TYPE/ID")]
        from: Vec<String>,
        #[command(flatten)]
        by: ByTask,
        #[command(flatten)]
        at: At,
    },
    /// Let a model summarise a released entry into its own fields.
    Summarise {
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        by: ByTask,
        #[command(flatten)]
        at: At,
    },
    /// Let a model choose values of fields for a released entry.
    Classify {
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        by: ByTask,
        #[command(flatten)]
        at: At,
    },
    /// Let a model translate a released entry.
    #[command(
        after_help = "Example:\n  ashlar assist translate faq-item berths --locale en --to de --server https://cms.example"
    )]
    Translate {
        #[command(flatten)]
        name: EntryName,
        /// The language to write.
        #[arg(long, value_name = "LOCALE")]
        to: String,
        #[command(flatten)]
        by: ByTask,
        #[command(flatten)]
        at: At,
    },
    /// Let a model suggest links for a released entry.
    SuggestLinks {
        #[command(flatten)]
        name: EntryName,
        #[command(flatten)]
        by: ByTask,
        #[command(flatten)]
        at: At,
    },
    /// Let a model say what the audit log contains. Nothing is written.
    SummariseAuditLog {
        /// How many of the newest entries are shown.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// The task. Default: summarise-audit-log.
        #[arg(long, value_name = "NAME")]
        task: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Run a task for every entry of a type, until the limit of the day.
    #[command(
        after_help = "Example:\n  ashlar assist run --task translate --for type=faq-item --locale en --to de --server https://cms.example"
    )]
    Run {
        /// The task of assist.toml.
        #[arg(long, value_name = "NAME")]
        task: String,
        /// The entries.
        #[arg(long = "for", value_name = "type=TYPE")]
        of: String,
        /// The language of the entries. Default: the default language of the project.
        #[arg(long)]
        locale: Option<String>,
        /// For translations: the language to write.
        #[arg(long, value_name = "LOCALE")]
        to: Option<String>,
        /// The changeset of all drafts. Default: assist-TASK-TYPE.
        #[arg(long)]
        changeset: Option<String>,
        /// The most entries.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5000))]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Stop every task on all nodes. Nothing of a call that is under way is written.
    #[command(after_help = "Example:\n  ashlar assist stop --reason 'wrong prices' --data ./data")]
    Stop {
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        at: At,
    },
    /// Allow tasks again.
    Start {
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        at: At,
    },
    /// Show whether tasks are stopped, and how often each was used today.
    Status {
        #[command(flatten)]
        at: At,
    },
    /// List the entries of a release that models wrote something of, with where that comes from.
    #[command(after_help = "Example:\n  ashlar assist texts r12 --data ./data")]
    Texts {
        /// The release, such as r12.
        release: String,
        #[command(flatten)]
        at: At,
    },
}
at_of!(AssistCommand: Draft, Summarise, Classify, Translate, SuggestLinks, SummariseAuditLog, Run, Stop, Start, Status, Texts);

/// By which task, and into which changeset.
#[derive(Debug, Args)]
pub struct ByTask {
    /// The task of assist.toml. Default: the task with the name of the command.
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// The changeset of the draft. Default: one of its own.
    #[arg(long)]
    pub changeset: Option<String>,
}
