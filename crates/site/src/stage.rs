use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::intents::Intents;

/// Hears which template is worked on.
pub type Note = Arc<dyn Fn(&str) + Send + Sync>;

/// Everything templates need beside what a page shows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// Source by path.
    pub(crate) templates: BTreeMap<String, String>,
    /// The template of a component by surface.
    pub(crate) components: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) intents: Intents,
    pub(crate) icons: BTreeMap<String, String>,
    /// Address by path: `assets/logo.svg` → `/assets/…/logo.svg`.
    pub(crate) addresses: BTreeMap<String, String>,
    pub(crate) words: BTreeMap<String, Json>,
    pub(crate) title: String,
}

/// One component in one state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Drawn {
    pub(crate) file: String,
    pub(crate) props: Json,
    pub(crate) locale: String,
    pub(crate) surface: String,
}
