//! Delivery: what clients read of a release.
//!
//! A [`ReleaseView`] is an opened release: definitions parsed once, the snapshot tree, the look-up tree. [`share_answer`]
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
pub mod search;
mod site;
pub mod views;

pub use cache::{CacheCounts, Caches};
pub use crawl::feed_findings;
pub use error::DeliveryError;
pub use http::{Answer, Encoding, GRAPHQL, Problem, Quick, RequestParts, Traceparent, Written, busy};
pub use read::answers::{
    ANSWERS, ASKED_BYTES_MAX, Answered, Asked, Asker, Citation, Grounds, OneOrMany, QuestionBody, Refused,
    Retrieved,
};
pub use read::search::{CLICKS, ClickBody, Facets, ResultHit, Results, Snippet, Suggestions};
pub use release::{
    Definitions, FieldKind, Purge, ReleaseRoots, ReleaseView, openapi, purge_between, purge_dates, read_files,
};
pub use router::{answer, share_answer, share_posted, write_problem, write_quick};
pub use site::{PAGE_POLICY, PageAt, Rendered};
