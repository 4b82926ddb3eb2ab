//! One file per format, in each a list of generators.

pub mod bundles;
mod consumers;
mod contracts;
mod css;
mod graphql;
mod images;
mod json;
mod markdown;
mod redirects;
mod requests;
mod templates;
mod text;
mod tokens;
mod toml;
mod yaml;

use super::corpus::Generator;

/// The generators of every format.
pub const ALL: [&[Generator]; 14] = [
    templates::ALL,
    yaml::ALL,
    toml::ALL,
    json::ALL,
    markdown::ALL,
    contracts::ALL,
    tokens::ALL,
    graphql::ALL,
    images::ALL,
    css::ALL,
    redirects::ALL,
    bundles::ALL,
    consumers::ALL,
    requests::ALL,
];
