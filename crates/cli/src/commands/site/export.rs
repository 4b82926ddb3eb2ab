//! Rendering a site into a directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use ashlar_delivery::{Answer, PAGE_POLICY, ReleaseView, RequestParts, Traceparent, answer};
use ashlar_site::Site;

use crate::error::CliError;

/// The list of written files, kept beside the pages, so that the next export deletes only what an export wrote.
const LIST: &str = ".ashlar-site.json";

/// What an export did.
pub struct Written {
    pub pages: usize,
    pub files: usize,
    pub written: usize,
    pub removed: usize,
    pub bytes: usize,
    pub took_ms: f64,
}

/// A page's file: `/en/home` → `en/home/index.html`. `None` for a path that would leave the directory.
fn file_of(path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    plain.then(|| relative.join("index.html"))
}

/// The files of a site by their paths, and how many of them are pages.
#[derive(Default)]
struct Files {
    all: BTreeMap<PathBuf, Vec<u8>>,
    pages: usize,
}

/// Renders a site and writes the files that differ from an earlier export.
pub fn export(view: &Arc<ReleaseView>, dir: &Path) -> Result<Written, CliError> {
    let started = std::time::Instant::now();
    let Files { all, pages } = render(view)?;
    let (written, removed) = write(dir, &all)?;
    let bytes = all.values().map(Vec::len).sum();
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    Ok(Written { pages, files: all.len(), written, removed, bytes, took_ms })
}

fn render(view: &Arc<ReleaseView>) -> Result<Files, CliError> {
    let definitions = view.definitions();
    let site = definitions.site().ok_or_else(|| {
        CliError::input("the project has no site", "write site/site.toml; docs/site.md describes it")
    })?;
    let mut files = pages(view, site)?;
    for (address, asset) in site.assets() {
        files.all.insert(PathBuf::from(address.trim_start_matches('/')), asset.bytes.to_vec());
    }
    for (path, html) in to_other_languages(view, &files.all)? {
        files.all.entry(path).or_insert(html);
    }
    for path in documents(view, site) {
        if let Some(answer) = ask(view, &path).filter(|a| a.status == 200) {
            let has_ending = path.rsplit('/').next().is_some_and(|n| n.contains('.'));
            let file =
                if has_ending { Some(PathBuf::from(path.trim_start_matches('/'))) } else { file_of(&path) };
            files.all.extend(file.map(|f| (f, answer.body.to_vec())));
        }
    }
    for (file, bytes) in &mut files.all {
        // Assets stay as the project has them.
        if file.extension().is_some_and(|e| e == "html") && !file.starts_with("assets") {
            *bytes = with_policy(std::mem::take(bytes));
        }
    }
    let redirects: String =
        view.redirects().map(|(from, to, status)| format!("{from} {to} {status}\n")).collect();
    if !redirects.is_empty() {
        files.all.insert(PathBuf::from("_redirects"), redirects.into_bytes());
    }
    Ok(files)
}

/// Every page, with `index.html` for the first one and `404.html` for addresses without a page.
fn pages(view: &Arc<ReleaseView>, site: &Site) -> Result<Files, CliError> {
    let failed = |why: String| CliError::new(1, "page-failed", why, "correct the template");
    let mut files = Files::default();
    for at in view.pages() {
        let at = at.map_err(|e| CliError::new(3, "unreadable", e.to_string(), ""))?;
        let Some(file) = file_of(&at.path) else { continue };
        if let Some(page) = view.page(&at).map_err(failed)? {
            files.pages += 1;
            files.all.insert(file, page.html.to_vec());
        }
    }
    let locale = view.definitions().config.locales.all()[0].clone();
    let home = site.file.home.replace("{locale}", locale.as_str());
    if let Some(first) = file_of(&home).and_then(|f| files.all.get(&f).cloned()) {
        files.all.insert(PathBuf::from("index.html"), first);
    }
    if let Some(missing) = view.not_found(&locale).map_err(failed)? {
        files.all.insert(PathBuf::from("404.html"), missing.to_vec());
    }
    Ok(files)
}

/// The paths of what a server answers beside pages: sitemaps, feeds and the search page.
fn documents(view: &Arc<ReleaseView>, site: &Site) -> Vec<String> {
    let config = &view.definitions().config;
    let exists = |path: &String| ask(view, path).is_some_and(|a| a.status == 200);
    let mut paths = vec!["/robots.txt".to_owned(), "/sitemap.xml".to_owned()];
    for locale in &config.locales.all() {
        paths.extend((1..).map(|n| format!("/sitemap-{locale}-{n}.xml")).take_while(exists));
        paths.extend(config.site.feeds.iter().map(|f| format!("/feeds/{}.{locale}.xml", f.name)));
        paths.extend(site.file.search.as_ref().map(|s| s.route.replace("{locale}", locale.as_str())));
    }
    paths
}

/// What a server answers to a plain GET request.
fn ask(view: &Arc<ReleaseView>, path: &str) -> Option<Answer> {
    let traceparent = Traceparent::follow(None);
    answer(view, &RequestParts::get(path, &traceparent))
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

/// Pages that forward readers from a missing translation to another language, as a server does with a redirect.
fn to_other_languages(
    view: &Arc<ReleaseView>,
    files: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Vec<(PathBuf, Vec<u8>)>, CliError> {
    let locales = view.definitions().config.locales.all();
    let mut out = Vec::new();
    for at in view.pages() {
        let at = at.map_err(|e| CliError::new(3, "unreadable", e.to_string(), ""))?;
        let Some(rest) = at.path.strip_prefix(&format!("/{}/", at.locale)) else { continue };
        for locale in locales.iter().filter(|l| **l != at.locale) {
            let path = format!("/{locale}/{rest}");
            let Some(file) = file_of(&path).filter(|f| !files.contains_key(f)) else { continue };
            let Some(answer) = ask(view, &path).filter(|a| a.status == 302) else { continue };
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
    std::fs::create_dir_all(dir).map_err(|e| CliError::file("create", dir, &e))?;
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
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("create", parent, &e))?;
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
