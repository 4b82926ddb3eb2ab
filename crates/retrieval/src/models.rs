//! Models that learned elsewhere, by the names that `retrieval.toml` uses. What offers them reads files and calls endpoints, so it is
//! not here.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::embedder::Embedder;

/// The most dimensions that vectors may have.
pub const DIMENSIONS_MAX: usize = 1_024;
/// The most texts that are ranked again for one search.
pub const RERANKED_MAX: usize = 50;

/// What kind of model makes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A table of token vectors in a directory.
    Static,
    /// A sentence transformer in a directory.
    Transformer,
    /// An endpoint that speaks the embeddings format of OpenAI.
    Endpoint,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Transformer => "transformer",
            Self::Endpoint => "endpoint",
        })
    }
}

/// Why a model cannot be used now. The text names no file and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The node does not offer it.
    #[error("this node has no model `{0}`; add it to models.toml")]
    Unknown(String),
    /// It is of another kind.
    #[error("retrieval.toml names `{name}` as {wanted}, but models.toml says {found}")]
    Kind {
        /// Its name.
        name: String,
        /// What `retrieval.toml` says.
        wanted: ModelKind,
        /// What the node offers.
        found: ModelKind,
    },
    /// It was asked and failed.
    #[error("the model `{name}` failed: {why}")]
    Failed {
        /// Its name.
        name: String,
        /// What happened.
        why: String,
    },
}

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
