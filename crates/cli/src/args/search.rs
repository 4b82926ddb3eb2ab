//! Arguments of `search`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    at::{At, Format},
    scope::Scope,
};

/// Arguments of `search`: a query, or a subcommand.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SearchArgs {
    #[command(subcommand)]
    pub command: Option<SearchCommand>,
    /// What to search for. `"…"` is a phrase, `-word` excludes. A query that begins with `-` comes after `--`.
    #[arg(required = true)]
    pub query: Option<String>,
    #[command(flatten)]
    pub scope: Scope,
    /// How to search.
    #[arg(long, value_enum, default_value_t)]
    pub mode: SearchModeArg,
    /// What to count: `type`, `index`, attributes.
    #[arg(long = "facet", value_name = "NAME")]
    pub facets: Vec<String>,
    /// How much hits that are unlike each other are preferred, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub diversity: Option<f32>,
    /// The most hits.
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
    /// How many hits to skip.
    #[arg(long, default_value_t = 0)]
    pub offset: u32,
    #[command(flatten)]
    pub at: At,
}

impl SearchArgs {
    /// The output format.
    pub const fn format(&self) -> Format {
        match &self.command {
            Some(command) => command.format(),
            None => self.at.format,
        }
    }
}

/// How a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum SearchModeArg {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By words alone.
    Words,
    /// By meaning alone.
    Meaning,
}

impl SearchModeArg {
    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Words => "words",
            Self::Meaning => "meaning",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum SearchCommand {
    /// Measure a search against judged queries in the layout of BEIR or TREC.
    #[command(
        after_help = "Example:\n  ashlar search evaluate --corpus corpus.jsonl --queries queries.jsonl --qrels qrels.tsv --mode hybrid"
    )]
    Evaluate {
        /// The documents: a line of JSON each, with `_id`, `text` and perhaps `title`.
        #[arg(long, value_name = "FILE")]
        corpus: PathBuf,
        /// The queries: a line of JSON each, with `_id` and `text`.
        #[arg(long, value_name = "FILE")]
        queries: PathBuf,
        /// The judgements: `query-id`, `corpus-id` and `score`, separated by tabs, or the format of TREC.
        #[arg(long, value_name = "FILE")]
        qrels: PathBuf,
        /// What the search looks at.
        #[arg(long, value_enum, default_value_t)]
        mode: ModeArg,
        /// A directory with an embedding model, used instead of what the documents teach: `*.safetensors` and `tokenizer.json`.
        #[arg(long, value_name = "DIR")]
        embedder: Option<PathBuf>,
        /// The language of the documents.
        #[arg(long, default_value = "en")]
        locale: String,
        /// The output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show how searches do: frequent queries, queries without results, clicks, and how late indexes are.
    #[command(after_help = "Example:\n  ashlar search stats --days 30 --server https://content.example")]
    Stats {
        /// How many days count.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
        /// The most queries of a list.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
}

impl SearchCommand {
    /// The output format.
    pub const fn format(&self) -> Format {
        match self {
            Self::Evaluate { format, .. } => *format,
            Self::Stats { at, .. } => at.format,
        }
    }
}

/// What a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ModeArg {
    /// Words.
    Bm25,
    /// Meaning, as the documents teach it.
    Vector,
    /// Both, weighed by what the documents teach.
    #[default]
    Hybrid,
}
