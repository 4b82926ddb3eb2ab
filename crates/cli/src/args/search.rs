//! Arguments of `search`.

use std::path::PathBuf;

use clap::Subcommand;

use super::at::Format;

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
}

impl SearchCommand {
    /// The output format.
    pub const fn format(&self) -> Format {
        match self {
            Self::Evaluate { format, .. } => *format,
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
