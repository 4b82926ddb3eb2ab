//! What crawlers and front ends ask of a release besides content: which entry a path shows, where old paths lead, the
//! sitemap, feeds.

mod answer;
mod document;
mod feed;
mod routes;
mod sitemap;

pub(crate) use answer::answer;
pub use feed::feed_findings;
