//! Pushing definitions: files become the working definitions of a tenant.

use std::collections::BTreeMap;

use ashlar_model::{Digest, Files, Right};
use ashlar_store::{Batch, TenantObjects, Tree, sql::DefinitionsRow};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Action, ReleaseError, Scope, engine::installation::Record};

/// Makes `files` the working definitions.
pub struct PushDefinitions {
    /// The definition files.
    pub files: Files,
}

/// The outcome of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pushed {
    /// The root of the definitions tree.
    pub definitions: Digest,
    /// Whether anything differs from what was pushed before.
    pub changed: bool,
    /// How many files there are.
    pub files: usize,
}

#[async_trait]
impl Action for PushDefinitions {
    type Output = Pushed;
    const NAME: &'static str = "definitions.push";

    fn right(&self) -> Right {
        Right::Define
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Pushed, ReleaseError> {
        let (judge, objects) = (scope.engine.judge().clone(), scope.objects());
        let _hold = scope.rely().await?;
        let (root, batch, files) = scope
            .heavy(move || {
                judge.rules(&self.files).map_err(|findings| ReleaseError::Invalid {
                    message: "these definitions cannot be used".to_owned(),
                    findings,
                    help: "`ashlar check` shows everything that is wrong with them".to_owned(),
                })?;
                let mut batch = objects.batch();
                let root = write_files(&self.files, &mut batch)?;
                Ok((root, batch, self.files.len()))
            })
            .await?;
        scope.objects().commit(batch).await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let before = rows.definitions().await?;
        if before.is_some_and(|b| b.digest == root) {
            return Ok(Pushed { definitions: root, changed: false, files });
        }
        let sequence = rows.next("definitions").await?;
        rows.insert_definitions(&DefinitionsRow {
            sequence,
            digest: root,
            author: scope.actor().to_owned(),
            pushed_at: scope.at.clone(),
        })
        .await?;
        let data = json!({"definitions": root, "files": files});
        scope.commit(tx, Record::one("definition.changed", format!("definitions/{sequence}"), data)).await?;
        Ok(Pushed { definitions: root, changed: true, files })
    }
}

/// Writes a definitions tree: path → digest of the file's bytes.
pub(crate) fn write_files(files: &Files, batch: &mut Batch) -> Result<Digest, ReleaseError> {
    let edits: Vec<_> = files
        .iter()
        .map(|(path, bytes)| {
            let digest = batch.put(bytes.to_vec());
            (path.as_bytes().to_vec(), Some(digest.as_bytes().to_vec()))
        })
        .collect();
    Ok(Tree::empty().apply(&edits, batch)?.root())
}

/// The files of a definitions tree with their digests.
pub(crate) fn file_digests(
    objects: &TenantObjects,
    root: &Digest,
) -> Result<BTreeMap<String, Digest>, ReleaseError> {
    let damaged = |why: &str| ReleaseError::Corrupt {
        what: format!("definitions {}", root.short()),
        why: why.to_owned(),
    };
    Tree::open(objects, root)?
        .prefix(b"")
        .map(|item| {
            let (path, digest) = item?;
            let path = String::from_utf8(path.to_vec()).map_err(|_| damaged("a path is not text"))?;
            let digest = <[u8; 32]>::try_from(&digest[..]).map_err(|_| damaged("a value is not a digest"))?;
            Ok((path, Digest::from_bytes(digest)))
        })
        .collect()
}

/// Reads a definitions tree.
pub(crate) fn read_files(objects: &TenantObjects, root: &Digest) -> Result<Files, ReleaseError> {
    let mut files = Files::new();
    for (path, digest) in file_digests(objects, root)? {
        let bytes = objects.get(&digest)?;
        if Digest::of(&bytes) != digest {
            let what = format!("definition file `{path}`");
            return Err(ReleaseError::Corrupt {
                what,
                why: "its bytes are not those of its digest".to_owned(),
            });
        }
        files.insert(&path, bytes.to_vec()).map_err(|e| ReleaseError::Corrupt {
            what: format!("definitions {}", root.short()),
            why: e.to_string(),
        })?;
    }
    Ok(files)
}

impl From<ashlar_model::RecordError> for ReleaseError {
    fn from(e: ashlar_model::RecordError) -> Self {
        Self::Corrupt { what: "a snapshot".to_owned(), why: e.to_string() }
    }
}
