use std::collections::BTreeMap;

use ashlar_model::TypeName;
use serde::Deserialize;
use serde_json::Value;

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
