//! Models that learned elsewhere, by the names that `retrieval.toml` uses. What offers them reads files and calls endpoints, so it is
//! not here.

use std::{fmt, sync::Arc};

use crate::embedder::Embedder;
pub use crate::{
    basis::DIMENSIONS_MAX,
    embedder::{ModelError, ModelKind},
};

/// The most texts that are ranked again for one search.
pub const RERANKED_MAX: usize = 50;

/// A model that can be asked.
#[derive(Clone)]
pub struct Model {
    /// Names the model with everything that decides its vectors. Vectors of two ids are never compared.
    pub id: String,
    /// What makes the vectors.
    pub embedder: Arc<dyn Embedder + Send>,
    /// How many texts it may embed while a candidate is made.
    pub quick: u64,
    /// Whether texts leave the node.
    pub leaves: bool,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("id", &self.id).field("leaves", &self.leaves).finish_non_exhaustive()
    }
}

/// How often models were asked since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelCounts {
    /// Texts that were embedded.
    pub texts: u64,
    /// Calls of endpoints.
    pub calls: u64,
    /// Of these, calls that failed.
    pub failures: u64,
}

/// The models of a node.
pub trait Models: fmt::Debug + Send + Sync {
    /// The model with a name.
    ///
    /// # Errors
    /// When the node does not offer it, it is of another kind, or it cannot be read.
    fn model(&self, kind: ModelKind, name: &str) -> Result<Model, ModelError>;

    /// The vector of a query, by the model with an id. `None` when it cannot be had within a bounded time.
    fn query(&self, id: &str, text: &str) -> Option<Arc<[f32]>>;

    /// Reads what the model with an id needs, so that the first query does not wait for it.
    fn prepare(&self, id: &str);

    /// How well each text answers a query, by the re-ranker with a name.
    ///
    /// # Errors
    /// When it cannot be asked, or does not answer in time.
    fn rerank(&self, name: &str, query: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError>;

    /// How often models were asked.
    fn counts(&self) -> ModelCounts;
}

/// A node without models.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModels;

impl Models for NoModels {
    fn model(&self, _: ModelKind, name: &str) -> Result<Model, ModelError> {
        Err(ModelError::Unknown(name.to_owned()))
    }

    fn query(&self, _: &str, _: &str) -> Option<Arc<[f32]>> {
        None
    }

    fn prepare(&self, _: &str) {}

    fn rerank(&self, name: &str, _: &str, _: &[&str]) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Unknown(name.to_owned()))
    }

    fn counts(&self) -> ModelCounts {
        ModelCounts::default()
    }
}
