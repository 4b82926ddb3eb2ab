//! Arguments of `eval`.

use std::path::PathBuf;

use ashlar_model::EvalRunId;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::at::{At, Format};

/// Suites and their runs.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Ask every case of a suite, judge the answers, and write a report. Exit code 1 if a threshold is broken, 3 if a case has no verdict.
    #[command(
        after_help = "Examples:\n  ashlar eval run --suite support --data ./data --out evals-out\n  ashlar eval run --suite support --of c4 --submit --data ./data\n  ashlar eval run --suite support --server https://cms.example --key $KEY --baseline main/metrics.json"
    )]
    Run(Box<EvalRunArgs>),
    /// List what runs of suites showed, newest first.
    #[command(after_help = "Example:\n  ashlar eval evidence --suite support --data ./data")]
    Evidence {
        /// Only of this suite.
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Write a suite from a configuration of promptfoo or from samples of OpenAI evals, and report what has no counterpart.
    #[command(
        after_help = "Examples:\n  ashlar eval import promptfooconfig.yaml --from promptfoo --suite berths --feature support\n  ashlar eval import samples.jsonl --from openai-evals --matching includes --suite facts"
    )]
    Import(Box<EvalImportArgs>),
    /// Add cases to a suite: from failures of a run, from recorded calls, or from reviews. What nobody has judged goes to NAME.todo.jsonl.
    #[command(
        after_help = "Examples:\n  ashlar eval grow --suite support --from-reviews --data ./data\n  ashlar eval grow --suite support --from-calls --since 7d --dry-run --server https://cms.example\n  ashlar eval grow --suite support --from-failures evals-out/failure_cases.jsonl"
    )]
    Grow(Box<EvalGrowArgs>),
    /// Compare two runs case by case. Exit code 1 if a critical case became worse, or a metric by more than chance.
    #[command(after_help = "Example:\n  ashlar eval compare main/metrics.json evals-out/metrics.json")]
    Compare {
        /// The metrics.json of the earlier run.
        before: PathBuf,
        /// The metrics.json of the later run.
        after: PathBuf,
        /// The output format.
        #[arg(long, value_enum, default_value_t, help_heading = "Output")]
        format: Format,
    },
    /// Start a run on a server, whose nodes ask its cases. Prints its name. With --wait, exit code 1 if a threshold is broken, 3 if a case has no verdict.
    #[command(
        after_help = "Examples:\n  ashlar eval start --suite support --server https://cms.example --key $KEY\n  ashlar eval start --suite support --of c4 --wait --server https://cms.example --key $KEY"
    )]
    Start(EvalStartArgs),
    /// List the runs of a server, newest first.
    Runs {
        /// Only runs of this suite.
        #[arg(long, value_name = "NAME")]
        suite: Option<String>,
        /// Continue with the next page.
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show how far a run of a server is, and what came of it.
    Show {
        /// The run, such as e7.
        run: EvalRunId,
        /// Where metrics.json and report.html are written.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Stop a run of a server. What came back stays.
    Cancel {
        /// The run, such as e7.
        run: EvalRunId,
        #[command(flatten)]
        at: At,
    },
}

/// What a server runs.
#[derive(Debug, Args)]
pub struct EvalStartArgs {
    /// The suite: evals/NAME.toml with evals/NAME.jsonl, of what is asked.
    #[arg(long, value_name = "NAME")]
    pub suite: String,
    /// What is asked: a release such as r3, a candidate such as c4, or a channel. Default: the public channel.
    #[arg(long, value_name = "WHAT")]
    pub of: Option<String>,
    /// Wait for the end, and show what came of it.
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub at: At,
}

/// The tool that a suite comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFrom {
    /// A promptfooconfig.yaml.
    Promptfoo,
    /// Samples with `input` and `ideal`, one on each line.
    OpenaiEvals,
}

/// How samples of OpenAI evals are compared with `ideal`. It is in the registry of OpenAI evals, not in the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum MatchingArg {
    /// The answer begins with an ideal.
    #[default]
    Match,
    /// The answer contains an ideal.
    Includes,
    /// The answer contains an ideal, without regard to case.
    IncludesIgnoringCase,
    /// The answer contains an ideal, without regard to case, punctuation and articles.
    Fuzzy,
}

