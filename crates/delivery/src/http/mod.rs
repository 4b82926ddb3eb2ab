//! Requests, answers and problems as HTTP has them; knows neither releases nor stores.

pub(crate) mod message;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod trace;
