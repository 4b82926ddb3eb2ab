//! The definitions of a release, parsed once for all releases that share them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use ashlar_contracts::{ContractSet, IndexKind};
use ashlar_model::{Digest, Files, Finding, ProjectConfig, TypeName};
use ashlar_project::{Redirects, read_config};
use ashlar_retrieval::{config::Config, routing::Router};
use ashlar_site::Site;
use ashlar_store::{TenantObjects, Tree};

use super::locales::Locales;
use crate::{error::DeliveryError, graphql::Graph, views::Views};

/// Everything delivery needs of a project's definitions. Immutable; shared by all releases with the same definitions.
pub struct Definitions {
    /// The root of the definitions tree.
    pub digest: Digest,
    /// `ashlar.toml`.
    pub config: ProjectConfig,
    /// `contracts/*.json`.
    pub contracts: ContractSet,
    /// `views/*.toml`.
    pub views: Views,
    /// Locales with their fallback chains, ready for negotiation.
    pub(crate) locales: Locales,
    /// What entries of a type can be filtered and sorted by.
    pub(crate) indexed: BTreeMap<TypeName, BTreeMap<String, FieldKind>>,
    /// `redirects.toml`
    pub(crate) redirects: Redirects,
    /// `retrieval.toml`
    pub retrieval: Config,
    /// Which indexes a query uses, by locale.
    routers: Mutex<BTreeMap<String, Arc<Router>>>,
    /// `queries/*.graphql`
    queries: Files,
    /// Made when it is first asked for: most releases change entries alone, and many projects have no queries.
    graph: OnceLock<Graph>,
    /// `components/`, `intents.toml`, `site/`, `assets/`, and the tokens they use.
    /// Files of the gateway, which delivery does not read.
    pub gateway: Files,
    site_files: Files,
    site: OnceLock<Option<Site>>,
}

/// Files that pages are made of.
const SITE: [&str; 6] = ["components/", "intents.toml", "site/", "assets/", "tokens.toml", "tokens/"];

/// Files that calls of models are decided on.
const GATEWAY: [&str; 4] = ["gateway.toml", "prompts.toml", "prompts/", "assist.toml"];

/// How the values of an indexed field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// By their UTF-8 bytes.
    String,
    /// As numbers.
    Number,
    /// `false` before `true`.
    Bool,
    /// Many strings: equality with one of them, no order.
    Strings,
}

