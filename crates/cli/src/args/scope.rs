//! What part of a release `search` and `ask` look at.

use clap::Args;

use crate::error::CliError;

/// What is searched.
#[derive(Debug, Args)]
pub struct Scope {
    /// A channel, a release, a candidate or `draft`. The public channel by default.
    #[arg(long, value_name = "WHAT")]
    pub of: Option<String>,
    /// The language.
    #[arg(long)]
    pub locale: Option<String>,
    /// An index. Repeat it for several.
    #[arg(long = "index", value_name = "NAME")]
    pub indexes: Vec<String>,
    /// A content type. Repeat it for several.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// An attribute of `retrieval.toml`, such as `region=eu`, or `version=2.3.1`.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// Search as this reader of `retrieval.toml`. With --server the key decides.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    pub reader: Option<String>,
}

impl Scope {
    /// The filters as pairs of name and value.
    ///
    /// # Errors
    ///
    /// Returns an error if one is not written as `name=value`.
    pub fn filters<'a>(&'a self) -> Result<Vec<(&'a str, &'a str)>, CliError> {
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        let pair = |filter: &'a String| {
            filter.split_once('=').filter(|(name, _)| is_name(name)).ok_or_else(|| {
                CliError::input(format!("`{filter}` is not a filter"), "write it like --filter region=eu")
            })
        };
        self.filters.iter().map(pair).collect()
    }
}
