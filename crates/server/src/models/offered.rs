//! The models that a node offers.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_embed::{EmbedError, Model as Pretrained};
use ashlar_model::{Digest, nearest_of};
use ashlar_retrieval::{
    Embedder,
    models::{DIMENSIONS_MAX, Model, ModelCounts, ModelError, ModelKind, Models, NoModels},
};
use moka::sync::Cache;

use super::{
    calls::{Caller, Target},
    endpoint::{Counts, Endpoint, Ranker},
    reading::SettingsError,
    settings::{EmbedderSettings, Settings},
};

/// Queries whose vectors are remembered.
const QUERIES_MAX: u64 = 2_000;
/// Texts that a model may embed while a candidate is made: about a tenth of a second.
const QUICK_STATIC: u64 = 1_000;
const QUICK_TRANSFORMER: u64 = 4;
/// What is embedded to try a model.
const TRIED: &str = "high water";

/// A model in a directory. It is read when it is needed.
struct Local {
    name: String,
    dir: PathBuf,
    id: Mutex<Option<String>>,
    model: Mutex<Option<Arc<Pretrained>>>,
    counts: Arc<Counts>,
}

/// A model that was read.
struct Opened {
    model: Arc<Pretrained>,
    counts: Arc<Counts>,
}

impl Embedder for Opened {
    fn dimensions(&self) -> usize {
        self.model.dimensions()
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        self.counts.embedded(1);
        self.model.embed(text)
    }
}

impl Local {
    fn failed(&self, error: &EmbedError) -> ModelError {
        // The path is for whoever runs the server.
        tracing::warn!(model = self.name, %error, "a model cannot be read");
        let why = match error {
            EmbedError::Io { source, .. } => format!("its directory cannot be read: {}", source.kind()),
            EmbedError::Missing { wanted, .. } => format!("its directory has no {wanted}"),
            EmbedError::TooLarge { bytes, most, .. } => {
                format!("a file has {bytes} bytes; at most {most} are read")
            }
            EmbedError::Unusable { why, .. } => why.clone(),
        };
        ModelError::Failed { name: self.name.clone(), why }
    }

    fn id(&self) -> Result<String, ModelError> {
        let mut known = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let id = Pretrained::digest_of(&self.dir).map_err(|e| self.failed(&e))?;
        *known = Some(id.clone());
        Ok(id)
    }

    fn open(&self) -> Result<Opened, ModelError> {
        // The digest first: what is read later must be what it names.
        let id = self.id()?;
        let mut known = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let model = match &*known {
            Some(known) => known.clone(),
            None => {
                let model = Pretrained::open(&self.dir).map_err(|e| self.failed(&e))?;
                let changed = Pretrained::digest_of(&self.dir).map_err(|e| self.failed(&e))? != id;
                let why = match model.dimensions() {
                    _ if changed => "its files changed since the node started; start it again".to_owned(),
                    1..=DIMENSIONS_MAX => String::new(),
                    many => format!(
                        "it makes vectors of {many} dimensions; at most {DIMENSIONS_MAX} are possible"
                    ),
                };
                if !why.is_empty() {
                    return Err(ModelError::Failed { name: self.name.clone(), why });
                }
                known.insert(Arc::new(model)).clone()
            }
        };
        Ok(Opened { model, counts: self.counts.clone() })
    }
}

enum Offer {
    Local(Local),
    Endpoint(Arc<Endpoint>),
}

/// A model that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// What was found, or what is wrong.
    pub outcome: Result<String, String>,
}

/// The models that `models.toml` names.
pub struct Offered {
    embedders: BTreeMap<String, Offer>,
    rankers: BTreeMap<String, Ranker>,
    queries: Cache<Digest, Arc<[f32]>>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").field("embedders", &self.embedders.keys()).finish_non_exhaustive()
    }
}

impl Offered {
    /// The models that a file names; none without a file. Models are read when they are needed.
    ///
    /// # Errors
    /// When the file cannot be read or says something that cannot be.
    pub fn read(file: Option<&Path>) -> Result<Arc<dyn Models>, SettingsError> {
        Ok(match file {
            Some(file) => Arc::new(Self::of(file)?),
            None => Arc::new(NoModels),
        })
    }

