//! The kinds of derived trees that an installation has.

use std::iter::once;

use super::{derived::Derive, modified::Modified};
use crate::Judge;

/// Every kind of tree that is derived from releases.
pub(crate) fn kinds(judge: &dyn Judge) -> impl Iterator<Item = &dyn Derive> {
    once(&Modified as &dyn Derive).chain(judge.derives())
}
