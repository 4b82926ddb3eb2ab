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

/// `open` n times, something, `close` n times.
fn nested(open: &str, inner: &str, close: &str, n: usize) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

/// `n` pieces that know their number, joined.
fn pieces(n: usize, separator: &str, piece: impl Fn(usize) -> String) -> String {
    (0..n).map(piece).collect::<Vec<_>>().join(separator)
}
