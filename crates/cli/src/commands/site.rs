//! `preview` and `site`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use ashlar_delivery::{
    Answer, Caches, PAGE_POLICY, ReleaseRoots, ReleaseView, RequestParts, Traceparent, answer,
};
use ashlar_model::{Digest, MODIFIED};
use ashlar_release::{At as What, CreatePreview, PreviewDrafts};
use ashlar_server::endpoints::rows;
use serde_json::json;

use super::{Done, done};
use crate::{
    args::{At, Format, SiteCommand},
    backend::{Backend, Local, remembered, value},
    error::CliError,
    hints, output, words,
};

/// What was written last, beside the pages: so that what no longer exists can be deleted and the rest left alone.
const LIST: &str = ".ashlar-site.json";

/// The address under which this installation is served: that of the server that was started last on it, else `[server] listen`
/// with the host that a browser on this machine uses.
async fn served_at(local: &Local, at: &At) -> Result<String, CliError> {
    if let Some(url) = super::serve::remembered(at.data.as_deref()) {
        return Ok(url);
    }
    let listen = match local.rules().await? {
        Some(rules) => rules.config.server.listen.clone(),
        None => ashlar_model::ProjectConfig::named("").server.listen,
    };
    let (host, port) = listen.rsplit_once(':').unwrap_or((&listen, "80"));
    let host = if matches!(host, "0.0.0.0" | "[::]" | "") { "127.0.0.1" } else { host };
    Ok(format!("http://{host}:{port}"))
}

pub async fn preview(what: &str, hours: u32, at: &At) -> Done {
    let at = &remembered(at)?;
    let backend = Backend::open(at).await?;
    let answer = match &backend {
        Backend::Local(local) => {
            let shown: What = what
                .parse()
                .map_err(|e: String| CliError::input(e, "name `draft`, `changeset:NAME` or a candidate"))?;
            let created = value(local.run(CreatePreview { at: shown, hours }).await?)?;
            json!({
                "path": format!("/preview/{}/", output::text(&created, "key")), "at": what, "id": created["id"],
                "expires_at": created["expires_at"], "url": served_at(local, at).await?,
            })
        }
        Backend::Remote(remote) => {
            let mut answer =
                remote.call(rows::CREATE_PREVIEW.call(), Some(json!({ "at": what, "hours": hours }))).await?;
            answer["url"] = json!(remote.base());
            answer
        }
    };
    if at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let path = output::text(&answer, "path");
    output::line(format!("{}{path}", output::text(&answer, "url")));
    let revoke = hints::command(&format!("ashlar key revoke {}", output::text(&answer, "id")));
    eprintln!(
        "Anyone with the link sees {what} until {}. `{revoke}` ends it.{}",
        output::text(&answer, "expires_at"),
        match &backend {
            Backend::Local(_) => "\nIt works while a server serves this data, at that server's address.",
            Backend::Remote(_) => "",
        }
    );
    done()
}

