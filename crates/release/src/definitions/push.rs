//! Pushing definitions: files become the working definitions of a tenant.

use ashlar_model::{Digest, Files, Right};
use ashlar_store::sql::DefinitionsRow;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::write_files;
use crate::{Action, ReleaseError, Scope, engine::action::Record};

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
        let before = rows.working_definitions().await?;
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
