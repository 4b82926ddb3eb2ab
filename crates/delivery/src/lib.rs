//! Delivery: what clients read of a release.
//!
//! A [`ReleaseView`] is an opened release: definitions parsed once, the snapshot tree, the look-up tree. [`write_answer`]
//! answers a request from it and from nothing else; it knows no sockets and no SQL, so every door gives the same bytes.

mod answer;
mod body;
mod compose;
mod definitions;
mod error;
pub mod graphql;
mod list;
mod locales;
pub mod lookup;
mod message;
mod openapi;
mod pages;
mod pick;
mod problem;
mod purge;
mod query;
mod ready;
mod release_view;
mod respond;
mod site;
mod trace;
pub mod value;
pub mod views;

pub use answer::{
    answer, busy, share_answer, share_graphql, write_answer, write_graphql, write_problem, write_quick,
};
pub use body::{CacheCounts, Caches, Encoding};
pub use definitions::{Definitions, FieldKind, read_files};
pub use error::DeliveryError;
pub use openapi::openapi;
pub use pages::{PAGE_POLICY, PageAt, Rendered};
pub use problem::Problem;
pub use purge::{Purge, purge_between, purge_dates};
pub use release_view::{ReleaseRoots, ReleaseView};
pub use respond::{Answer, GRAPHQL, Quick, RequestParts, Written};
pub use site::feed_findings;
pub use trace::Traceparent;
