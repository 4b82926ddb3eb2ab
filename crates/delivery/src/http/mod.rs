//! Requests, answers and problems as HTTP has them; knows neither releases nor stores.

mod answer;
mod encoding;
mod message;
mod pace;
mod problem;
pub(crate) mod query;
mod request;
mod trace;

pub use answer::{Answer, Quick};
pub use encoding::Encoding;
pub(crate) use encoding::{COMPRESS_BYTES_MAX, COMPRESS_BYTES_MIN, quality};
pub use message::Written;
pub(crate) use message::{CACHE_CONTROL, CACHE_CONTROL_PRIVATE, EVERY_ORIGIN, Out, matches_etag};
pub(crate) use pace::{Heavy, Pace};
pub use problem::{Problem, busy};
pub use request::{GRAPHQL, RequestParts};
pub(crate) use request::{cut, decoded};
pub use trace::Traceparent;