impl Definitions {
    /// Parses definition files. A contract or a view that cannot be used is left out: a release has passed the gates,
    /// which report it.
    ///
    /// # Errors
    /// When a configuration file (`ashlar.toml`, `redirects.toml`, `site/site.toml`, `tokens.toml`) cannot be read, such
    /// as one of a newer version. What it says is never replaced by defaults.
    pub fn parse(digest: Digest, files: &Files) -> Result<Self, DeliveryError> {
        let unreadable = |found: Option<Finding>| {
            let found = found.unwrap_or_else(|| Finding::error("config", "ashlar.toml", "it cannot be read"));
            let why = found.message.trim_end_matches('.').to_owned();
            DeliveryError::Configuration { place: found.place, why }
        };
        let config = read_config(files).map_err(|found| unreadable(found.into_iter().next()))?;
        let redirects = Redirects::parse(files).map_err(|found| unreadable(found.into_iter().next()))?;
        let retrieval = Config::parse(files).map_err(|found| unreadable(found.into_iter().next()))?;
        Site::configured(files).map_err(|found| unreadable(Some(found)))?;
        let (contracts, _) = ContractSet::load(files);
        let (views, _) = Views::parse(files, &contracts);
        let locales = Locales::new(&config.locales);
        let indexed = indexed(&contracts, &views);
        let mut queries = Files::new();
        for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("queries/")) {
            // It was in a set of files before, so it fits into one.
            let _ = queries.insert(path, bytes.to_vec());
        }
        let mut gateway = Files::new();
        for (path, bytes) in files.iter().filter(|(path, _)| GATEWAY.iter().any(|s| path.starts_with(s))) {
            let _ = gateway.insert(path, bytes.to_vec());
        }
        let mut site_files = Files::new();
        for (path, bytes) in files.iter().filter(|(path, _)| SITE.iter().any(|s| path.starts_with(s))) {
            let _ = site_files.insert(path, bytes.to_vec());
        }
        Ok(Self {
            digest,
            config,
            contracts,
            views,
            locales,
            indexed,
            redirects,
            retrieval,
            routers: Mutex::default(),
            queries,
            graph: OnceLock::new(),
            gateway,
            site_files,
            site: OnceLock::new(),
        })
    }

    /// What chooses the indexes of a query in a locale.
    pub(crate) fn router(&self, locale: &str) -> Arc<Router> {
        let mut routers = self.routers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routers.get(locale) {
            return known.clone();
        }
        // Locales are those of the project, so there are few.
        let made = Arc::new(Router::new(&self.retrieval.routes, locale));
        routers.insert(locale.to_owned(), made.clone());
        made
    }

    /// The GraphQL schema with the persisted documents.
    pub fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::compile(&self.queries, &self.contracts, &self.views).0)
    }

    /// Whether the GraphQL schema is read already.
    pub(crate) fn has_graph(&self) -> bool {
        self.graph.get().is_some()
    }

    /// Whether the site is read already, or there is none.
    pub(crate) fn has_site(&self) -> bool {
        self.site.get().is_some() || self.site_files.get("site/site.toml").is_none()
    }

    /// Reads what is otherwise read when it is first asked for, so that no reader waits for it.
    pub fn warm(&self) {
        let _ = (self.graph(), self.site());
    }

    /// The site; `None` when the project has none.
    pub fn site(&self) -> Option<&Site> {
        let made = self.site.get_or_init(|| {
            let has_site = self.site_files.get("site/site.toml").is_some();
            has_site.then(|| Site::load(&self.site_files)).and_then(|loaded| loaded.site)
        });
        made.as_ref()
    }

    /// Reads the definitions of a release from the store: a tree of path → digest of the file's object.
    ///
    /// # Errors
    /// When the tree or a file cannot be read.
    pub fn open(objects: &TenantObjects, root: &Digest) -> Result<Arc<Self>, DeliveryError> {
        let files = read_files(objects, root)?;
        Ok(Arc::new(Self::parse(*root, &files)?))
    }
}

/// What entries of each type can be filtered and sorted by.
pub(crate) fn indexed(
    contracts: &ContractSet,
    views: &Views,
) -> BTreeMap<TypeName, BTreeMap<String, FieldKind>> {
    let mut out: BTreeMap<TypeName, BTreeMap<String, FieldKind>> = BTreeMap::new();
    for contract in contracts.iter().filter(|c| c.is_type()) {
        let fields = out.entry(contract.name.name.clone()).or_default();
        for field in contract.indexed_fields() {
            let kind = match field.kind {
                IndexKind::String => FieldKind::String,
                IndexKind::Number => FieldKind::Number,
                IndexKind::Bool => FieldKind::Bool,
                IndexKind::Strings => FieldKind::Strings,
            };
            fields.insert(field.name.clone(), kind);
        }
    }
    for view in views.iter() {
        if let (Some(field), Some(fields)) = (view.lookup.field(), out.get_mut(&view.source)) {
            fields.entry(field.to_owned()).or_insert(FieldKind::String);
        }
    }
    out
}

/// Reads all files of a definitions tree: path → 32 bytes, the digest of the file's object.
///
/// # Errors
/// When the tree or a file cannot be read, or is not what it should be.
pub fn read_files(objects: &TenantObjects, root: &Digest) -> Result<Files, DeliveryError> {
    let damaged = |why: String| DeliveryError::Definitions { digest: *root, why };
    let mut files = Files::new();
    for item in Tree::open(objects, root)?.prefix(b"") {
        let (path, value) = item?;
        let path = std::str::from_utf8(&path).map_err(|_| damaged("a path is not UTF-8".to_owned()))?;
        let digest: [u8; 32] =
            value.as_ref().try_into().map_err(|_| damaged(format!("`{path}` has no digest")))?;
        let content = objects.get(&Digest::from_bytes(digest))?;
        files.insert(path, content.to_vec()).map_err(|e| damaged(e.to_string()))?;
    }
    Ok(files)
}
