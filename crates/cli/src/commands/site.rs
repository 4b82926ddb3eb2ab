//! `site`: the pages of a release as files.

mod export;

use std::{collections::BTreeMap, sync::Arc};

use ashlar_delivery::{Caches, ReleaseRoots, ReleaseView};
use ashlar_model::{Digest, MODIFIED};
use ashlar_release::{At as What, PreviewDrafts};
use serde_json::json;

use crate::{
    args::{Format, SiteCommand},
    backend::{Backend, Local},
    error::{CliError, Done, done},
    output, words,
};

pub async fn site(command: SiteCommand) -> Done {
    let SiteCommand::Export { dir, of, at } = command;
    let Backend::Local(local) = Backend::open(&at).await? else {
        return Err(CliError::input(
            "a site is exported where its data is",
            "give --data instead of --server",
        ));
    };
    let view = open(&local, of.as_deref()).await?;
    let written = tokio::task::spawn_blocking(move || export::export(&view, &dir).map(|w| (w, dir)))
        .await
        .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
    let (written, dir) = written?;
    if at.format == Format::Json {
        output::print_json(&json!({
            "dir": dir, "pages": written.pages, "files": written.files, "written": written.written,
            "unchanged": written.files - written.written, "removed": written.removed, "bytes": written.bytes,
            "took_ms": written.took_ms,
        }));
        return done();
    }
    output::line(format!(
        "{} in {}: {} written, {} unchanged, {} deleted, {:.0} ms",
        words::count(written.pages, "page", "pages"),
        words::count(written.files, "file", "files"),
        written.written,
        written.files - written.written,
        written.removed,
        written.took_ms
    ));
    done()
}

/// Opens what a channel, a release, a candidate or drafts show; the public channel when nothing is named.
pub(super) async fn open(local: &Local, of: Option<&str>) -> Result<Arc<ReleaseView>, CliError> {
    let (engine, ctx) = (&local.engine, &local.ctx);
    let objects = engine.tenant_objects(&ctx.tenant);
    let none = |what: &str| {
        CliError::input(format!("nothing is released on {what}"), "create a candidate and promote it")
    };
    let broken = |e: ashlar_delivery::DeliveryError| {
        CliError::new(3, "unreadable", e.to_string(), "`ashlar release verify` shows what is damaged")
    };
    let what: What = match of {
        Some(of) => of.parse().map_err(|e: String| CliError::input(e, ""))?,
        None => {
            let channels = engine.channels(ctx).await?;
            let mut public = None;
            for channel in &channels {
                let name = &channel.channel;
                if let Some(state) = engine.channel_state(&ctx.tenant, name).await? {
                    let definitions =
                        ashlar_delivery::Definitions::open(&objects, &state.definitions).map_err(broken)?;
                    public = Some(definitions.config.channels.public.clone());
                    break;
                }
            }
            What::Channel(public.ok_or_else(|| none("any channel"))?)
        }
    };
    let mut label = what.to_string();
    let (snapshot, definitions, derived): (Digest, Digest, BTreeMap<String, Digest>) = match &what {
        What::Channel(name) => {
            let state = engine.channel_state(&ctx.tenant, name).await?.ok_or_else(|| none(&label))?;
            label = state.release.to_string();
            (state.snapshot, state.definitions, state.derived)
        }
        What::Release(id) => {
            let found = engine.release_roots(ctx, *id).await?;
            (found.snapshot, found.definitions, found.derived)
        }
        What::Candidate(id) => {
            let frozen = engine.candidate_roots(ctx, *id).await?;
            (frozen.snapshot, frozen.definitions, frozen.derived)
        }
        What::Draft | What::Changeset(_) => {
            let changeset = match &what {
                What::Changeset(name) => Some(name.clone()),
                _ => None,
            };
            let drafts = local.run(PreviewDrafts { changeset }).await?;
            (drafts.snapshot, drafts.definitions, drafts.derived)
        }
    };
    let lookup = *derived.get("lookup").ok_or_else(|| none(&label))?;
    let root = |name: &str| derived.get(name).copied();
    let (modified, search, meaning) = (root(MODIFIED), root("search"), root("meaning"));
    let roots = ReleaseRoots { label, snapshot, definitions, lookup, modified, search, meaning };
    ReleaseView::open(&objects, &roots, None, &Caches::default().with_models(local.models.clone()))
        .map_err(broken)
}
