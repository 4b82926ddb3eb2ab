//! Writes every reference of the contracts as a file and a JSON pointer. Behind this nobody knows of `$id`, anchors and
//! dynamic references: all that they can mean is decided here, because every schema is at hand.
//!
//! A `$dynamicRef` means another place depending on the schemas that led to it. Where that makes a difference, the schema
//! is copied into the `$defs` of the contract, once for each meaning.

mod index;
mod writer;

use crate::refs::Documents;
use index::{Index, Wrong};
use writer::Writer;

/// The most bytes of all copies of a project.
const COPIED_BYTES_MAX: usize = 8 << 20;

/// Writes every reference of all files in one way, and removes what would change where they lead.
pub(crate) fn settle(documents: &mut Documents) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let index = Index::of(documents, &mut wrong);
    let mut settled = Documents::new();
    let mut bytes_left = COPIED_BYTES_MAX;
    for (file, schema) in &*documents {
        let Some(root) = index.by_file.get(file).copied() else { continue };
        let (out, of_file) = Writer::new(&index, file, &mut bytes_left).contract(documents, schema, root);
        wrong.extend(of_file);
        settled.insert(file.clone(), out);
    }
    *documents = settled;
    wrong
}
