//! Preview links: the pages of a draft, a changeset or a candidate, as they will be, for whoever has the link.
//!
//! A link contains a key that may look at one thing and nothing else, until it ends. Pages are those of delivery; what leads
//! on is rewritten to stay inside the link, and a banner says that this is not live. Nothing else differs.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use ashlar_delivery::{ReleaseView, RequestParts, Traceparent};
use ashlar_isolate::Workers;
use ashlar_model::{Actor, EntryKey, Right};
use ashlar_release::{Access, At, split_key};
use ashlar_site::{prefixed, prefixed_style};
use axum::{
    Router,
    body::Body,
    extract::{FromRef, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::escape;
use crate::{
    access::Keys,
    app::{App, takes, tenants::Tenants},
    delivery::source::Releases,
    endpoints::{rows, table::Table},
    front::{ApiError, Hosts, host_of},
};

/// Changed entries that are listed.
const CHANGES_MAX: usize = 200;
/// Entries that refer to a changed one and are listed with it.
const REFERRERS_MAX: usize = 50;
/// Lines of a page whose words are compared.
const LINES_MAX: usize = 5_000;
/// What preview pages may do: frames of the same site stand side by side in a comparison.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const STYLE: &str = include_str!("preview.css");

takes! {
    /// What preview links need.
    Previews {
        workers: Workers,
        keys: Arc<Keys>,
        hosts: Arc<Hosts>,
        tenants: Arc<Tenants>,
        releases: Releases,
    }
}

/// What programs may know of preview links.
pub fn table() -> Table<Previews> {
    const HTML: &str = "text/html";
    Table::new()
        .on_and(&rows::SHOW_PREVIEW, overview, |about, _| {
            about.text("The page.", HTML);
            about.empty(307, "There is nothing to compare with; the first page is at `Location`.");
        })
        .on_and(&rows::COMPARE_PREVIEW, compare, |about, _| {
            about.text("The page.", HTML);
        })
        .on_and(&rows::SHOW_PREVIEW_PAGE, page, |about, _| {
            about.text("The page, or a file of the site with its own media type.", HTML);
            about.empty(307, "The page is elsewhere.");
        })
}

/// The routes of preview links.
pub fn router(app: &App) -> Router {
    table()
        .router
        .route(
            "/preview/{key}",
            get(|Path(key): Path<String>| async move {
                match is_key(&key) {
                    true => guard(Redirect::to(&format!("/preview/{key}/")).into_response()),
                    false => guard(no_preview().into_response()),
                }
            }),
        )
        .route(
            "/preview/{key}/-/preview.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }),
        )
        .layer(axum::middleware::from_fn(in_time))
        .layer(axum::middleware::map_response(|response: Response| async { guard(response) }))
        .with_state(Previews::from_ref(app))
}

/// How long a preview may take: what it shows is frozen, judged and rendered for whoever looks at it.
const TIME_MAX: Duration = Duration::from_secs(20);

async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(TIME_MAX, next.run(request)).await;
    answered.unwrap_or_else(|_| ApiError::from(ashlar_isolate::Busy::Full).into_response())
}

/// What a link shows.
struct Shown {
    at: At,
    view: Arc<ReleaseView>,
    /// What is live, when something is.
    live: Option<Arc<ReleaseView>>,
    /// Where the link's pages begin, without a slash at the end.
    prefix: String,
}

fn no_preview() -> ApiError {
    ApiError::new(404, "no-preview", "there is no such preview, or it has expired", "ask for a new link")
}

/// Whether the text can be the key of a link. It is written into addresses and headers.
fn is_key(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && split_key(text).is_some()
}

async fn shown(of: &Previews, key: &str, headers: &HeaderMap) -> Result<Arc<Shown>, ApiError> {
    if !is_key(key) {
        return Err(no_preview());
    }
    let access = of.keys.reading(key).await?.ok_or_else(no_preview)?;
    let at: At = access.actor.shows().and_then(|at| at.parse().ok()).ok_or_else(no_preview)?;
    if !of.hosts.serves(host_of(headers), &access.tenant) {
        return Err(ApiError::misdirected());
    }
    // The link may look at this one thing, and opening it is all that is done with the right to look.
    let reader =
        Access { actor: Actor::new(access.actor.name.clone(), [Right::Preview]), ..(*access).clone() };
    let view = of.releases.open_at(&reader, &at).await;
    let view = view.map_err(|p| ApiError::new(p.status, p.code, p.detail, p.help))?;
    let live = of.tenants.public(&access.tenant);
    Ok(Arc::new(Shown { at, view, live, prefix: format!("/preview/{key}") }))
}

impl Shown {
    /// Does work on what is shown when it is the tenant's turn: pages of drafts are not rendered before.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        of: &Previews,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let shown = self.clone();
        Ok(of.workers.run(self.view.tenant(), move || work(&shown)).await?)
    }
}

