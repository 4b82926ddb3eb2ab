//! Sealing what is stored.

use ashlar_model::TenantId;

use super::secrets::{SEALED, Secrets, is_sealed, missing};
use crate::{Engine, ReleaseError};

impl Engine {
    /// Seals a secret of a webhook for the database. Makes a key when there is none and nothing was sealed before.
    pub(crate) async fn seal(
        &self,
        tenant: &TenantId,
        id: &str,
        plain: &str,
    ) -> Result<String, ReleaseError> {
        let keys = match self.secrets().load()? {
            Some(keys) => keys,
            None => {
                let stored = self.db().webhook_secrets().await?;
                let older = stored.iter().flat_map(|s| std::iter::once(&s.secret).chain(&s.previous));
                if let Some(name) = older.filter_map(|s| s.strip_prefix(SEALED)?.split(':').next()).next() {
                    return Err(missing(name));
                }
                self.secrets().make()?;
                self.secrets().load()?.ok_or_else(|| ReleaseError::Task("the key is missing".to_owned()))?
            }
        };
        let first = keys.first().ok_or_else(|| ReleaseError::Task("there is no key".to_owned()))?;
        Secrets::seal_with(first, tenant, id, plain)
    }

    /// Seals what was stored before secrets were sealed, or with an older key.
    pub(crate) async fn seal_stored(&self) -> Result<(), ReleaseError> {
        for stored in self.db().webhook_secrets().await? {
            let keys = match self.secrets().load() {
                Ok(keys) => keys,
                Err(error) => {
                    tracing::warn!(%error, help = error.help(), "secrets of webhooks are not encrypted again");
                    return Ok(());
                }
            };
            let due = |s: &str| !is_sealed(s) || keys.as_ref().is_some_and(|k| Secrets::is_older(k, s));
            if !due(&stored.secret) && !stored.previous.as_deref().is_some_and(due) {
                continue;
            }
            let again = async |text: &str| -> Result<String, ReleaseError> {
                let plain = self.secrets().open(&stored.tenant, &stored.id, text)?;
                self.seal(&stored.tenant, &stored.id, &plain).await
            };
            let sealed = async {
                let secret = again(&stored.secret).await?;
                let previous = match &stored.previous {
                    Some(previous) => Some(again(previous).await?),
                    None => None,
                };
                Ok::<_, ReleaseError>((secret, previous))
            };
            match sealed.await {
                Ok((secret, previous)) => {
                    let mut tx = self.db().write(&stored.tenant).await?;
                    tx.rows().reseal(&stored, &secret, previous.as_deref()).await?;
                    tx.commit().await?;
                    tracing::info!(tenant = %stored.tenant, webhook = stored.id, "the secret of a webhook was sealed");
                }
                Err(error) => {
                    tracing::error!(tenant = %stored.tenant, webhook = stored.id, %error, help = error.help(),
                        "the secret of a webhook cannot be sealed");
                }
            }
        }
        Ok(())
    }
}
