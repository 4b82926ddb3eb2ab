use std::collections::BTreeMap;

use ashlar_model::{Files, Finding, TypeName};
use serde::Deserialize;
use serde_json::Value;

use crate::components::toml_error;

/// Where it says which pages there are.
pub(crate) const SITE_FILE: &str = "site/site.toml";

/// `site/site.toml`: which pages there are, and what they are made with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFile {
    /// The name of the site.
    pub title: String,
    /// The route of the first page, with `{locale}`.
    #[serde(default = "home")]
    pub home: String,
    /// How entries with a route are shown, by type.
    #[serde(default, rename = "page")]
    pub pages: Vec<PageRule>,
    /// Pages that list entries.
    #[serde(default, rename = "list")]
    pub lists: Vec<ListRule>,
    /// Bodies that every page gets, such as its navigation.
    #[serde(default)]
    pub data: BTreeMap<String, DataRule>,
    /// The layout of the page that says that nothing is there.
    #[serde(default)]
    pub not_found: Option<String>,
    /// The route and layout of the search page.
    #[serde(default)]
    pub search: Option<SearchRule>,
    /// Words of the layouts, by locale.
    #[serde(default)]
    pub texts: BTreeMap<String, Value>,
}

fn home() -> String {
    "/{locale}".to_owned()
}

impl Default for SiteFile {
    /// That of a project without pages.
    fn default() -> Self {
        Self {
            title: String::new(),
            home: home(),
            pages: Vec::new(),
            lists: Vec::new(),
            data: BTreeMap::new(),
            not_found: None,
            search: None,
            texts: BTreeMap::new(),
        }
    }
}

impl SiteFile {
    /// Reads it; `None` when the project has none.
    pub(crate) fn read(files: &Files) -> Result<Option<Self>, Finding> {
        match files.text(SITE_FILE) {
            Ok(None) => Ok(None),
            Ok(Some(text)) => {
                toml::from_str(text).map(Some).map_err(|e| toml_error("site-form", SITE_FILE, text, &e))
            }
            Err(e) => Err(Finding::error("site-form", SITE_FILE, e.to_string())),
        }
    }
}

/// How entries of a type are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRule {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The view whose body is shown, such as `pages.v1`.
    pub view: String,
    /// The layout under `site/layouts/`.
    pub layout: String,
}

/// A page that lists entries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRule {
    /// Its route, with `{locale}`.
    pub route: String,
    /// The type of the entries.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The view whose bodies are shown.
    pub view: String,
    /// An indexed field, with `-` before it for the greatest first.
    pub sort: String,
    /// The layout under `site/layouts/`.
    pub layout: String,
}

/// A body that every page gets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRule {
    /// The view.
    pub view: String,
    /// What is looked up in it.
    pub key: String,
}

/// The search page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRule {
    /// Its route, with `{locale}`.
    pub route: String,
    /// The layout under `site/layouts/`.
    pub layout: String,
}