pub async fn site(command: SiteCommand) -> Done {
    let SiteCommand::Export { dir, of, at } = command;
    let Backend::Local(local) = Backend::open(&at).await? else {
        return Err(CliError::input(
            "a site is exported where its data is",
            "give --data instead of --server",
        ));
    };
    let view = open(&local, of.as_deref()).await?;
    let written = tokio::task::spawn_blocking(move || export(&view, &dir).map(|w| (w, dir)))
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

/// Opens what is to be rendered.
async fn open(local: &Local, of: Option<&str>) -> Result<Arc<ReleaseView>, CliError> {
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
    let label = what.to_string();
    let (snapshot, definitions, derived): (Digest, Digest, BTreeMap<String, Digest>) = match &what {
        What::Channel(name) => {
            let state = engine.channel_state(&ctx.tenant, name).await?.ok_or_else(|| none(&label))?;
            (state.snapshot, state.definitions, state.derived)
        }
        What::Release(id) => {
            let manifest = engine.manifest(ctx, *id).await?;
            (manifest.snapshot, manifest.definitions, manifest.derived)
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
    let roots =
        ReleaseRoots { label, snapshot, definitions, lookup, modified: derived.get(MODIFIED).copied() };
    ReleaseView::open(&objects, &roots, None, &Caches::default()).map_err(broken)
}

struct Written {
    pages: usize,
    files: usize,
    written: usize,
    removed: usize,
    bytes: usize,
    took_ms: f64,
}

/// A page's file: `/en/home` → `en/home/index.html`. `None` for a path that would leave the directory.
fn file_of(path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    plain.then(|| relative.join("index.html"))
}

fn export(view: &Arc<ReleaseView>, dir: &Path) -> Result<Written, CliError> {
    let started = std::time::Instant::now();
    let definitions = view.definitions().clone();
    let Some(site) = definitions.site() else {
        return Err(CliError::input(
            "the project has no site",
            "write site/site.toml; docs/site.md describes it",
        ));
    };
    let failed = |why: String| CliError::new(1, "page-failed", why, "correct the template");
    let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut pages = 0;
    for at in view.pages() {
        let at = at.map_err(|e| CliError::new(3, "unreadable", e.to_string(), ""))?;
        let Some(file) = file_of(&at.path) else { continue };
        if let Some(page) = view.page(&at).map_err(failed)? {
            pages += 1;
            files.insert(file, page.html.to_vec());
        }
    }
    let locales = definitions.config.locales.all();
    let home = site.file.home.replace("{locale}", locales[0].as_str());
    if let Some(first) = file_of(&home).and_then(|f| files.get(&f).cloned()) {
        files.insert(PathBuf::from("index.html"), first);
    }
    if let Some(missing) = view.not_found(&locales[0]).map_err(failed)? {
        files.insert(PathBuf::from("404.html"), missing.to_vec());
    }
    for (address, asset) in site.assets() {
        files.insert(PathBuf::from(address.trim_start_matches('/')), asset.bytes.to_vec());
    }
    let ask = |path: &str| {
        let traceparent = Traceparent::follow(None);
        answer(view, &RequestParts::get(path, &traceparent))
    };
    let fetch = |path: &str| ask(path).filter(|a| a.status == 200).map(|a| a.body.to_vec());
    for (path, html) in led_on(view, &files, &ask)? {
        files.entry(path).or_insert(html);
    }
    let mut documents = vec!["/robots.txt".to_owned(), "/sitemap.xml".to_owned()];
    for locale in &locales {
        documents.extend(
            (1..).map(|n| format!("/sitemap-{locale}-{n}.xml")).take_while(|path| fetch(path).is_some()),
        );
        documents
            .extend(definitions.config.site.feeds.iter().map(|f| format!("/feeds/{}.{locale}.xml", f.name)));
        if let Some(search) = &site.file.search {
            documents.push(search.route.replace("{locale}", locale.as_str()));
        }
    }
    for path in documents {
        if let Some(body) = fetch(&path) {
            let has_ending = path.rsplit('/').next().is_some_and(|n| n.contains('.'));
            let file =
                if has_ending { Some(PathBuf::from(path.trim_start_matches('/'))) } else { file_of(&path) };
            files.extend(file.map(|f| (f, body)));
        }
    }
    for (file, bytes) in &mut files {
        // Files of the project are what somebody wrote.
        if file.extension().is_some_and(|e| e == "html") && !file.starts_with("assets") {
            *bytes = with_policy(std::mem::take(bytes));
        }
    }
    let redirects: String =
        view.redirects().map(|(from, to, status)| format!("{from} {to} {status}\n")).collect();
    if !redirects.is_empty() {
        files.insert(PathBuf::from("_redirects"), redirects.into_bytes());
    }
    let (written, removed) = write(dir, &files)?;
    let bytes = files.values().map(Vec::len).sum();
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    Ok(Written { pages, files: files.len(), written, removed, bytes, took_ms })
}

/// A page with its policy as the first thing of its head: a file server sends none.
fn with_policy(html: Vec<u8>) -> Vec<u8> {
    let lower = html.to_ascii_lowercase();
    let after = |tag: &str| {
        let mut from = 0;
        while let Some(found) = lower[from..].windows(tag.len()).position(|w| w == tag.as_bytes()) {
            let end = from + found + tag.len();
            if lower.get(end).is_some_and(|b| b.is_ascii_whitespace() || *b == b'>') {
                return lower[end..].iter().position(|b| *b == b'>').map(|close| end + close + 1);
            }
            from = end;
        }
        None
    };
    // Without a head element, one begins with the first thing that belongs into it.
    let at = after("<head").or_else(|| after("<html")).or_else(|| after("<!doctype")).unwrap_or(0);
    let policy = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{PAGE_POLICY}\">");
    [&html[..at], policy.as_bytes(), &html[at..]].concat()
}

/// Pages that are not translated: a server sends their readers on to another language, and a file server cannot.
fn led_on(
    view: &Arc<ReleaseView>,
    files: &BTreeMap<PathBuf, Vec<u8>>,
    ask: &dyn Fn(&str) -> Option<Answer>,
) -> Result<Vec<(PathBuf, Vec<u8>)>, CliError> {
    let locales = view.definitions().config.locales.all();
    let mut out = Vec::new();
    for at in view.pages() {
        let at = at.map_err(|e| CliError::new(3, "unreadable", e.to_string(), ""))?;
        let Some(rest) = at.path.strip_prefix(&format!("/{}/", at.locale)) else { continue };
        for locale in locales.iter().filter(|l| **l != at.locale) {
            let path = format!("/{locale}/{rest}");
            let Some(file) = file_of(&path).filter(|f| !files.contains_key(f)) else { continue };
            let Some(answer) = ask(&path).filter(|a| a.status == 302) else { continue };
            let Some((_, to)) = answer.headers.iter().find(|(n, _)| n == "location") else { continue };
            let to = ashlar_model::escaped(to);
            let html = format!(
                "<!doctype html>\n<html lang=\"{lang}\">\n<meta charset=\"utf-8\">\n<title>{to}</title>\n\
                 <link rel=\"canonical\" href=\"{base}{to}\">\n<meta http-equiv=\"refresh\" content=\"0;url={to}\">\n\
                 <a href=\"{to}\">{to}</a>\n</html>\n",
                lang = at.locale,
                base = view.definitions().config.site.base().unwrap_or_default(),
            );
            out.push((file, html.into_bytes()));
        }
    }
    Ok(out)
}

/// Writes what differs, and deletes what an earlier export wrote and this one does not have.
fn write(dir: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<(usize, usize), CliError> {
    std::fs::create_dir_all(dir).map_err(|e| CliError::file("make", dir, &e))?;
    let list = dir.join(LIST);
    let before: BTreeSet<PathBuf> =
        std::fs::read(&list).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let mut written = 0;
    for (file, bytes) in files {
        let path = dir.join(file);
        if std::fs::read(&path).is_ok_and(|b| b == *bytes) {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("make", parent, &e))?;
        }
        // A reader never sees half a page.
        let half = path.with_extension("ashlar-part");
        std::fs::write(&half, bytes).map_err(|e| CliError::file("write", &half, &e))?;
        std::fs::rename(&half, &path).map_err(|e| CliError::file("write", &path, &e))?;
        written += 1;
    }
    let mut removed = 0;
    for gone in before.iter().filter(|f| !files.contains_key(*f)) {
        // Only what lies inside, whatever the list says.
        if gone.components().all(|c| matches!(c, Component::Normal(_)))
            && std::fs::remove_file(dir.join(gone)).is_ok()
        {
            removed += 1;
        }
    }
    let now: Vec<&PathBuf> = files.keys().collect();
    let text = serde_json::to_vec(&now).map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
    std::fs::write(&list, text).map_err(|e| CliError::file("write", &list, &e))?;
    Ok((written, removed))
}
