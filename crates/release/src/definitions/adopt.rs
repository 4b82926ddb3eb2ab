//! Revised definitions become the working ones.

use std::collections::BTreeSet;

use ashlar_model::Digest;
use ashlar_store::sql::{DefinitionsRow, Rows};

use crate::{ReleaseError, Scope};

/// Makes revised definitions the working ones, in the transaction that releases them. Who pushed what is not released yet stays an author
/// of it. `served`: what was served before, and what is from then on.
pub(crate) async fn adopt(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    served: (Digest, Digest),
    working: (Digest, Digest),
) -> Result<(), ReleaseError> {
    let mine = |digest: Digest| (digest, scope.actor().to_owned(), scope.at.clone());
    let mut pushed = Vec::new();
    if working.0 != served.0 {
        let mut seen = BTreeSet::new();
        pushed.push(mine(served.1));
        let waiting = rows.pushes_since(Some(&served.0)).await?.into_iter();
        let waiting = waiting.filter(|push| seen.insert(push.author.clone()));
        pushed.extend(waiting.map(|push| (working.0, push.author, push.pushed_at)));
    }
    pushed.push(mine(working.1));
    for (digest, author, pushed_at) in pushed {
        let sequence = rows.next("definitions").await?;
        rows.insert_definitions(&DefinitionsRow { sequence, digest, author, pushed_at }).await?;
    }
    Ok(())
}
