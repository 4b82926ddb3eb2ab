//! When each entry was last changed, as a tree beside the snapshot: a sitemap says so without walking the history.

use ashlar_model::{MODIFIED, OTHERS, modified_value};
use ashlar_store::{Batch, Tree};

use super::derived::{Built, Derive, DeriveInput, Derived, Form, Names};
use crate::ReleaseError;

/// The tree of times. Its cost is that of what differs from the earlier release.
pub(crate) struct Modified;

const ABOUT: Derived = Derived {
    name: MODIFIED,
    form: Form { format: 1, names: Names::Nothing },
    built: Built::WithCandidate,
    // Only the file knows when its entries were changed.
    imported: true,
};

impl Derive for Modified {
    fn about(&self) -> Derived {
        ABOUT
    }

    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError> {
        let at = |seconds: i64| Some(modified_value(seconds));
        let now = input.at.as_second();
        let Some(earlier) = input.earlier else {
            return Ok(Tree::empty().apply(&[(OTHERS.to_vec(), at(now))], batch)?);
        };
        let mut edits = Vec::new();
        let before = input.before(&ABOUT)?.unwrap_or_else(|| {
            edits.push((OTHERS.to_vec(), at(earlier.released_at.as_second())));
            Tree::empty()
        });
        for change in earlier.snapshot.diff(input.snapshot) {
            let change = change?;
            edits.push((change.key.to_vec(), change.new.and_then(|_| at(now))));
        }
        Ok(before.apply(&edits, batch)?)
    }
}