/// The answer of a release to a path, as a browser that asks for HTML gets it.
fn answered(view: &ReleaseView, path: &str, query: Option<&str>) -> Option<ashlar_delivery::Answer> {
    let traceparent = Traceparent::follow(None);
    let parts = RequestParts {
        query,
        accept: Some("text/html"),
        private: true,
        ..RequestParts::get(path, &traceparent)
    };
    ashlar_delivery::answer(view, &parts)
}

fn text(answer: &ashlar_delivery::Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn guarded(status: StatusCode, media: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(media) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// What every answer under a link says, whatever it is: a page, a file, a redirect or a problem.
fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "private, no-store"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        // The address is the secret: it is told to nobody.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page(
    State(of): State<Previews>,
    Path((key, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let shown = shown(&of, &key, request.headers()).await?;
    let path = format!("/{path}");
    let (asked, query) = (path.clone(), request.uri().query().map(str::to_owned));
    let answer = shown.work(&of, move |s| answered(&s.view, &asked, query.as_deref())).await?;
    let Some(answer) = answer else {
        return Err(ApiError::new(
            404,
            "not-found",
            format!("{} has no such page", shown.at),
            "the link without a path lists all changes",
        ));
    };
    let header = |name: &str| {
        answer.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
    };
    if (300..400).contains(&answer.status) {
        let to = header("location");
        let to = if to.starts_with('/') { format!("{}{to}", shown.prefix) } else { to.to_owned() };
        return Ok(Redirect::temporary(&to).into_response());
    }
    let media = header("content-type").to_owned();
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if media.starts_with("text/html") {
        let html = prefixed(&text(&answer), &shown.prefix);
        let banner = format!(
            "<link rel=\"stylesheet\" href=\"{prefix}/-/preview.css\"><aside class=\"ashlar-preview\" aria-label=\"Preview\"><strong>Preview of {at}</strong> <span>Not live.</span> \
             <a href=\"{prefix}/-/compare{path}\">Compare with the live page</a> <a href=\"{prefix}/\">All changes</a></aside>",
            prefix = shown.prefix,
            at = escape(&shown.at.to_string()),
            path = escape(&path),
        );
        // In a comparison of pixels the banner would be a difference of its own.
        let plain = request.uri().query() == Some("plain");
        let html = match html.find("<body>").filter(|_| !plain) {
            Some(at) => format!("{}{banner}{}", &html[..at + 6], &html[at + 6..]),
            None => html,
        };
        return Ok(guarded(status, &media, html));
    }
    if media.starts_with("text/css") {
        return Ok(guarded(status, &media, prefixed_style(&text(&answer), &shown.prefix)));
    }
    Ok(guarded(status, &media, answer.body))
}

/// What a page says, a line for each block of text.
fn words(html: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    let mut rest = html;
    let mut hidden: Option<&str> = None;
    while let Some(open) = rest.find('<') {
        if hidden.is_none() {
            line.push_str(&rest[..open]);
        }
        let Some(close) = rest[open..].find('>') else { break };
        let tag = rest[open + 1..open + close].trim();
        rest = &rest[open + close + 1..];
        let name = tag
            .trim_start_matches('/')
            .split(|c: char| c.is_whitespace() || c == '/')
            .next()
            .unwrap_or_default();
        if let Some(ends) = hidden {
            if tag.strip_prefix('/').is_some_and(|t| t.trim() == ends) {
                hidden = None;
            }
            continue;
        }
        match name {
            "script" | "style" | "svg" | "title" | "head" if !tag.starts_with('/') && !tag.ends_with('/') => {
                hidden = ["script", "style", "svg", "title", "head"].into_iter().find(|n| *n == name);
            }
            "a" | "strong" | "em" | "span" | "time" | "code" | "b" | "i" => {}
            _ => {
                let said = line.split_whitespace().collect::<Vec<_>>().join(" ");
                if !said.is_empty() && out.len() < LINES_MAX {
                    out.push(said);
                }
                line.clear();
            }
        }
    }
    out
}

/// What the words of a page lose and gain, as items of a list.
fn changed_words(shown: &Shown, path: &str) -> String {
    let of = |view: &ReleaseView| {
        answered(view, path, None).filter(|a| a.status == 200).map(|a| words(&text(&a))).unwrap_or_default()
    };
    let (old, new) = (shown.live.as_deref().map(of).unwrap_or_default(), of(&shown.view));
    let (before, after) = (old.join("\n"), new.join("\n"));
    let diff =
        similar::TextDiff::configure().timeout(std::time::Duration::from_secs(2)).diff_lines(&before, &after);
    let mut lines = String::new();
    for change in diff.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal) {
        let (tag, word) = match change.tag() {
            similar::ChangeTag::Delete => ("del", "Removed"),
            _ => ("ins", "Added"),
        };
        let _ = write!(
            lines,
            "<li><span>{word}</span> <{tag}>{}</{tag}></li>",
            escape(change.value().trim_end())
        );
    }
    lines
}

async fn compare(
    State(of): State<Previews>,
    Path((key, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let shown = shown(&of, &key, &headers).await?;
    let path = format!("/{path}");
    let asked = path.clone();
    let lines = shown.work(&of, move |shown| changed_words(shown, &asked)).await?;
    let said = match lines.is_empty() {
        true => "<p>No text on this page changes.</p>".to_owned(),
        false => format!("<ul class=\"words\">{lines}</ul>"),
    };
    let (path, prefix) = (escape(&path), &shown.prefix);
    let body = format!(
        "<h1>{path}</h1><p><a href=\"{prefix}/\">All changes</a> · <a href=\"{prefix}{path}\">The preview alone</a> · <a href=\"{path}\">The live page</a></p>\
         <h2>Text</h2>{said}\
         <h2>Side by side</h2><div class=\"sides\"><figure><figcaption>Live</figcaption><iframe title=\"Live\" src=\"{path}\" loading=\"lazy\"></iframe></figure>\
         <figure><figcaption>{at}</figcaption><iframe title=\"Preview\" src=\"{prefix}{path}\" loading=\"lazy\"></iframe></figure></div>\
         <h2>Overlay</h2><p>Both pages on top of each other. Unchanged areas are black; changed areas are bright.</p>\
         <div class=\"stacked\"><iframe title=\"Live\" src=\"{path}\" tabindex=\"-1\"></iframe><iframe title=\"Difference\" src=\"{prefix}{path}?plain\" tabindex=\"-1\"></iframe></div>",
        at = escape(&shown.at.to_string()),
    );
    Ok(guarded(
        StatusCode::OK,
        "text/html; charset=utf-8",
        document(&format!("{} compared", shown.at), prefix, &body),
    ))
}

fn document(title: &str, prefix: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title>\
         <link rel=\"stylesheet\" href=\"{prefix}/-/preview.css\"></head><body class=\"ashlar-overview\"><main>{body}</main></body></html>",
        escape(title)
    )
}

/// The rows of what changes, with the pages it is on, and how many there are.
fn changes(shown: &Shown) -> Result<(String, usize), ApiError> {
    let Some(live) = &shown.live else { return Ok((String::new(), 0)) };
    let broken =
        |e: ashlar_delivery::DeliveryError| ApiError::new(503, "unreadable", e.public(), "try again");
    let mut rows = String::new();
    let mut count = 0;
    for change in live.snapshot().diff(shown.view.snapshot()).take(CHANGES_MAX) {
        let change = change.map_err(|e| ApiError::new(503, "unreadable", e.public(), "try again"))?;
        let Ok(entry) = EntryKey::from_bytes(&change.key) else { continue };
        count += 1;
        let word = match (&change.old, &change.new) {
            (None, _) => "Added",
            (_, None) => "Removed",
            _ => "Changed",
        };
        let mut pages: BTreeSet<String> = BTreeSet::new();
        pages.extend(shown.view.path_of(&entry).map_err(broken)?);
        let sources =
            shown.view.lookup().referrers(&entry.type_name, &entry.id, REFERRERS_MAX).map_err(broken)?;
        for source in sources.into_iter().filter(|s| s.entry.locale == entry.locale) {
            pages.extend(shown.view.path_of(&source.entry).map_err(broken)?);
        }
        let mut links = String::new();
        for page in &pages {
            let page = escape(page);
            let _ = write!(
                links,
                "<li><a href=\"{0}{page}\">{page}</a> <a class=\"small\" href=\"{0}/-/compare{page}\">compare</a></li>",
                shown.prefix
            );
        }
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{word}</td><td><ul>{links}</ul></td></tr>",
            escape(&entry.to_string())
        );
    }
    Ok((rows, count))
}

/// What changes, with the pages it can be seen on.
async fn overview(
    State(of): State<Previews>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let shown = shown(&of, &key, &headers).await?;
    let Some(live) = &shown.live else {
        let home = shown.view.pages().next().and_then(Result::ok).map(|p| p.path);
        return Ok(match home {
            Some(home) => {
                // A route may have letters that a header may not.
                let home = utf8_percent_encode(&home, CONTROLS);
                Redirect::temporary(&format!("{}{home}", shown.prefix)).into_response()
            }
            None => guarded(
                StatusCode::OK,
                "text/html; charset=utf-8",
                document("Preview", &shown.prefix, "<h1>No pages.</h1>"),
            ),
        });
    };
    let (rows, count) = shown.work(&of, changes).await??;
    let definitions = live.definitions().digest != shown.view.definitions().digest;
    let mut body = format!("<h1>Preview of {}</h1>", escape(&shown.at.to_string()));
    if definitions {
        body.push_str("<p>Definitions change too (contracts, tokens, components or templates). Any page can look different.</p>");
    }
    if let Some(site) = shown.view.definitions().site() {
        let home =
            site.file.home.replace("{locale}", shown.view.definitions().config.locales.default.as_str());
        let _ = write!(
            body,
            "<p><a href=\"{0}{1}\">Home page</a> · <a href=\"{0}/-/compare{1}\">compare with the live page</a></p>",
            shown.prefix,
            escape(&home)
        );
    }
    match count {
        0 => body.push_str("<p>No entry differs from the live release.</p>"),
        n => {
            let more = if n == CHANGES_MAX {
                format!("<p>The first {CHANGES_MAX} changes.</p>")
            } else {
                String::new()
            };
            let _ = write!(
                body,
                "{more}<table><tr><th>Entry</th><th>Status</th><th>Pages</th></tr>{rows}</table>"
            );
        }
    }
    Ok(guarded(
        StatusCode::OK,
        "text/html; charset=utf-8",
        document(&format!("Preview of {}", shown.at), &shown.prefix, &body),
    ))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_of_a_page() {
        let html = "<html><head><title>T</title><style>a{}</style></head><body><h1>One <em>two</em></h1><svg><text>no</text></svg><p>Three</p><script>no()</script><p>open";
        assert_eq!(words(html), ["One two", "Three"]);
        assert!(words("<").is_empty() && words("<p").is_empty());
    }
}
