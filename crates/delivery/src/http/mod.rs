//! Requests, answers and problems as HTTP has them; knows neither releases nor stores.

pub(crate) mod answer;
pub(crate) mod encoding;
pub(crate) mod message;
pub(crate) mod pace;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod trace;
