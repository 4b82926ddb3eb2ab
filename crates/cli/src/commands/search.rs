//! `search`: how good a search is.

use std::path::Path;

use ashlar_embed::{EmbedError, Model};
use ashlar_retrieval::{
    Embedder, Mode,
    evaluate::{BeirError, Part, evaluate_with, read_judged},
};

use crate::{
    args::{Format, ModeArg, SearchCommand},
    error::{CliError, Done, done},
    output,
    words::count,
};

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 4 << 30;

fn read(path: &Path) -> Result<String, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file("read", path, &e))?;
    if meta.len() > BYTES_MAX {
        return Err(CliError::input(
            format!("{} has more than {BYTES_MAX} bytes", path.display()),
            "use a part of it",
        ));
    }
    std::fs::read_to_string(path).map_err(|e| CliError::file("read", path, &e))
}

/// The most dimensions that vectors may have.
const DIMENSIONS_MAX: usize = 1_024;

/// A model from a directory.
struct Pretrained(Model);

impl Pretrained {
    fn open(dir: &Path) -> Result<Self, CliError> {
        let help = "a model is a directory with `*.safetensors` and `tokenizer.json`: static token embeddings, or a BERT sentence transformer";
        let model = Model::open(dir).map_err(|error| match error {
            EmbedError::Io { path, source } => CliError::file("read", &path, &source),
            other => CliError::input(other.to_string(), help),
        })?;
        match model.dimensions() {
            1..=DIMENSIONS_MAX => Ok(Self(model)),
            many => Err(CliError::input(
                format!("{} makes vectors of {many} dimensions", dir.display()),
                format!("use a model with at most {DIMENSIONS_MAX}"),
            )),
        }
    }
}

impl Embedder for Pretrained {
    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        self.0.embed(text)
    }
}

pub fn search(command: &SearchCommand) -> Done {
    let SearchCommand::Evaluate { corpus, queries, qrels, mode, embedder, locale, format } = command;
    let judged = read_judged(&read(corpus)?, &read(queries)?, &read(qrels)?).map_err(|error| {
        let BeirError { part, line, message } = error;
        let (path, help) = match part {
            Part::Corpus => (corpus, "a line is {\"_id\": \"d1\", \"title\": \"…\", \"text\": \"…\"}"),
            Part::Queries => (queries, "a line is {\"_id\": \"q1\", \"text\": \"…\"}"),
            Part::Qrels => (qrels, "a line is `q1`, `d1` and `1`, separated by tabs"),
        };
        let place = if line > 0 { format!("{}:{line}", path.display()) } else { path.display().to_string() };
        CliError::input(format!("{place}: {message}"), help)
    })?;
    let mode = match mode {
        ModeArg::Bm25 => Mode::Bm25,
        ModeArg::Vector => Mode::Vector,
        ModeArg::Hybrid => Mode::Hybrid,
    };
    let model = embedder.as_deref().map(Pretrained::open).transpose()?;
    let model = model.as_ref().map(|model| model as &dyn Embedder);
    output::note(format!("Indexing {} …", count(judged.documents.len(), "document", "documents")));
    let figures = evaluate_with(&judged, locale, mode, model)
        .map_err(|error| CliError::input(error.to_string(), "report this, with the set that was measured"))?;
    match format {
        Format::Json => output::print_json(&figures),
        Format::Human => {
            output::line(format!("nDCG@10     {:.4}", figures.ndcg));
            output::line(format!("recall@100  {:.4}", figures.recall));
            output::line(format!(
                "time        {:.2} ms (half of the queries), {:.2} ms (99 %)",
                figures.p50_ms, figures.p99_ms
            ));
            output::line(format!(
                "over        {}, {}",
                count(figures.queries, "query", "queries"),
                count(figures.documents, "document", "documents")
            ));
            if let Some(learned) = figures.calibration.filter(|_| mode == Mode::Hybrid) {
                output::line(format!(
                    "vectors     trusted to {:.0} %, learned from {}",
                    learned.trust * 100.0,
                    count(learned.questions, "question", "questions")
                ));
            }
        }
    }
    done()
}
