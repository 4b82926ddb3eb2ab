//! Delivery: what clients read of a release.
//!
//! A [`ReleaseView`] is an opened release: definitions parsed once, the snapshot tree, the look-up tree. [`write_answer`]
//! answers a request from it and from nothing else; it knows no sockets and no SQL, so every door gives the same bytes.

mod cache;
mod crawl;
mod error;
pub mod graphql;
mod http;
pub mod lookup;
mod read;
mod release;
mod router;
mod site;
pub mod views;

pub use cache::{CacheCounts, Caches, Encoding};
pub use crawl::feed_findings;
pub use error::DeliveryError;
pub use http::{problem::Problem, trace::Traceparent};
pub use read::entry::{Answer, GRAPHQL, Quick, RequestParts, Written};
pub use release::{
    definitions::{Definitions, FieldKind, read_files},
    openapi::openapi,
    purge::{Purge, purge_between, purge_dates},
    view::{ReleaseRoots, ReleaseView},
};
pub use router::{
    answer, busy, share_answer, share_graphql, write_answer, write_graphql, write_problem, write_quick,
};
pub use site::{PAGE_POLICY, PageAt, Rendered};