    /// The models that a file names.
    ///
    /// # Errors
    /// As [`Offered::read`].
    pub fn of(file: &Path) -> Result<Self, SettingsError> {
        let settings = Settings::read(file)?;
        let caller = Caller::start().map_err(|e| SettingsError::Client(e.to_string()))?;
        let (caller, counts) = (Arc::new(caller), Arc::new(Counts::default()));
        let mut embedders = BTreeMap::new();
        for (name, settings) in settings.embedders {
            let counts = counts.clone();
            let offer = match settings {
                EmbedderSettings::Directory(dir) => {
                    let name = name.clone();
                    Offer::Local(Local { name, dir, id: Mutex::default(), model: Mutex::default(), counts })
                }
                EmbedderSettings::Endpoint { address, dimensions, send_dimensions, batch } => {
                    let (target, caller, name) = (Target::new(address)?, caller.clone(), name.clone());
                    let made = Endpoint { name, target, dimensions, send_dimensions, batch, caller, counts };
                    Offer::Endpoint(Arc::new(made))
                }
            };
            embedders.insert(name, offer);
        }
        let mut rankers = BTreeMap::new();
        for (name, address) in settings.rerankers {
            let (caller, counts) = (caller.clone(), counts.clone());
            rankers.insert(name, Ranker { target: Target::new(address)?, caller, counts });
        }
        Ok(Self { embedders, rankers, queries: Cache::new(QUERIES_MAX), counts })
    }

    /// Tries every model. Blocks.
    pub fn check(&self) -> Vec<Checked> {
        let mut out = Vec::new();
        for (name, offer) in &self.embedders {
            let outcome = match offer {
                Offer::Local(local) => local.open().map_err(|e| e.to_string()).map(|opened| {
                    let kind = kind_of(&opened.model);
                    format!("{kind}, {} dimensions", opened.dimensions())
                }),
                Offer::Endpoint(endpoint) => {
                    let timeout = endpoint.target.address.timeout;
                    let tried = endpoint.ask(&[TRIED.to_owned()], timeout);
                    tried.map(|_| format!("the endpoint answers, {} dimensions", endpoint.dimensions))
                }
            };
            out.push(Checked { name: name.clone(), outcome });
        }
        for (name, ranker) in &self.rankers {
            let outcome = ranker.ask(TRIED, &[TRIED, "low water"]);
            out.push(Checked {
                name: name.clone(),
                outcome: outcome.map(|_| "the endpoint ranks".to_owned()),
            });
        }
        out
    }

    /// The embedder with an id.
    fn with_id(&self, id: &str) -> Option<&Offer> {
        self.embedders.values().find(|offer| match offer {
            Offer::Local(local) => local.id().is_ok_and(|own| own == id),
            Offer::Endpoint(endpoint) => endpoint.id() == id,
        })
    }
}

const fn kind_of(model: &Pretrained) -> ModelKind {
    if model.is_transformer() { ModelKind::Transformer } else { ModelKind::Static }
}

impl Models for Offered {
    fn model(&self, wanted: ModelKind, name: &str) -> Result<Model, ModelError> {
        let (found, model) = match self.embedders.get(name) {
            None => {
                let known = nearest_of(name, self.embedders.keys().map(String::as_str), "");
                tracing::debug!(name, known, "a release names a model that models.toml does not");
                return Err(ModelError::Unknown(name.to_owned()));
            }
            Some(Offer::Endpoint(endpoint)) => {
                let embedder = endpoint.clone() as Arc<dyn Embedder + Send>;
                (ModelKind::Endpoint, Model { id: endpoint.id(), embedder, quick: 0, leaves: true })
            }
            Some(Offer::Local(local)) => {
                let opened = local.open()?;
                let kind = kind_of(&opened.model);
                let quick = if kind == ModelKind::Static { QUICK_STATIC } else { QUICK_TRANSFORMER };
                (kind, Model { id: local.id()?, embedder: Arc::new(opened), quick, leaves: false })
            }
        };
        if found != wanted {
            return Err(ModelError::Kind { name: name.to_owned(), wanted, found });
        }
        Ok(model)
    }

    fn query(&self, id: &str, text: &str) -> Option<Arc<[f32]>> {
        let key = Digest::of(format!("{id}\0{text}").as_bytes());
        if let Some(known) = self.queries.get(&key) {
            return Some(known);
        }
        let vector = match self.with_id(id)? {
            Offer::Local(local) => local.open().ok()?.embed(text),
            Offer::Endpoint(endpoint) => {
                let timeout = endpoint.target.address.query_timeout;
                let asked = endpoint.ask(&[text.to_owned()], timeout);
                asked
                    .inspect_err(|why| tracing::debug!(model = endpoint.name, why, "a query has no vector"))
                    .ok()?
                    .pop()?
            }
        };
        let vector: Arc<[f32]> = vector.into();
        self.queries.insert(key, vector.clone());
        Some(vector)
    }

    fn prepare(&self, id: &str) {
        if let Some(Offer::Local(local)) = self.with_id(id) {
            // A search says so when it cannot be read.
            let _ = local.open();
        }
    }

    fn rerank(&self, name: &str, query: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let ranker = self.rankers.get(name).ok_or_else(|| ModelError::Unknown(name.to_owned()))?;
        ranker.ask(query, texts).map_err(|why| ModelError::Failed { name: name.to_owned(), why })
    }

    fn counts(&self) -> ModelCounts {
        self.counts.read()
    }
}
