//! Arguments of `review`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::at::At;

/// Model calls that people look at.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// List reviews, newest calls first.
    List {
        /// Reviews of this feature.
        #[arg(long)]
        feature: Option<String>,
        /// Reviews in this state: open, disputed or done.
        #[arg(long)]
        state: Option<String>,
        /// Only reviews that you can give a verdict on now.
        #[arg(long)]
        open_to_me: bool,
        /// Reviews of calls that began at this time (RFC 3339) or later.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Where to continue.
        #[arg(long)]
        cursor: Option<String>,
        /// The most reviews that are listed.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Take a review for 20 minutes, so that nobody else works on it: the one named, or one that needs you.
    #[command(
        after_help = "Examples:\n  ashlar review take --data ./data\n  ashlar review take --feature support --server https://cms.example --key $KEY"
    )]
    Take {
        /// The call.
        call: Option<String>,
        /// Only a review of this feature.
        #[arg(long)]
        feature: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show a review: question, answer, sources and checks.
    #[command(after_help = "Example:\n  ashlar review show 019a5c3f2b1e7c44a8d0f2b1 --data ./data")]
    Show {
        /// The call.
        call: String,
        #[command(flatten)]
        at: At,
    },
    /// Give a verdict on the answer of a call.
    #[command(
        after_help = "Examples:\n  ashlar review judge CALL --verdict correct --as jo --data ./data\n  ashlar review judge CALL --verdict wrong --fact '159 EUR' --not '149 EUR' --comment 'the price of last year' --data ./data\n  ashlar review judge CALL --verdict wrong --refuse --server https://cms.example --key $KEY"
    )]
    Judge(Box<JudgeArgs>),
    /// Put a recorded call whose text is stored into the queue.
    #[command(after_help = "Example:\n  ashlar review add 019a5c3f2b1e7c44a8d0f2b1 --data ./data")]
    Add {
        /// The call, as `ashlar llm calls` lists it.
        call: String,
        #[command(flatten)]
        at: At,
    },
    /// Show what reviews say by feature: wrong answers, and how far people and checks agree.
    #[command(after_help = "Example:\n  ashlar review figures --feature support --data ./data")]
    Figures {
        /// Figures of this feature.
        #[arg(long)]
        feature: Option<String>,
        /// Figures of calls that began at this time (RFC 3339) or later.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Write final verdicts as labels, one on each line.
    #[command(
        after_help = "Examples:\n  ashlar review export --feature support --data ./data > labels.jsonl\n  ashlar review export --suite support --out labels.jsonl --server https://cms.example --key $KEY"
    )]
    Export {
        /// Labels of the feature of this suite, with the names of the cases that were made from them.
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        /// The project that contains the suite.
        #[arg(long, value_name = "DIR", default_value = ".")]
        project: PathBuf,
        /// Labels of this feature.
        #[arg(long, conflicts_with = "suite")]
        feature: Option<String>,
        /// Labels of calls that began at this time (RFC 3339) or later.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Write to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
}

/// What a person says about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictArg {
    /// It is right and complete, or rightly refused.
    Correct,
    /// Something is missing or not quite right.
    Partly,
    /// It is wrong, or wrongly refused.
    Wrong,
    /// It does harm: it should not have been said.
    Unsafe,
}

/// A verdict, and what a good answer is.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// The call.
    pub call: String,
    /// The verdict.
    #[arg(long, value_enum)]
    pub verdict: VerdictArg,
    /// What a good answer says. Repeat it for several.
    #[arg(long = "fact", value_name = "TEXT")]
    pub facts: Vec<String>,
    /// What a good answer does not say. Repeat it for several.
    #[arg(long = "not", value_name = "TEXT")]
    pub not: Vec<String>,
    /// What a good answer cites: type/id of an entry, or the path of a page. Repeat it for several.
    #[arg(long = "cite", value_name = "SOURCE")]
    pub cites: Vec<String>,
    /// A good answer is a refusal.
    #[arg(long, conflicts_with_all = ["facts", "cites"])]
    pub refuse: bool,
    /// A remark.
    #[arg(long, default_value = "")]
    pub comment: String,
    #[command(flatten)]
    pub at: At,
}

impl ReviewCommand {
    /// What the command works on.
    pub const fn at(&self) -> &At {
        match self {
            Self::Judge(args) => &args.at,
            Self::List { at, .. }
            | Self::Take { at, .. }
            | Self::Show { at, .. }
            | Self::Add { at, .. }
            | Self::Figures { at, .. }
            | Self::Export { at, .. } => at,
        }
    }
}
