//! Endpoints that speak the embeddings format of OpenAI, and the rerank format that Cohere, Jina and vLLM share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ashlar_model::Digest;
use ashlar_retrieval::{
    Embedder,
    models::{ModelCounts, ModelError},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::calls::{Caller, Target};

/// The most bytes of texts in one request, unless one text alone has more.
const REQUEST_BYTES: usize = 256 << 10;
/// The most bytes of a number in an answer, with what is around it.
const NUMBER_BYTES: usize = 40;
/// What an answer may have besides vectors, in bytes.
const AROUND_BYTES: usize = 64 << 10;

/// How often endpoints and models were asked.
#[derive(Debug, Default)]
pub struct Counts {
    texts: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
}

impl Counts {
    pub fn embedded(&self, texts: usize) {
        self.texts.fetch_add(texts as u64, Ordering::Relaxed);
    }

    fn called<T, E>(&self, outcome: &Result<T, E>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
    }

    pub fn read(&self) -> ModelCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ModelCounts { texts: read(&self.texts), calls: read(&self.calls), failures: read(&self.failures) }
    }
}

/// An endpoint that makes vectors.
pub struct Endpoint {
    pub name: String,
    pub target: Target,
    pub dimensions: usize,
    pub send_dimensions: bool,
    pub batch: usize,
    pub caller: Arc<Caller>,
    pub counts: Arc<Counts>,
}

#[derive(Serialize)]
struct EmbeddingsRequest<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

impl Endpoint {
    /// What decides its vectors, as far as can be known.
    pub fn id(&self) -> String {
        let (url, model) = (&self.target.address.url, &self.target.address.model);
        let decides = json!(["endpoint 1", url, model, self.dimensions]);
        Digest::of(decides.to_string().as_bytes()).to_string()
    }

    /// The vectors of texts, in one request.
    pub fn ask(&self, texts: &[String], timeout: Duration) -> Result<Vec<Vec<f32>>, String> {
        let body = EmbeddingsRequest {
            model: &self.target.address.model,
            input: texts,
            encoding_format: "float",
            dimensions: self.send_dimensions.then_some(self.dimensions),
        };
        // Twice as many dimensions are read, so that another length is said and not that there are too many bytes.
        let most = AROUND_BYTES + texts.len() * self.dimensions * 2 * NUMBER_BYTES;
        let answered = self.target.post::<Embeddings>(&self.caller, &body, timeout, most);
        let vectors = answered
            .and_then(|answer| self.checked(answer, texts.len()).map_err(|why| self.target.refuse(why)));
        self.counts.called(&vectors);
        if vectors.is_ok() {
            self.target.succeeded();
            self.counts.embedded(texts.len());
        }
        vectors
    }

    fn checked(&self, answer: Embeddings, wanted: usize) -> Result<Vec<Vec<f32>>, String> {
        if answer.data.len() != wanted {
            return Err(format!("it answered {} vectors for {wanted} texts", answer.data.len()));
        }
        let mut out: Vec<Vec<f32>> = vec![Vec::new(); wanted];
        for Embedding { index, embedding } in answer.data {
            if embedding.len() != self.dimensions {
                return Err(format!(
                    "it answered vectors of {} dimensions; models.toml says {}",
                    embedding.len(),
                    self.dimensions
                ));
            }
            if embedding.iter().any(|value| !value.is_finite()) {
                return Err("it answered a vector with a value that is not a number".to_owned());
            }
            match out.get_mut(index) {
                Some(place) if place.is_empty() => *place = embedding,
                _ => return Err(format!("it answered no vector, or two, for text {index}")),
            }
        }
        Ok(out)
    }
}

impl Embedder for Endpoint {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let made = self.embed_all(&[text.to_owned()]).ok().and_then(|mut all| all.pop());
        made.unwrap_or_else(|| vec![0.0; self.dimensions])
    }

    fn embed_all(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let failed = |why| ModelError::Failed { name: self.name.clone(), why };
        let mut out: Vec<Vec<f32>> = vec![vec![0.0; self.dimensions]; texts.len()];
        // Endpoints refuse empty texts.
        let mut left: &[usize] =
            &(0..texts.len()).filter(|at| !texts[*at].trim().is_empty()).collect::<Vec<_>>();
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = left.iter().take(self.batch).take_while(|at| {
                bytes += texts[**at].len();
                bytes <= REQUEST_BYTES
            });
            let (now, later) = left.split_at(fits.count().max(1));
            let batch: Vec<String> = now.iter().map(|at| texts[*at].clone()).collect();
            let made = self.ask(&batch, self.target.address.timeout).map_err(failed)?;
            now.iter().zip(made).for_each(|(at, vector)| out[*at] = vector);
            left = later;
        }
        Ok(out)
    }
}

/// An endpoint that says how well texts answer a query.
pub struct Ranker {
    pub target: Target,
    pub caller: Arc<Caller>,
    pub counts: Arc<Counts>,
}

#[derive(Serialize)]
struct RerankRequest<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    query: &'a str,
    documents: &'a [&'a str],
    top_n: usize,
}

#[derive(Deserialize)]
struct Ranked {
    results: Vec<Rank>,
}

#[derive(Deserialize)]
struct Rank {
    index: usize,
    relevance_score: f32,
}

impl Ranker {
    /// The score of each text; a text that the answer leaves out has the lowest.
    pub fn ask(&self, query: &str, texts: &[&str]) -> Result<Vec<f32>, String> {
        let address = &self.target.address;
        let body = RerankRequest { model: &address.model, query, documents: texts, top_n: texts.len() };
        // Some return the texts as well, perhaps escaped.
        let most = AROUND_BYTES + texts.iter().map(|text| text.len() * 6).sum::<usize>();
        let answered = self.target.post::<Ranked>(&self.caller, &body, address.query_timeout, most);
        let scores =
            answered.and_then(|answer| scores(answer, texts.len()).map_err(|why| self.target.refuse(why)));
        self.counts.called(&scores);
        if scores.is_ok() {
            self.target.succeeded();
        }
        scores
    }
}

fn scores(answer: Ranked, wanted: usize) -> Result<Vec<f32>, String> {
    let mut out = vec![f32::NEG_INFINITY; wanted];
    for Rank { index, relevance_score } in answer.results {
        if !relevance_score.is_finite() {
            return Err("it answered a score that is not a number".to_owned());
        }
        match out.get_mut(index) {
            Some(score) if *score == f32::NEG_INFINITY => *score = relevance_score,
            _ => {
                return Err(format!("it answered a score for text {index} that was not sent, or two scores"));
            }
        }
    }
    Ok(out)
}