/// What is imported.
#[derive(Debug, Args)]
pub struct EvalImportArgs {
    /// The file.
    pub file: PathBuf,
    /// The tool that it comes from.
    #[arg(long, value_enum)]
    pub from: ImportFrom,
    /// The suite that is written: evals/NAME.toml with evals/NAME.jsonl.
    #[arg(long, value_name = "NAME")]
    pub suite: String,
    /// The feature that calls belong to.
    #[arg(long, value_name = "FEATURE", default_value = "default")]
    pub feature: String,
    /// Who answers for the suite. Default: your name.
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// How samples of OpenAI evals are compared with `ideal`.
    #[arg(long, value_enum, default_value_t)]
    pub matching: MatchingArg,
    /// The project that the suite is written to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Replace a suite of this name.
    #[arg(long)]
    pub force: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub format: Format,
}

/// Where new cases come from.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("origin").required(true).args(["from_calls", "from_failures", "from_reviews", "from_todo"]))]
pub struct EvalGrowArgs {
    /// The suite: evals/NAME.toml with evals/NAME.jsonl.
    #[arg(long, value_name = "NAME")]
    pub suite: String,
    /// Recorded calls whose text is stored. Only those that were reviewed become cases.
    #[arg(long)]
    pub from_calls: bool,
    /// The failure_cases.jsonl of a run.
    #[arg(long, value_name = "FILE")]
    pub from_failures: Option<PathBuf>,
    /// Reviews with a final verdict.
    #[arg(long)]
    pub from_reviews: bool,
    /// Lines of NAME.todo.jsonl that a person completed. They are removed from that file.
    #[arg(long)]
    pub from_todo: bool,
    /// Only calls of this last time, such as 7d or 12h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only calls of this feature. Default: that of the suite.
    #[arg(long, value_name = "FEATURE")]
    pub feature: Option<String>,
    /// The most new cases and lines.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The project that contains the suite.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub project: PathBuf,
    #[command(flatten)]
    pub at: At,
}

/// How passages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retriever {
    /// By words and meaning, as the release says.
    Hybrid,
    /// By words alone.
    Bm25,
}

/// How a suite is run.
#[derive(Debug, Args)]
pub struct EvalRunArgs {
    /// The suite: evals/NAME.toml with evals/NAME.jsonl.
    #[arg(long, value_name = "NAME")]
    pub suite: String,
    /// The project that contains the suite. Default: the current directory if it is a project, else the release.
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// What is asked with --data: a channel, a release such as r3, a candidate such as c4, or draft. Default: the public channel. With --submit, what the
    /// replies are of.
    #[arg(long, value_name = "WHAT")]
    pub of: Option<String>,
    /// The route, instead of that of the suite.
    #[arg(long, value_name = "ROUTE")]
    pub model: Option<String>,
    /// The prompt, instead of that of the suite, such as `support-answer@v2`.
    #[arg(long, value_name = "NAME[@vN]")]
    pub prompt: Option<String>,
    /// How passages are found with --data, instead of as the release says.
    #[arg(long, value_enum, conflicts_with = "replay")]
    pub retriever: Option<Retriever>,
    /// The route of the model that judges answers by rubrics, instead of that of the suite.
    #[arg(long, value_name = "ROUTE")]
    pub judge: Option<String>,
    /// The figures that are reported, separated by commas. Default: those of the suite.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub metrics: Vec<String>,
    /// Cases of another file, instead of those of the suite.
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// Only cases with this tag.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Where metrics.json, failure_cases.jsonl, junit.xml and report.html are written. A stopped run goes on from there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The metrics.json of an earlier run, to compare with.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write the replies to a file.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Take the replies from a file, and ask nobody.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Record the run as evidence of the gate `evals`, for the candidate or release that was asked. The suite is that of the candidate.
    #[arg(long, conflicts_with_all = ["project", "model", "prompt", "retriever", "judge", "cases", "tag"])]
    pub submit: bool,
    /// How many cases are asked at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// How often a case is asked again when it could not be asked. Wrong answers are never asked again.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub retries: u32,
    /// Stop when the run has cost this much.
    #[arg(long, value_name = "AMOUNT")]
    pub max_cost: Option<String>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub max_seconds: Option<u64>,
    #[command(flatten)]
    pub at: At,
}

impl EvalCommand {
    /// How the command reports.
    pub const fn format(&self) -> Format {
        match self {
            Self::Run(args) => args.at.format,
            Self::Start(args) => args.at.format,
            Self::Runs { at, .. } | Self::Show { at, .. } | Self::Cancel { at, .. } => at.format,
            Self::Evidence { at, .. } => at.format,
            Self::Import(args) => args.format,
            Self::Grow(args) => args.at.format,
            Self::Compare { format, .. } => *format,
        }
    }
}
