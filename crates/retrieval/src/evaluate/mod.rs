//! How good a search is against judged queries.

mod beir;
mod measures;

pub use self::{
    beir::{BeirError, Judged, Part, read_judged},
    measures::{Figures, evaluate, evaluate_with, ndcg, recall},
};
