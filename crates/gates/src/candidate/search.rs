//! The trees of a search, as kinds of derived data.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_delivery::search::{self, Learned, MeaningInput, SearchRules};
use ashlar_model::{Digest, Files};
use ashlar_release::{
    ReleaseError,
    derived::{self, Built, Derive, DeriveInput, Derived, Form, Names},
};
use ashlar_retrieval::{
    config::Embedder,
    models::{Models, NoModels},
};
use ashlar_store::{Batch, TenantObjects, Tree};

use crate::{
    GateError,
    definitions::{Definitions, cache::DefinitionsCache},
};

/// The segments of what is searched. They come with the candidate, unless an entry cannot be read.
const SEARCH: Derived = Derived {
    name: "search",
    form: Form { format: 1, names: Names::Objects },
    built: Built::WhenQuick,
    imported: false,
};

/// What words mean, and the vectors of the segments.
const MEANING: Derived = Derived {
    name: "meaning",
    form: Form { format: 1, names: Names::Objects },
    built: Built::WhenQuick,
    imported: false,
};

/// Search trees that are remembered: those of open candidates and of what channels serve.
const KEPT_MAX: usize = 64;
/// Trees of which the parts in memory are kept, because they may not be stored yet.
const RECENT_MAX: usize = 8;

/// A search tree that was made.
struct Kept {
    snapshot: Digest,
    rules: Digest,
    root: Digest,
    /// How often objects had been removed before it was made.
    removals: u64,
}

/// Search trees that were made.
#[derive(Default)]
struct Made {
    kept: VecDeque<Kept>,
    recent: VecDeque<Tree>,
}

/// Builds search trees.
pub(super) struct SearchKind {
    definitions: Arc<DefinitionsCache>,
    made: Mutex<Made>,
}

/// Builds trees of meaning, from search trees.
pub(super) struct MeaningKind {
    definitions: Arc<DefinitionsCache>,
    search: Arc<SearchKind>,
    learned: Learned,
    pub(super) models: Arc<dyn Models>,
}

impl SearchKind {
    pub(super) fn new(definitions: Arc<DefinitionsCache>) -> Self {
        Self { definitions, made: Mutex::default() }
    }

    /// The search tree of a snapshot. Nothing may name one that is remembered, so it counts only while nothing was removed.
    fn tree(
        &self,
        (objects, snapshot): (&TenantObjects, &Tree),
        definitions: &Definitions,
        earlier: Option<(&Tree, &Tree)>,
        batch: &mut Batch,
    ) -> Result<Tree, ReleaseError> {
        let rules = SearchRules::new(&definitions.contracts, &definitions.retrieval);
        let (snapshot_root, rules_digest, removals) = (snapshot.root(), *rules.digest(), objects.removals());
        let known = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |k: &&Kept| k.snapshot == snapshot_root && k.rules == rules_digest;
            made.kept.iter().find(same).filter(|k| k.removals == removals).map(|k| k.root)
        };
        if let Some(root) = known.filter(|root| objects.is_stored(root)) {
            return Ok(Tree::open(objects, &root)?);
        }
        let tree = search::derive(earlier, &rules, objects, snapshot, batch).map_err(GateError::from)?;
        let tree = derived::formed(&SEARCH, tree, batch)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.kept.retain(|k| k.snapshot != snapshot_root || k.rules != rules_digest);
        made.kept.push_front(Kept {
            snapshot: snapshot_root,
            rules: rules_digest,
            root: tree.root(),
            removals,
        });
        made.kept.truncate(KEPT_MAX);
        made.recent.retain(|recent| *recent != tree);
        made.recent.push_front(tree.clone());
        made.recent.truncate(RECENT_MAX);
        Ok(tree)
    }

    /// The search tree with this root, also one that is not stored yet.
    fn at(&self, objects: &TenantObjects, root: &Digest) -> Result<Tree, ReleaseError> {
        let recent = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.recent.iter().find(|recent| recent.root() == *root).cloned()
        };
        match recent.filter(|_| !objects.is_stored(root)) {
            Some(recent) => Ok(recent),
            None => Ok(Tree::open(objects, root)?),
        }
    }
}

impl Derive for SearchKind {
    fn about(&self) -> Derived {
        SEARCH
    }

    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError> {
        let before = input.before(&SEARCH)?;
        let earlier = before.as_ref().zip(input.earlier.map(|earlier| earlier.snapshot));
        let definitions = self.definitions.get(input.definitions);
        self.tree((input.objects, input.snapshot), &definitions, earlier, batch)
    }

    fn build_quick(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Option<Tree>, ReleaseError> {
        // Gates say what is wrong with a damaged entry. A segment reads entries beside it, which must not stop others.
        Ok(self
            .build(input, batch)
            .inspect_err(|error| tracing::warn!(%error, "an index is built later"))
            .ok())
    }
}

impl MeaningKind {
    pub(super) fn new(definitions: Arc<DefinitionsCache>, search: Arc<SearchKind>) -> Self {
        Self { definitions, search, learned: Learned::default(), models: Arc::new(NoModels) }
    }

    fn made(
        &self,
        input: &DeriveInput<'_>,
        quick: bool,
        batch: &mut Batch,
    ) -> Result<Option<Tree>, ReleaseError> {
        let search = match input.derived.get(SEARCH.name) {
            Some(root) => self.search.at(input.objects, root)?,
            None if quick => return Ok(None),
            None => self.search.build(input, batch)?,
        };
        let definitions = self.definitions.get(input.definitions);
        let (earlier, earlier_search) = (input.before(&MEANING)?, input.before(&SEARCH)?);
        let rules = SearchRules::new(&definitions.contracts, &definitions.retrieval);
        let made = MeaningInput {
            search: &search,
            rules: &rules,
            snapshot: input.snapshot,
            models: &*self.models,
            earlier: earlier.as_ref(),
            earlier_search: earlier_search.as_ref(),
            quick,
            learned: &self.learned,
        };
        Ok(search::derive_meaning(&made, batch).map_err(GateError::from)?)
    }
}

impl Derive for MeaningKind {
    fn about(&self) -> Derived {
        MEANING
    }

    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError> {
        // Only what must be quick is left for later.
        Ok(self.made(input, false, batch)?.unwrap_or_else(Tree::empty))
    }

    fn build_quick(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Option<Tree>, ReleaseError> {
        // A model that fails must not keep anybody from publishing.
        Ok(self
            .made(input, true, batch)
            .inspect_err(|error| tracing::warn!(%error, "vectors are built later"))
            .unwrap_or_default())
    }

    fn is_current(
        &self,
        objects: &TenantObjects,
        tree: &Tree,
        definitions: &Arc<Files>,
    ) -> Result<bool, ReleaseError> {
        let definitions = self.definitions.get(definitions);
        let Embedder::Model(named) = &definitions.retrieval.embedder else { return Ok(true) };
        // A node that cannot ask the model leaves what another one built.
        let Ok(model) = self.models.model(named.kind, &named.name) else { return Ok(true) };
        let built = search::model_in(tree, objects).map_err(GateError::from)?;
        Ok(built.is_none_or(|built| built == model.id))
    }
}
