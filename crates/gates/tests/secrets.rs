//! Secrets of webhooks: sealed in the database, with a key that is not there.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, sync::Arc};

use ashlar_gates::Checker;
use ashlar_model::{Actor, TenantId};
use ashlar_release::{CreateWebhook, Ctx, Engine, EventFilter, Location, ReleaseError, RotateSecret};

async fn open(dir: &Path) -> (Engine, Ctx) {
    let engine = Engine::open(&Location::embedded(dir), Arc::new(Checker::new())).await.unwrap();
    (engine, Ctx::new(TenantId::main(), Actor::local("tester")).unwrap())
}

async fn create(engine: &Engine, ctx: &Ctx) -> Result<(String, String), ReleaseError> {
    let create = CreateWebhook { url: "https://example.com/".to_owned(), filter: EventFilter::default() };
    let made = engine.run(ctx, create).await?;
    Ok((made.view.id, made.secret))
}

async fn signing(engine: &Engine, ctx: &Ctx, id: &str) -> Result<Vec<String>, ReleaseError> {
    Ok(engine.round(&ctx.tenant, id, 10).await?.unwrap().secrets)
}

#[tokio::test]
async fn what_is_stored_is_sealed_and_still_signs() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, ctx) = open(dir.path()).await;
    assert!(!dir.path().join("secrets.key").exists(), "no key before there is a secret");
    let (id, secret) = create(&engine, &ctx).await.unwrap();
    assert_eq!(signing(&engine, &ctx, &id).await.unwrap(), std::slice::from_ref(&secret));
    let rotated = engine.run(&ctx, RotateSecret { id: id.clone() }).await.unwrap().secret;
    assert_eq!(signing(&engine, &ctx, &id).await.unwrap(), [rotated.clone(), secret.clone()]);
    let stored = engine.db().webhook_secrets().await.unwrap();
    assert!(stored[0].secret.starts_with("sealed:1:"), "{stored:?}");
    assert!(stored[0].previous.as_ref().unwrap().starts_with("sealed:1:"), "{stored:?}");
    engine.close().await;
    for file in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap_or_default();
        let bytes = String::from_utf8_lossy(&bytes);
        assert!(!bytes.contains("whsec_") && !bytes.contains(&secret[6..]), "{file}");
    }

    // What was stored before secrets were sealed is sealed at the next start.
    let (engine, ctx) = open(dir.path()).await;
    let mut tx = engine.db().write(&ctx.tenant).await.unwrap();
    let row = tx.rows().webhook(&id).await.unwrap().unwrap();
    let plain = ashlar_store::sql::WebhookRow { secret: rotated.clone(), ..row };
    tx.rows().update_webhook(&plain).await.unwrap();
    tx.commit().await.unwrap();
    engine.close().await;
    let (engine, ctx) = open(dir.path()).await;
    let stored = engine.db().webhook_secrets().await.unwrap();
    assert!(stored[0].secret.starts_with("sealed:1:"), "{stored:?}");
    assert_eq!(signing(&engine, &ctx, &id).await.unwrap(), [rotated.clone(), secret.clone()]);
    engine.close().await;

    // A new key before the old one: everything is sealed with the new one, and the old one may go.
    let file = dir.path().join("secrets.key");
    let old = std::fs::read_to_string(&file).unwrap();
    let new = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n";
    std::fs::write(&file, format!("{new}{old}")).unwrap();
    let (engine, _) = open(dir.path()).await;
    engine.close().await;
    std::fs::write(&file, new).unwrap();
    let (engine, ctx) = open(dir.path()).await;
    assert_eq!(signing(&engine, &ctx, &id).await.unwrap(), [rotated, secret]);
    engine.close().await;

    // Without its key nothing is made in its place: the backup has to come back.
    std::fs::remove_file(&file).unwrap();
    let (engine, ctx) = open(dir.path()).await;
    for error in [
        signing(&engine, &ctx, &id).await.unwrap_err(),
        create(&engine, &ctx).await.unwrap_err(),
        engine.run(&ctx, RotateSecret { id: id.clone() }).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "secrets-key", "{error}");
        assert!(error.help().contains("secrets.key"), "{}", error.help());
        assert!(!error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }
    assert!(!file.exists());
}
